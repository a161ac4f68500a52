"""A classifier behind an encoder, as one ONNX file: windows in, frame embeddings and labels out.

The file has the signature and the metadata of what ``hearaudiomlp-export`` writes, with the user's
labels (docs/format.md), so whatever runs those files runs this one.
"""

import json
from typing import NamedTuple

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.fitting.alarms import THRESHOLD
from hearaudiomlp.fitting.phonemes import STEPS, count_phonemes
from hearaudiomlp.fitting.taps import FEATURES, PREFIX, STRETCHES, import_onnx, tap_encoder
from hearaudiomlp.spec import ENCODERS, FRAMES
from hearaudiomlp.weights.model_file import ModelFile, packaged_graph


class Head(NamedTuple):
    """A linear classifier on the means of a window's stretches.

    Examples:
        >>> head = Head(("robin", "other"), "other", np.zeros((2, 7, 424)), np.zeros(2))
        >>> head.labels
        ('robin', 'other')
    """

    labels: tuple[str, ...]

    other: str
    """The label of everything else; one of the labels."""

    weights: Floats
    """[shape=(n_labels, 7, size)]"""

    bias: Floats
    """[shape=(n_labels,)]"""

    phonemes: bool = False
    """Whether the means have what the network of phonemes hears."""


def write_model(source: ModelFile, head: Head) -> bytes:
    """Return the encoder of a model file with a classifier instead of the keywords.

    Args:
        source: the model file that the classifier was fitted on.
        head: the classifier.

    Raises:
        MissingPackageError: the extra ``[fit]`` isn't installed.
        ModelFileError: the file has other weights than its encoder.

    Examples:
        >>> from hearaudiomlp.weights.locate import locate
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> head = Head(("robin", "other"), "other", np.zeros((2, 7, 424)), np.zeros(2))
        >>> data = write_model(read_model_file(locate(None).read()), head)
        >>> read_model_file(data).metadata["keyword_labels"]
        '["robin", "other"]'
    """
    onnx = import_onnx()
    model = tap_encoder(source, head.phonemes)
    graph = model.graph
    flat, shape, weights, bias = (
        PREFIX + name for name in ("features", "one_row", "weights", "bias")
    )
    values = np.asarray(head.weights, np.float32).reshape(len(head.labels), -1)
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array([-1, values.shape[1]]), shape),
            onnx.numpy_helper.from_array(values, weights),
            onnx.numpy_helper.from_array(np.asarray(head.bias, np.float32), bias),
        ]
    )
    node = onnx.helper.make_node
    graph.node.extend(
        [
            node("Reshape", [FEATURES, shape], [flat], name=flat),
            node(
                "Gemm",
                [flat, weights, bias],
                ["keyword_logits"],
                name=PREFIX + "keyword_logits",
                transB=1,
            ),
        ]
    )
    logits = onnx.helper.make_tensor_value_info(
        "keyword_logits", onnx.TensorProto.FLOAT, ["n", len(head.labels)]
    )
    outputs = [graph.output[0], logits, *graph.output[1:]]
    kept = [type(output).FromString(output.SerializeToString()) for output in outputs]
    del graph.output[:]
    graph.output.extend(kept)
    onnx.helper.set_model_props(model, _metadata(source, head))
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _metadata(source: ModelFile, head: Head) -> dict[str, str]:
    name = source.card["model"]
    packaged = packaged_graph(name)[1].metadata
    size = head.weights.shape[2]
    heard, inside = count_phonemes() if head.phonemes else (0, 0)
    added = STRETCHES * (size * len(head.labels) + (size - heard) * FRAMES + heard * STEPS) + inside
    replaced = len(ENCODERS[name].labels) * ENCODERS[name].timestamp_embedding_size * FRAMES
    macs = {
        key: str(int(packaged[key]) - replaced + added)
        for key in ("macs_per_window", "encoder_macs_per_window")
    }
    facts = {key: source.metadata[key] for key in ("checkpoint_sha256", "licence", "source")}
    labels = {
        "interface": "windows",
        "keyword_labels": json.dumps(head.labels, ensure_ascii=False),
        "labels_kind": "own",
        "other_label": head.other,
        "keyword_threshold": str(THRESHOLD),
    }
    return dict(packaged) | facts | macs | labels
