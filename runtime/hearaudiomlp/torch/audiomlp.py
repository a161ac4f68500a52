"""The HEAR 2021 module of AudioMAE, as ``torch.nn.Module``; see :mod:`hearaudiomlp.audiomlp`."""

from typing import Unpack

from hearaudiomlp import audiomlp
from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.torch.module import TorchModel

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> TorchModel:
    """Load AudioMAE; without a file, its bundled weights.

    Args:
        model_file_path: see :func:`hearaudiomlp.load_model`.
        **options: likewise.

    Returns:
        The model as a module.

    Examples:
        >>> import torch
        >>> model = load_model()
        >>> isinstance(model, torch.nn.Module)
        True
        >>> get_scene_embeddings(torch.zeros(1, 16000), model).shape
        torch.Size([1, 1584])
    """
    return TorchModel(audiomlp.load_model(model_file_path, **options))
