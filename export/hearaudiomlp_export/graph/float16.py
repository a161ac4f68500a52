"""Weights that are stored with fewer bits than they are computed with."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx

Weights = dict[str, npt.NDArray[np.float32]]


def _is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a tensor is stored with fewer bits; vectors aren't, because they are 2 % of all."""
    return len(shape) > 1


def stored(weights: Mapping[str, npt.NDArray[np.float32]], precision: str) -> Weights:
    """Return the weights as they come out of a file of that precision, as float32.

    Examples:
        >>> stored({"w": np.full((1, 1), 0.1, np.float32)}, "float16")["w"]
        array([[0.09997559]], dtype=float32)
    """
    if precision == "float32":
        return dict(weights)
    return {
        name: values.astype(np.float16).astype(np.float32) if _is_matrix(values.shape) else values
        for name, values in weights.items()
    }


def store_as_float16(model: onnx.ModelProto, names: Mapping[str, object]) -> None:
    """Replace weight matrices inside a graph by float16 ones and casts to float32, in place.

    A cast has the name that the matrix had, so nothing else in the graph changes; ONNX Runtime
    computes it once, when a session is opened. The front end's own matrices stay as they are.

    Args:
        model: a graph with its weights inside.
        names: names of the weights, as in the checkpoint; others aren't touched.

    Examples:
        >>> model = onnx.load("onnx_models/audiomae.onnx")
        >>> store_as_float16(model, ["bottleneck.0.weight"])
        >>> [tensor.name for tensor in model.graph.initializer if tensor.data_type == 10]
        ['bottleneck.0.weight.float16']
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name in names and _is_matrix(tuple(tensor.dims)):
            name, values = tensor.name, onnx.numpy_helper.to_array(tensor).astype("<f2")
            kept = f"{name}.float16"
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, kept))
            casts.append(
                onnx.helper.make_node("Cast", [kept], [name], name=name, to=onnx.TensorProto.FLOAT)
            )
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
