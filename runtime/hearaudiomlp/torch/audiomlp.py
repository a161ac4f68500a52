"""The HEAR 2021 module of AudioMAE, as ``torch.nn.Module``; see :mod:`hearaudiomlp.audiomlp`."""

from typing import Unpack

from hearaudiomlp import audiomlp
from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.torch.module import TorchModel

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> TorchModel:
    """Load AudioMAE as a module, with the arguments of :func:`hearaudiomlp.audiomlp.load_model`.

    Examples:
        >>> import torch
        >>> get_scene_embeddings(torch.zeros(1, 16000), load_model()).shape
        torch.Size([1, 1584])
    """
    return TorchModel(audiomlp.load_model(model_file_path, **options))
