"""The HEAR 2021 module of KW-MLP, as ``torch.nn.Module``; see :mod:`hearaudiomlp.kwmlp`."""

from typing import Unpack

from hearaudiomlp import kwmlp
from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.torch.module import TorchModel

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> TorchModel:
    """Load KW-MLP; without a file, its bundled weights.

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
        torch.Size([1, 1024])
    """
    return TorchModel(kwmlp.load_model(model_file_path, **options))
