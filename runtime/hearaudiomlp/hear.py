"""The HEAR 2021 API (https://hearbenchmark.com/hear-api.html), the same for both encoders."""

import os
from collections.abc import Sequence
from typing import Protocol, TypeVar

from hearaudiomlp import model as _model
from hearaudiomlp.model import Model
from hearaudiomlp.session import Provider

Audio = TypeVar("Audio")


class LoadModel(Protocol):
    """Type of the ``load_model`` of a HEAR module."""

    def __call__(
        self,
        model_file_path: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
    ) -> Model:
        """Load the encoder; see :func:`hearaudiomlp.load_model`."""
        ...


def loader(name: str) -> LoadModel:
    """Return the ``load_model`` that takes model files of the encoder called ``name`` only."""

    def load_model(
        model_file_path: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
    ) -> Model:
        return _model.load_model(
            model_file_path, name=name, device=device, providers=providers, threads=threads
        )

    load_model.__doc__ = _model.load_model.__doc__
    return load_model


def get_timestamp_embeddings(audio: Audio, model: Model) -> tuple[Audio, Audio]:
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
        AudioValueError: its shape is another one, or it has NaN or infinity in it.
    """
    return model.timestamp_embeddings(audio)


def get_scene_embeddings(audio: Audio, model: Model) -> Audio:
    """Return one embedding for each whole sound.

    Args:
        audio: as for :func:`get_timestamp_embeddings`.
        model: as ``load_model`` returned it.

    Returns:
        The embeddings [shape=(n_sounds, 1024 or 1584)], float32, of the same kind and on the same
        device as ``audio``.

    Raises:
        AudioTypeError: audio isn't an array of floating-point numbers.
        AudioValueError: its shape is another one, or it has NaN or infinity in it.
    """
    return model.scene_embeddings(audio)
