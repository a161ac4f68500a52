"""What a graph may consist of before it is handed to ONNX Runtime.

A model file comes from anyone. ONNX Runtime would open files that it names, run loops without end
and allocate what it asks for. So the graph must be the packaged one with other weights; or the
shape of every value is computed (:mod:`~hearaudiomlp.weights.onnx_shapes`), to see that nothing
grows beyond what an encoder needs and that the outputs are what the metadata promises.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.weights.onnx_file import INT64, MAX_DIMS, OnnxSummary, Tensor

_MAX_WEIGHT = 1e6  # those of trained networks are below 21
IMPLAUSIBLE = f"NaN, infinity or a number beyond {_MAX_WEIGHT:,.0f}"
"""What :func:`find_implausible` finds."""

_FLOAT, _FLOAT16 = 1, 10
_DTYPES: dict[int, np.dtype[Any]] = {
    _FLOAT: np.dtype("<f4"),
    INT64: np.dtype("<i8"),
    _FLOAT16: np.dtype("<f2"),
}


def _is_packaged(summary: OnnxSummary, packaged: OnnxSummary) -> bool:
    """Whether a graph is the packaged one, with the weights inside."""
    if summary.tensors.keys() != packaged.tensors.keys():
        return False
    for name, tensor in summary.tensors.items():
        other = packaged.tensors[name]
        same = tensor.dims == other.dims and tensor.data_type == other.data_type
        if not same or (name not in packaged.external and bytes(tensor.data) != bytes(other.data)):
            return False
    nodes = list(map(bytes, summary.nodes)) == list(map(bytes, packaged.nodes))
    return nodes and summary.opset == packaged.opset


def find_implausible(weights: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """Return the first tensor with numbers that no trained network has; None, if all are fine.

    With NaN or infinity in the weights the embeddings would be, too, and that looks like audio that
    is too loud.

    Example:
        >>> find_implausible({"a": np.ones(3), "b": np.array([1.0, np.nan])})
        'b'
    """
    # All at once, because there are many small ones.
    flat = [values.reshape(-1) for values in weights.values()]
    if not flat or _is_plausible(np.concatenate(flat)):
        return None
    return next(name for name, values in weights.items() if not _is_plausible(values))


def _is_plausible(values: npt.NDArray[Any]) -> bool:
    # Comparisons with NaN are false.
    least, most = values.min(initial=0.0), values.max(initial=0.0)
    return bool(float(least) >= -_MAX_WEIGHT and float(most) <= _MAX_WEIGHT)


def _check_tensor(name: str, tensor: Tensor) -> npt.NDArray[Any]:
    dtype = _DTYPES.get(tensor.data_type)
    if dtype is None:
        raise ValueError(f"the tensor {shorten(name)} has the type {shorten(tensor.data_type)}")
    if min(tensor.dims, default=0) < 0 or len(tensor.dims) > MAX_DIMS:
        raise ValueError(f"the tensor {shorten(name)} has an invalid shape")
    if math.prod(tensor.dims) * dtype.itemsize != len(tensor.data):
        raise ValueError(f"the tensor {shorten(name)} has {len(tensor.data):,} bytes of data")
    return np.frombuffer(tensor.data, dtype)


def check_graph(summary: OnnxSummary, packaged: OnnxSummary) -> bool:
    """Check a graph with its weights inside, before ONNX Runtime gets it.

    Args:
        summary: of the file; its signature has been compared with its metadata.
        packaged: of the packaged graph of the same encoder.

    Returns:
        Whether it is the packaged graph, but for its weights.

    Raises:
        ModelFileError: it has anything in it that an encoder doesn't need, NaN or infinity in its
            weights, or outputs of other shapes than it declares.

    Examples:
        >>> from hearaudiomlp.weights.model_file import packaged_graph
        >>> packaged = packaged_graph("audiomae")[1]
        >>> check_graph(packaged, packaged)  # its weights aren't in the file
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.ModelFileError: a graph that no encoder has: the tensor ...
    """
    if summary.foreign:
        raise ModelFileError(f"a graph with {', '.join(sorted(summary.foreign))}")
    try:
        if any(kind != _FLOAT for kind in summary.types.values()):
            raise ValueError("inputs and outputs that are not float32")
        values = {name: _check_tensor(name, tensor) for name, tensor in summary.tensors.items()}
        floats = {name: array for name, array in values.items() if array.dtype.kind == "f"}
        if (name := find_implausible(floats)) is not None:
            raise ValueError(f"the tensor {shorten(name)} has {IMPLAUSIBLE} in it")
        is_packaged = _is_packaged(summary, packaged)
        if not is_packaged:
            # here, because exports of today have the packaged graph
            from hearaudiomlp.weights.onnx_shapes import check_shapes

            check_shapes(summary)
    except KeyError as problem:
        raise ModelFileError(
            f"a graph that doesn't compute {shorten(problem.args[0])} before it is used"
        ) from None
    except (ValueError, IndexError, TypeError) as problem:
        raise ModelFileError(f"a graph that no encoder has: {shorten(problem, 200)}") from None
    return is_packaged
