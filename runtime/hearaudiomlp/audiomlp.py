"""The HEAR 2021 module of AudioMAE.

::

    from hearaudiomlp.audiomlp import load_model, get_timestamp_embeddings, get_scene_embeddings

    model = load_model("checkpoints/audiomae.pth")
    embeddings, timestamps = get_timestamp_embeddings(audio, model)
    scene_embeddings = get_scene_embeddings(audio, model)
"""

from typing import Unpack

from hearaudiomlp.hear import Options, PathLike, get_scene_embeddings, get_timestamp_embeddings
from hearaudiomlp.model import Model
from hearaudiomlp.model import load_model as _load_model

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: PathLike | None = None, **options: Unpack[Options]) -> Model:
    """Load AudioMAE, without a file the bundled weights of it.

    The file and the options are those of :func:`hearaudiomlp.load_model`.
    """
    return _load_model(model_file_path, name="audiomae", **options)
