"""Multiply-accumulates of a graph, counted in the graph itself."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx


def depending(model: onnx.ModelProto, sources: Iterable[str]) -> list[Any]:
    """Return the nodes that depend on any of the values named, in order.

    Examples:
        >>> model = onnx.load("onnx_models/audiomae.onnx")
        >>> depending(model, ["windows"])[-1].op_type
        'Transpose'
    """
    reached = set(sources)
    nodes = []
    for node in model.graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            nodes.append(node)
    return nodes


def leading_to(model: onnx.ModelProto, outputs: Iterable[str]) -> list[Any]:
    """Return the nodes that any of the values named depends on, in order.

    Examples:
        >>> model = onnx.load("onnx_models/audiomae.onnx")
        >>> leading_to(model, ["power_mel"])[-1].op_type
        'Reshape'
    """
    needed = set(outputs)
    nodes = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    return nodes[::-1]


def _shapes_for_one_window(model: onnx.ModelProto) -> dict[str, list[int]]:
    single = onnx.ModelProto()
    single.CopyFrom(model)
    single.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    for tensor in single.graph.initializer:  # shape inference wants to look into every constant
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.ClearField("data_location")
            del tensor.external_data[:]
            tensor.raw_data = bytes(4 * int(np.prod(tensor.dims)))
    graph = onnx.shape_inference.infer_shapes(single, strict_mode=True, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output, *graph.input)
    }
    return shapes | {tensor.name: list(tensor.dims) for tensor in graph.initializer}


def count_macs(model: onnx.ModelProto, outputs: Iterable[str] = ()) -> int:
    """Count the multiply-accumulates that a graph spends on one window.

    Those of matrix products and convolutions (MatMul, Gemm, Conv) that depend on the window.
    Products of weights with weights don't count: they are computed once, when a session is opened.

    Args:
        model: the graph.
        outputs: names of values; products that none of them depends on are left out. All products
            of the graph, if none is given.

    Examples:
        >>> count_macs(onnx.load("onnx_models/kwmlp.onnx"))
        49548800
    """
    shapes = _shapes_for_one_window(model)
    macs = 0
    wanted = {node.output[0] for node in leading_to(model, outputs)}
    for node in depending(model, [model.graph.input[0].name]):
        if wanted and node.output[0] not in wanted:
            continue
        if node.op_type in ("MatMul", "Gemm"):
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            inner = shapes[node.input[0]][-2 if transposed else -1]
            macs += int(np.prod(shapes[node.output[0]])) * inner
        elif node.op_type == "Conv":
            macs += int(np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in ("ConvTranspose", "Einsum"):
            raise NotImplementedError(f"multiply-accumulates of {node.op_type}")
    return macs
