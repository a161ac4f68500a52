"""The HEAR 2021 module of AudioMAE: see :mod:`hearaudiomlp.kwmlp`, which has the same functions."""

from typing import Unpack

from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.model import Model
from hearaudiomlp.model import load_model as _load_model

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> Model:
    """Load AudioMAE; without a file, its bundled weights.

    The arguments are those of :func:`hearaudiomlp.load_model`. A file of the other encoder is a
    ModelFileError.

    Examples:
        >>> load_model(device="cpu", threads=1)
        <audiomae on cpu, 1 thread>
    """
    return _load_model(model_file_path, name="audiomae", **options)
