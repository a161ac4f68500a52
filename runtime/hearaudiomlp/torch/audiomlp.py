"""The HEAR 2021 module of AudioMAE, as ``torch.nn.Module``; see :mod:`hearaudiomlp.audiomlp`."""

from typing import Unpack

from hearaudiomlp import audiomlp
from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.torch.module import TorchModel

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> TorchModel:
    """Load AudioMAE, without a file the bundled weights of it.

    The file and the options are those of :func:`hearaudiomlp.load_model`.
    """
    return TorchModel(audiomlp.load_model(model_file_path, **options))
