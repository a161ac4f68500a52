"""Audio embeddings from two tiny gated-MLP encoders, on ONNX Runtime.

The HEAR 2021 modules are :mod:`hearaudiomlp.kwmlp` and :mod:`hearaudiomlp.audiomlp`;
:func:`load_model` here takes a model file of either encoder.

Examples:
    >>> import hearaudiomlp
    >>> import numpy as np
    >>> model = hearaudiomlp.load_model()
    >>> embeddings = model.embeddings(np.zeros((1, 16000), np.float32))
    >>> embeddings.scene_embeddings.shape
    (1, 1024)
"""

import os as _os

# ONNX Runtime reads this when it is imported, so it has to be set before that. It says "off" only
# where the user has not set it.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Until the command handles signals, Ctrl-C prints Python's traceback. It has to import this module
# before it can, so nothing is imported here, not even typing: type checkers know this name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from hearaudiomlp.audio import read_audio
    from hearaudiomlp.embed import embed_files
    from hearaudiomlp.errors import HearAudioMLPError
    from hearaudiomlp.fitting.run import fit
    from hearaudiomlp.keywordfiles import spot_files
    from hearaudiomlp.model import Embeddings, Model, load_model
    from hearaudiomlp.similar import find_similar
    from hearaudiomlp.spotter import Spotter
    from hearaudiomlp.stream import Stream

__version__ = "0.1.0"

__all__ = [
    "Embeddings",
    "HearAudioMLPError",
    "Model",
    "Spotter",
    "Stream",
    "__version__",
    "embed_files",
    "find_similar",
    "fit",
    "load_model",
    "read_audio",
    "spot_files",
]

_MODULES = {
    "Embeddings": "model",
    "HearAudioMLPError": "errors",
    "Model": "model",
    "Spotter": "spotter",
    "Stream": "stream",
    "embed_files": "embed",
    "find_similar": "similar",
    "fit": "fitting.run",
    "load_model": "model",
    "read_audio": "audio",
    "spot_files": "keywordfiles",
}


def __getattr__(name: str) -> object:
    # numpy and ONNX Runtime are imported when a name that needs them is first used: --help would
    # take three times as long with them, and the command sets numpy up first.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
