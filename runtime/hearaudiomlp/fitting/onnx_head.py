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
    """A linear classifier on the means of a window's stretches, for each alignment of a word.

    Examples:
        >>> head = Head(("robin", "other"), "other", np.zeros((2, 3, 7, 424)), np.zeros((2, 3)))
        >>> head.labels
        ('robin', 'other')
    """

    labels: tuple[str, ...]

    other: str
    """The label of everything else; one of the labels."""

    weights: Floats
    """[shape=(n_labels, n_alignments, 7, size)]"""

    bias: Floats
    """[shape=(n_labels, n_alignments)]"""

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
        >>> head = Head(("robin", "other"), "other", np.zeros((2, 3, 7, 424)), np.zeros((2, 3)))
        >>> data = write_model(read_model_file(locate(None).read()), head)
        >>> read_model_file(data).metadata["keyword_labels"]
        '["robin", "other"]'
    """
    onnx = import_onnx()
    model = tap_encoder(source, head.phonemes)
    graph = model.graph
    bias = np.asarray(head.bias, np.float32)
    values = np.asarray(head.weights, np.float32).reshape(bias.size, -1)
    tensors = {
        "one_row": np.array([-1, values.shape[1]]),
        "weights": values,
        "bias": bias.reshape(-1),
        "by_label": np.array([-1, *bias.shape]),
        "alignments": np.array([2]),
    }
    graph.initializer.extend(
        onnx.numpy_helper.from_array(tensor, PREFIX + name) for name, tensor in tensors.items()
    )

    def add(operator: str, inputs: list[str], output: str, **attributes: int) -> None:
        inputs, name = [PREFIX + one for one in inputs], PREFIX + output
        output = output if output == "keyword_logits" else name
        node = onnx.helper.make_node(operator, inputs, [output], name=name, **attributes)
        graph.node.append(node)

    add("Reshape", [FEATURES.removeprefix(PREFIX), "one_row"], "features")
    add("Gemm", ["features", "weights", "bias"], "aligned", transB=1)
    add("Reshape", ["aligned", "by_label"], "aligned_by_label")
    add("ReduceMax", ["aligned_by_label", "alignments"], "keyword_logits", keepdims=0)
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
    size = head.weights.shape[-1]
    heard, inside = count_phonemes() if head.phonemes else (0, 0)
    added = STRETCHES * (size * head.bias.size + (size - heard) * FRAMES + heard * STEPS) + inside
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
