"""Audio embeddings from two tiny gated-MLP encoders, on ONNX Runtime.

The HEAR 2021 modules are :mod:`hearaudiomlp.kwmlp` and :mod:`hearaudiomlp.audiomlp`::

    from hearaudiomlp.kwmlp import load_model, get_timestamp_embeddings, get_scene_embeddings

:func:`load_model` here takes a model file of either encoder.
"""

import os as _os
from typing import TYPE_CHECKING as _TYPE_CHECKING

# ONNX Runtime reads this when it is imported, so it has to be set before that. It says "off" only
# where the user has said nothing.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from hearaudiomlp.errors import HearAudioMLPError

if _TYPE_CHECKING:
    from hearaudiomlp.model import Embeddings, Model, load_model

__version__ = "0.1.0"

__all__ = ["Embeddings", "HearAudioMLPError", "Model", "__version__", "load_model"]


def __getattr__(name: str) -> object:
    # numpy and ONNX Runtime are imported when a model is first spoken of: for the command's --help
    # they would take three times as long as everything else, and it sets numpy up before.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hearaudiomlp import model

    value: object = getattr(model, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
