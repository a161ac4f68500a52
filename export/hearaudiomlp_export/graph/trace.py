"""From the torch form of an encoder to an ONNX graph, and weights into it."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from hearaudiomlp import __version__
from hearaudiomlp.spec import ENCODERS, WINDOW
from hearaudiomlp_export.graph.encoder import TracedEncoder
from hearaudiomlp_export.networks.encoders import expected_tensors

OPSET = 20
"""The first opset with Gelu."""

_OPERATORS = (
    "Add Cast Concat Gelu Gemm LayerNormalization Log MatMul Max Mul ReduceMax ReduceMean Reshape "
    "Slice Split Transpose"
)
ALLOWED_OPERATORS = frozenset(_OPERATORS.split())
"""Operators that a graph may use: all exist on ONNX Runtime's CPU, CUDA and web back ends."""


def clean(model: onnx.ModelProto) -> None:
    """Strip what the exporter leaves behind: stack traces, module paths, shapes of inner values.

    Examples:
        >>> model = onnx.ModelProto()
        >>> onnx.helper.set_model_props(model, {"namespace": "torch"})
        >>> clean(model)
        >>> len(model.metadata_props)
        0
    """
    graph = model.graph
    del model.metadata_props[:]
    del graph.value_info[:]
    for thing in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del thing.metadata_props[:]
        thing.doc_string = ""
    for node in graph.node:
        node.name = node.output[0]


def export_quietly(network: torch.nn.Module, *inputs: Any, **options: Any) -> onnx.ModelProto:
    """Export a network by :func:`torch.onnx.export`, without its notes and warnings.

    Args:
        network: in evaluation mode.
        inputs: of the network, as examples.
        options: of :func:`torch.onnx.export`.

    Examples:
        >>> model = export_quietly(torch.nn.Linear(3, 2).eval(), torch.zeros(1, 3))
        >>> [node.op_type for node in model.graph.node]
        ['Gemm']
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)  # it reports that torchvision isn't installed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network, inputs, opset_version=OPSET, dynamo=True, verbose=False, **options
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


def _export(name: str, blocks: torch.dtype) -> onnx.ModelProto:
    shapes = expected_tensors(name)
    weights = {key: torch.zeros(shape) for key, shape in shapes.items()}
    return export_quietly(
        TracedEncoder(name, blocks).eval(),
        kwargs={"windows": torch.zeros(2, WINDOW), "weights": weights},
        input_names=["windows", *weights],
        output_names=ENCODERS[name].outputs,
        dynamic_shapes={
            "windows": {0: torch.export.Dim("n")},
            "weights": dict.fromkeys(weights),
        },
    )


def trace(name: str, blocks: torch.dtype = torch.float32) -> onnx.ModelProto:
    """Trace the encoder called ``name`` and return its graph without weights.

    Its gated-MLP blocks compute in the dtype ``blocks``.

    The weights are initializers under the checkpoint's names whose values are declared outside
    the file; ONNX Runtime takes them from ``SessionOptions.add_external_initializers``, and
    :func:`embed_weights` puts them in.

    Examples:
        >>> [output.name for output in trace("audiomae").graph.output]
        ['frame_embeddings', 'power_mel']
    """
    model = _export(name, blocks)
    graph = model.graph
    clean(model)
    graph.name = name
    model.producer_name, model.producer_version = "hearaudiomlp-export", __version__
    windows, *weights = list(graph.input)
    del graph.input[:]
    graph.input.append(windows)
    for weight in weights:
        tensor = graph.initializer.add()
        tensor.name = weight.name
        tensor.data_type = onnx.TensorProto.FLOAT
        tensor.dims.extend(dim.dim_value for dim in weight.type.tensor_type.shape.dim)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights")
    assert [output.name for output in graph.output] == [*ENCODERS[name].outputs]
    unknown = {node.op_type for node in graph.node} - ALLOWED_OPERATORS
    if unknown or any(node.domain for node in graph.node):
        raise ValueError(f"the graph uses operators that not every back end has: {unknown}")
    return model


def embed_weights(
    model: onnx.ModelProto, weights: Mapping[str, npt.NDArray[np.float32]]
) -> onnx.ModelProto:
    """Return a copy of a graph with the values of its external weights inside the file.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp_export.networks.checkpoints import load_checkpoint
        >>> from hearaudiomlp.weights.model_file import packaged_graph
        >>> graph = onnx.ModelProto.FromString(packaged_graph("audiomae")[0])
        >>> weights = load_checkpoint(Path("checkpoints/audiomae.pth"), None, None).weights
        >>> len(embed_weights(graph, weights).SerializeToString()) > 400_000
        True
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in whole.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            values = np.ascontiguousarray(weights[tensor.name], "<f4")
            assert values.shape == tuple(tensor.dims), tensor.name
            tensor.ClearField("data_location")
            del tensor.external_data[:]
            tensor.raw_data = values.tobytes()
    return whole
