"""The HEAR 2021 module of KW-MLP.

::

    from hearaudiomlp.kwmlp import load_model, get_timestamp_embeddings, get_scene_embeddings

    model = load_model("checkpoints/kwmlp.pth")
    embeddings, timestamps = get_timestamp_embeddings(audio, model)
    scene_embeddings = get_scene_embeddings(audio, model)
"""

from hearaudiomlp.hear import get_scene_embeddings, get_timestamp_embeddings, loader

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

load_model = loader("kwmlp")
