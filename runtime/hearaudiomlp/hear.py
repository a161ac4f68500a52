"""The HEAR 2021 API (https://hearbenchmark.com/hear-api.html), the same for both encoders."""

import os
from collections.abc import Sequence
from typing import Protocol, TypedDict, TypeVar

from hearaudiomlp.inference.providers import Provider

Audio = TypeVar("Audio")
PathLike = str | os.PathLike[str]


class Options(TypedDict, total=False):
    """The options of every ``load_model``; see :func:`hearaudiomlp.load_model`.

    Examples:
        >>> from hearaudiomlp.kwmlp import load_model
        >>> options = Options(device="cpu", threads=2)
        >>> load_model(**options)
        <kwmlp on cpu, 2 threads>
    """

    device: str
    providers: Sequence[Provider] | None
    threads: int | None
    tf32: bool
    cuda_graphs: bool


class Embedder(Protocol):
    """What the functions below compute with: a Model, or a torch module around one."""

    def timestamp_embeddings(self, audio: Audio) -> tuple[Audio, Audio]:
        """See :meth:`hearaudiomlp.Model.timestamp_embeddings`."""
        ...

    def scene_embeddings(self, audio: Audio) -> Audio:
        """See :meth:`hearaudiomlp.Model.scene_embeddings`."""
        ...


def get_timestamp_embeddings(audio: Audio, model: Embedder) -> tuple[Audio, Audio]:
    """Return an embedding for every 10 ms, and the timestamps.

    Args:
        audio: mono sounds in [-1, 1] at 16 kHz [shape=(n_sounds, n_samples)], of a floating-point
            dtype; numpy or a tensor of another framework.
        model: as ``load_model`` returned it.

    Returns:
        The embeddings [shape=(n_sounds, n, 64 or 8)] and their timestamps in milliseconds
        [shape=(n_sounds, n)], ``n = n_samples // 160``; float32, of the same kind and on the same
        device as ``audio``.

    Raises:
        AudioTypeError: audio isn't an array of floating-point numbers.
        AudioValueError: audio has another shape, or NaN or infinity in it.

    Examples:
        >>> import numpy as np
        >>> from hearaudiomlp.kwmlp import load_model
        >>> model = load_model()
        >>> embeddings, timestamps = get_timestamp_embeddings(np.zeros((1, 8000)), model)
        >>> embeddings.shape, timestamps[0, :3]
        ((1, 50, 64), array([10., 20., 30.], dtype=float32))
    """
    return model.timestamp_embeddings(audio)


def get_scene_embeddings(audio: Audio, model: Embedder) -> Audio:
    """Return one embedding for each whole sound.

    Args:
        audio: as for :func:`get_timestamp_embeddings`.
        model: as ``load_model`` returned it.

    Returns:
        The embeddings [shape=(n_sounds, 1024 or 1584)], float32, of the same kind and on the same
        device as ``audio``.

    Raises:
        AudioTypeError: as for :func:`get_timestamp_embeddings`.
        AudioValueError: likewise.

    Examples:
        >>> import numpy as np
        >>> from hearaudiomlp.kwmlp import load_model
        >>> model = load_model()
        >>> get_scene_embeddings(np.zeros((3, 8000)), model).shape
        (3, 1024)
    """
    return model.scene_embeddings(audio)
