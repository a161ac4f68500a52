"""What a model file says of itself, for programs in any language and for people.

All of it is text in the file's ``metadata_props``; lists are JSON. docs/format.md explains each
entry.
"""

import json

import numpy as np
import onnx

from hearaudiomlp import __version__
from hearaudiomlp.spec import (
    ENCODERS,
    FRAMES,
    HOP,
    MEL_BANDS,
    PAD_LEFT,
    PAD_RIGHT,
    SAMPLE_RATE,
    WINDOW,
)
from hearaudiomlp.weights.metadata import FORMAT
from hearaudiomlp_export.graph.macs import count_macs
from hearaudiomlp_export.networks.encoders import expected_tensors
from hearaudiomlp_export.networks.filters import N_FFT


def describe(model: onnx.ModelProto) -> dict[str, str]:
    """Return what is true of a graph whatever its weights.

    Examples:
        >>> describe(onnx.load("onnx_models/kwmlp.onnx"))["parameters"]
        '424811'
    """
    spec = ENCODERS[model.graph.name]
    macs = count_macs(model)
    facts: dict[str, object] = {
        "hearaudiomlp_format": FORMAT,
        "hearaudiomlp_version": __version__,
        "model": spec.name,
        "sample_rate": SAMPLE_RATE,
        "window": WINDOW,
        "hop": HOP,
        "n_fft": N_FFT,
        "mel_bands": MEL_BANDS,
        "frames_per_window": FRAMES,
        "pad_left": PAD_LEFT,
        "pad_right": PAD_RIGHT,
        "timestamp_embedding_size": spec.timestamp_embedding_size,
        "scene_embedding_size": spec.scene_embedding_size,
        "scene_steps": spec.scene_steps,
        "keyword_labels": json.dumps(spec.labels),
        "parameters": sum(int(np.prod(shape)) for shape in expected_tensors(spec.name).values()),
        "macs_per_window": macs,
        "encoder_macs_per_window": macs - count_macs(model, spec.features),
    }
    return {key: str(value) for key, value in facts.items()}


def write_metadata(model: onnx.ModelProto, card: dict[str, str]) -> None:
    """Put the entries into the model file's metadata, replacing any that are there.

    Examples:
        >>> model = onnx.load("onnx_models/kwmlp.onnx")
        >>> write_metadata(model, {"model": "kwmlp"})
        >>> [entry.value for entry in model.metadata_props if entry.key == "model"]
        ['kwmlp']
    """
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, card)
