"""The HEAR 2021 module of KW-MLP, as ``torch.nn.Module``; see :mod:`hearaudiomlp.kwmlp`."""

from hearaudiomlp.torch.module import get_scene_embeddings, get_timestamp_embeddings, loader

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

load_model = loader("kwmlp")
