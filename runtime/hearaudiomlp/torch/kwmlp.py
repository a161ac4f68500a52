"""The HEAR 2021 module of KW-MLP, as ``torch.nn.Module``; see :mod:`hearaudiomlp.kwmlp`."""

from typing import Unpack

from hearaudiomlp import kwmlp
from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.torch.module import TorchModel

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> TorchModel:
    """Load KW-MLP as a module, with the arguments of :func:`hearaudiomlp.kwmlp.load_model`.

    Examples:
        >>> import torch
        >>> get_scene_embeddings(torch.zeros(1, 16000), load_model()).shape
        torch.Size([1, 1024])
    """
    return TorchModel(kwmlp.load_model(model_file_path, **options))
