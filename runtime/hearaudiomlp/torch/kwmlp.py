"""The HEAR 2021 module of KW-MLP, as ``torch.nn.Module``; see :mod:`hearaudiomlp.kwmlp`."""

from typing import Unpack

from hearaudiomlp import kwmlp
from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.torch.module import TorchModel

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> TorchModel:
    """Load KW-MLP, without a file the bundled weights of it.

    The file and the options are those of :func:`hearaudiomlp.load_model`.
    """
    return TorchModel(kwmlp.load_model(model_file_path, **options))
