"""Audio embeddings from two tiny gated-MLP encoders, on ONNX Runtime.

The HEAR 2021 modules are :mod:`hearaudiomlp.kwmlp` and :mod:`hearaudiomlp.audiomlp`::

    from hearaudiomlp.kwmlp import load_model, get_timestamp_embeddings, get_scene_embeddings

:func:`load_model` here takes a model file of either encoder.
"""

import os as _os

# ONNX Runtime reads this when it is imported, so it has to be set before that. It says "off" only
# where the user has said nothing.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from hearaudiomlp.errors import HearAudioMLPError
from hearaudiomlp.model import Embeddings, Model, load_model

__version__ = "0.1.0"

__all__ = ["Embeddings", "HearAudioMLPError", "Model", "__version__", "load_model"]
