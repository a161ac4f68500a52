"""The HEAR 2021 module of KW-MLP.

Examples:
    >>> import numpy as np
    >>> from hearaudiomlp.kwmlp import load_model, get_timestamp_embeddings, get_scene_embeddings
    >>> model = load_model("checkpoints/kwmlp.pth")
    >>> audio = np.zeros((2, 16000), np.float32)
    >>> embeddings, timestamps = get_timestamp_embeddings(audio, model)
    >>> embeddings.shape, timestamps.shape
    ((2, 100, 64), (2, 100))
    >>> get_scene_embeddings(audio, model).shape
    (2, 1024)
"""

from typing import Unpack

from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.model import Model
from hearaudiomlp.model import load_model as _load_model

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> Model:
    """Load KW-MLP; without a file, its bundled weights.

    The arguments are those of :func:`hearaudiomlp.load_model`. A file of the other encoder is a
    ModelFileError.

    Examples:
        >>> load_model(device="cpu", threads=1)
        <kwmlp on cpu, 1 thread>
    """
    return _load_model(model_file_path, name="kwmlp", **options)
