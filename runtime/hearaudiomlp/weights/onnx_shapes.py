"""The shape of every value of a graph, computed from those of its input and weights.

Each operator has to be one that the exporter or the page's classifier writes, and nothing may grow
beyond what an encoder needs. No operator may work along the windows, so that none depends on the
others. The operators are documented at https://onnx.ai/onnx/operators/.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from hearaudiomlp._text import shorten
from hearaudiomlp.weights.onnx_file import (
    INT64,
    MAX_DIMS,
    OnnxSummary,
    Tensor,
    allowance,
    fields,
    integers,
    text,
)

_MAX_NODES = 1_000  # those of the largest export are 301

_OPSETS = range(18, 24)
"""Versions of ONNX's operators in which those below are defined alike; exports have 20. Before 13,
LogSoftmax took all axes from one on together, the windows' among them."""

_BATCH = 1_000_000_007
"""Windows for which shapes are computed: a prime number beyond every other size within the bounds
below, so a size has it as a factor where it depends on the number of windows, and nowhere else."""

_MAX_VALUES = 8 << 20
"""Numbers that all nodes make of one window, together; kwmlp's make 1.9 million."""

_MAX_CONSTANTS = 8 << 20
"""Numbers that nodes make of weights alone."""

_MAX_ATTRIBUTE = 1e6

_MAX_MULTIPLICATIONS = 1 << 29
"""In the matrix products and convolutions for one window, with what reductions read; kwmlp has 29
million."""

_CASTS = (1, 10)  # float32, float16; a string takes a hundred times the time and memory

Shape = tuple[int, ...]


class _Node(NamedTuple):
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, tuple[int, ...]]
    """Those that are integers or lists of them."""

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is one integer."""
        return self.attributes.get(name, (default,))[-1]


_Attribute = tuple[str, tuple[int, ...]]


def _attribute(data: bytes, left: Iterator[int]) -> _Attribute:
    values: tuple[int, ...] = ()
    attribute = list(fields(memoryview(data), left, float_field=2))
    for number, value in attribute:
        if number in (3, 8) and len(values) <= 2 * MAX_DIMS:  # an integer, integers
            values += integers(value)
        elif number == 2 and isinstance(value, memoryview):
            if not abs(struct.unpack("<f", value)[0]) <= _MAX_ATTRIBUTE:  # NaN, too
                raise ValueError("an attribute that is no plausible number")
        elif number == 4 and text([(number, value)], 4) not in ("none", "tanh"):  # forms of Gelu
            raise ValueError("an attribute of unknown text")
        elif number not in (1, 4, 7, 13, 20):  # name, text, floats, comment, type
            raise ValueError("an attribute that holds a tensor or a graph, or a long list")
    if {3, 8} <= {number for number, _ in attribute}:
        raise ValueError("an attribute that is an integer and a list")
    return text(attribute, 1), values


def _node(
    data: memoryview, left: Iterator[int], read_attribute: Callable[[bytes], _Attribute]
) -> _Node:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, tuple[int, ...]] = {}
    operator = ""
    for number, value in fields(data, left):
        if isinstance(value, int) or number not in (1, 2, 3, 4, 5, 6, 7, 9):
            raise ValueError("a node with an unknown part")
        if number == 5:
            name, values = read_attribute(bytes(value))
            if name in attributes:
                raise ValueError("two attributes of one name")
            attributes[name] = values
        elif number in (1, 2):
            (inputs if number == 1 else outputs).append(bytes(value).decode())
        elif number == 4:
            operator = bytes(value).decode()
        elif number == 7 and bytes(value) not in (b"", b"ai.onnx"):
            raise ValueError(f"operators of the domain {shorten(bytes(value).decode())}")
    return _Node(operator, tuple(inputs), tuple(outputs), attributes)


def _product(shape: Shape) -> int:
    return math.prod(shape)


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = tuple(max(sizes) if min(sizes) else 0 for sizes in zip(*padded, strict=True))
    for shape in padded:
        if any(size not in (1, most) for size, most in zip(shape, result, strict=True)):
            raise ValueError("shapes that don't fit each other")
    return result


def _check_fits(others: Sequence[Shape], shape: Shape) -> None:
    if _broadcast([shape, *others]) != shape:
        raise ValueError("a scale or bias that doesn't fit")


def _axis(axis: int, shape: Shape) -> int:
    if not -len(shape) <= axis < len(shape):
        raise ValueError("an axis that isn't there")
    return axis % len(shape)


def _counts_windows(shape: Sequence[int]) -> bool:
    return any(size % _BATCH == 0 for size in shape)


def _refuse_windows(node: _Node, shape: Sequence[int]) -> None:
    if _counts_windows(shape):
        raise ValueError(f"{node.operator} along the windows")


class _Inference:
    """Shapes of all values, computed node by node."""

    def __init__(self, tensors: Mapping[str, Tensor], inputs: Mapping[str, Shape]) -> None:
        self.shapes: dict[str, Shape] = {name: tensor.dims for name, tensor in tensors.items()}
        self.shapes |= inputs
        self.rows = {name: 1 for name, shape in inputs.items() if _counts_windows(shape)}
        """How many rows of a window follow each other in the axis of the windows, for each value
        that has them: 98 in [n * 98, 40], 1 in [98 * n, 40]."""
        self._rows = 0  # of the present node, 0 if it works on constants alone
        self._tensors = tensors
        self._made = self._constants = self._work = self._multiplications = 0

    def _numbers(self, node: _Node, index: int) -> tuple[int, ...] | None:
        """Return the integers that an operator takes as an input; they have to be in the file."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        tensor = self._tensors.get(node.inputs[index])
        if tensor is None or tensor.data_type != INT64 or len(tensor.data) > 8 * MAX_DIMS:
            raise ValueError(f"{node.operator}'s arguments are no constants")
        return tuple(np.frombuffer(tensor.data, "<i8").tolist())

    def add(self, node: _Node) -> None:
        """Compute the shapes of a node's outputs."""
        infer = _OPERATORS.get(node.operator)
        if infer is None:
            raise ValueError(f"the operator {shorten(node.operator)}, which no encoder needs")
        inputs = [self.shapes[name] for name in node.inputs if name]
        if not inputs or len(node.inputs) > 16 or not 1 <= len(node.outputs) <= 16:
            raise ValueError(f"{node.operator} with {len(node.inputs)} inputs")
        self._check_inputs(node, inputs)
        self._work = 0
        shapes = infer(self, node, inputs)
        if len(shapes) != len(node.outputs):
            raise ValueError(f"{node.operator} with {len(node.outputs)} outputs")
        size = sum(map(_product, shapes))
        if self._rows:
            self._made += size
            self._multiplications += self._work
        else:
            self._constants += size
            self._multiplications += self._work * _BATCH
        for name, shape in zip(node.outputs, shapes, strict=True):
            if name in self.shapes or len(shape) > MAX_DIMS or 0 in shape:
                raise ValueError("a value that is made twice, is empty or has too many dimensions")
            self.shapes[name] = shape
            if self._rows:
                self.rows[name] = self._rows
                if sum(size % _BATCH == 0 for size in shape) != 1:
                    raise ValueError(f"{node.operator} of several windows")
        if (
            self._made > _MAX_VALUES * _BATCH
            or self._constants > _MAX_CONSTANTS
            or self._multiplications > _MAX_MULTIPLICATIONS * _BATCH
        ):
            raise ValueError("far more to compute than in an encoder")

    def _check_inputs(self, node: _Node, inputs: list[Shape]) -> None:
        needed = node.inputs[:1] if node.operator in _WITH_BOUNDS else node.inputs
        if "" in needed or "" in node.outputs:  # most operators crash without one that they expect
            raise ValueError(f"{node.operator} with a value left out")
        names = node.inputs[:1] if node.operator in _WITH_ARGUMENTS else node.inputs
        if any(name in self._tensors and self._tensors[name].data_type == INT64 for name in names):
            raise ValueError(f"{node.operator} of integers")
        if unknown := node.attributes.keys() - _ATTRIBUTES.get(node.operator, "").split():
            raise ValueError(f"{node.operator} with the attribute {shorten(min(unknown))}")
        if any(0 in shape for shape in inputs):
            raise ValueError(f"{node.operator} of nothing")
        rows = {self.rows[name] for name in node.inputs if name in self.rows}
        if len(rows) > 1:
            raise ValueError(f"{node.operator} of windows in different orders")
        self._rows = max(rows, default=0)

    def _same(self, _: _Node, inputs: list[Shape]) -> list[Shape]:
        return inputs[:1]

    def _limited(self, _: _Node, inputs: list[Shape]) -> list[Shape]:
        _check_fits(inputs[1:], inputs[0])
        return inputs[:1]

    def _normalized(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        normalized = inputs[0][_axis(node.integer("axis", -1), inputs[0]) :]
        _refuse_windows(node, normalized)
        if any(shape != normalized for shape in inputs[1:]):
            raise ValueError("a scale and a bias that don't fit each other")
        return inputs[:1]

    def _normalized_as_trained(self, _: _Node, inputs: list[Shape]) -> list[Shape]:
        if any(shape != inputs[0][1:2] for shape in inputs[1:]):
            raise ValueError("statistics that don't fit")
        return inputs[:1]

    def _softmax(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        axis = _axis(node.integer("axis", -1), inputs[0])
        _refuse_windows(node, inputs[0][axis : axis + 1])
        return inputs[:1]

    def _elementwise(self, _: _Node, inputs: list[Shape]) -> list[Shape]:
        return [_broadcast(inputs)]

    def _cast(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        if node.integer("to", 0) not in _CASTS:
            raise ValueError("Cast to anything but float32 and float16")
        return inputs[:1]

    def _concat(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        axis = _axis(node.integer("axis", 0), inputs[0])
        rest = {shape[:axis] + shape[axis + 1 :] for shape in inputs}
        if len(rest) != 1:
            raise ValueError("Concat of shapes that don't fit each other")
        _refuse_windows(node, [shape[axis] for shape in inputs])
        total = sum(shape[axis] for shape in inputs)
        return [(*inputs[0][:axis], total, *inputs[0][axis + 1 :])]

    def _conv(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        data, weights = inputs[:2]
        pads, strides, dilations = (
            node.attributes.get(name, default)
            for name, default in (("pads", (0, 0)), ("strides", (1,)), ("dilations", (1,)))
        )
        lengths = len(data), len(weights), len(pads), len(strides), len(dilations)
        if lengths != (3, 3, 2, 1, 1):
            raise ValueError("Conv over anything but time")
        _refuse_windows(node, (*data[1:], *weights))
        groups, stride, dilation = node.integer("group", 1), strides[0], dilations[0]
        length = data[2] + sum(pads) - dilation * (weights[2] - 1) - 1
        fits = groups > 0 and data[1] == weights[1] * groups and weights[0] % groups == 0
        fits &= node.attributes.get("kernel_shape", weights[2:]) == weights[2:]
        fits &= all(shape == weights[:1] for shape in inputs[2:])
        if not fits or min(pads) < 0 or min(stride, dilation) < 1 or length < 0:
            raise ValueError("Conv of shapes that don't fit each other")
        result = (data[0], weights[0], length // stride + 1)
        self._work += _product(result) * _product(weights[1:])
        return [result]

    def _flatten(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        axis = node.integer("axis", 1)
        if not 0 <= axis <= len(inputs[0]):
            raise ValueError("an axis that isn't there")
        return [self._relaid(inputs[0], (_product(inputs[0][:axis]), _product(inputs[0][axis:])))]

    def _gemm(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        left, right = inputs[:2]
        if len(left) != 2 or len(right) != 2:
            raise ValueError("Gemm of what are no matrices")
        left = left[::-1] if node.integer("transA", 0) else left
        right = right[::-1] if node.integer("transB", 0) else right
        [result] = self._product_of(left, right)
        _check_fits(inputs[2:], result)
        return [result]

    def _matmul(self, _: _Node, inputs: list[Shape]) -> list[Shape]:
        left, right = inputs
        if not left or not right:
            raise ValueError("MatMul of a number")
        # A vector is a matrix of one row, or one column, which the result then lacks.
        [(*batch, rows, columns)] = self._product_of(
            left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
        )
        kept = [rows] * (len(left) > 1) + [columns] * (len(right) > 1)
        return [(*batch, *kept)]

    def _product_of(self, left: Shape, right: Shape) -> list[Shape]:
        if left[-1] != right[-2]:
            raise ValueError("a product of matrices that don't fit each other")
        result = (*_broadcast([left[:-2], right[:-2]]), left[-2], right[-1])
        self._work += _product(result) * left[-1]
        return [result]

    def _reduce(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        shape = inputs[0]
        self._work += _product(shape)  # what it reads may be far more than it makes
        axes = self._numbers(node, 1)
        if not axes and node.integer("noop_with_empty_axes", 0):
            return [shape]
        gone = {_axis(axis, shape) for axis in axes} if axes else set(range(len(shape)))
        if node.integer("keepdims", 1):
            return [tuple(1 if i in gone else size for i, size in enumerate(shape))]
        return [tuple(size for i, size in enumerate(shape) if i not in gone)]

    def _reshape(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        shape = inputs[0]
        wanted = list(self._numbers(node, 1) or ())
        _refuse_windows(node, [size for size in wanted if size])
        for index, size in enumerate(wanted):
            if size == 0 and not node.integer("allowzero", 0):
                wanted[index] = shape[index]
        known = math.prod(size for size in wanted if size != -1)
        if wanted.count(-1) == 1 and known > 0 and _product(shape) % known == 0:
            wanted[wanted.index(-1)] = _product(shape) // known
        if min(wanted, default=0) < 0 or math.prod(wanted) != _product(shape):
            raise ValueError("Reshape to a shape that doesn't fit")
        return [self._relaid(shape, tuple(wanted))]

    def _relaid(self, shape: Shape, wanted: Shape) -> Shape:
        """Return a shape that is wanted of what has another one, and follow the rows."""
        if not self._rows:
            return wanted
        # As many numbers follow a window's place in the one shape as in the other.
        old, new = (
            next(axis for axis, size in enumerate(sizes) if size % _BATCH == 0)
            for sizes in (shape, wanted)
        )
        numbers = self._rows * _product(shape[old + 1 :])
        self._rows, rest = divmod(numbers, _product(wanted[new + 1 :]))
        if rest or wanted[new] // _BATCH % self._rows:
            raise ValueError("Reshape across the windows")
        return wanted

    def _slice(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        shape = list(inputs[0])
        starts, ends = self._numbers(node, 1), self._numbers(node, 2)
        if starts is None or ends is None:
            raise ValueError("Slice without its bounds")
        axes = self._numbers(node, 3) or tuple(range(len(starts)))
        steps = self._numbers(node, 4) or (1,) * len(starts)
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            if step < 1:
                raise ValueError("Slice backwards")
            place = _axis(axis, inputs[0])
            _refuse_windows(node, inputs[0][place : place + 1])
            shape[place] = len(range(*slice(start, end, step).indices(shape[place])))
        return [tuple(shape)]

    def _split(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        shape, count = inputs[0], len(node.outputs)
        axis = _axis(node.integer("axis", 0), shape)
        _refuse_windows(node, shape[axis : axis + 1])
        if len(node.inputs) > 1 or node.integer("num_outputs", count) != count:
            raise ValueError("Split into parts of stated sizes, or another number of them")
        if shape[axis] % count:
            raise ValueError("Split into unequal parts")
        return [(*shape[:axis], shape[axis] // count, *shape[axis + 1 :])] * count

    def _transpose(self, node: _Node, inputs: list[Shape]) -> list[Shape]:
        order = node.attributes.get("perm") or tuple(reversed(range(len(inputs[0]))))
        if sorted(order) != list(range(len(inputs[0]))):
            raise ValueError("Transpose with an invalid order")
        return [tuple(inputs[0][axis] for axis in order)]


_Rule = Callable[[_Inference, _Node, list[Shape]], list[Shape]]

_RULES: dict[_Rule, str] = {
    _Inference._same: "Gelu Identity Log Relu Sqrt",
    _Inference._limited: "Clip",
    _Inference._normalized: "LayerNormalization",
    _Inference._normalized_as_trained: "BatchNormalization",
    _Inference._softmax: "LogSoftmax",
    _Inference._cast: "Cast",
    _Inference._elementwise: "Add Div Max Min Mul Sub",
    _Inference._concat: "Concat",
    _Inference._conv: "Conv",
    _Inference._flatten: "Flatten",
    _Inference._gemm: "Gemm",
    _Inference._matmul: "MatMul",
    _Inference._reduce: "ReduceMax ReduceMean",
    _Inference._reshape: "Reshape",
    _Inference._slice: "Slice",
    _Inference._split: "Split",
    _Inference._transpose: "Transpose",
}

_OPERATORS = {name: rule for rule, names in _RULES.items() for name in names.split()}

_WITH_ARGUMENTS = ("ReduceMax", "ReduceMean", "Reshape", "Slice")
"""Operators whose first input alone is computed with: the others are integers in the file."""

_WITH_BOUNDS = ("Clip",)
"""Operators whose other inputs may be left out, by an empty name."""

_ATTRIBUTES = {
    "BatchNormalization": "epsilon momentum",
    "Cast": "to",
    "Concat": "axis",
    "Conv": "dilations group kernel_shape pads strides",
    "Flatten": "axis",
    "Gelu": "approximate",
    "Gemm": "alpha beta transA transB",
    "LayerNormalization": "axis epsilon stash_type",
    "LogSoftmax": "axis",
    "ReduceMax": "keepdims noop_with_empty_axes",
    "ReduceMean": "keepdims noop_with_empty_axes",
    "Reshape": "allowzero",
    "Split": "axis num_outputs",
    "Transpose": "perm",
}
"""What may be stated of an operator; of others, nothing."""

OPERATORS = frozenset(_OPERATORS)
"""Operators that a model file may use."""


def check_shapes(summary: OnnxSummary) -> None:
    """Compute the shapes of all values.

    Raises:
        ValueError: an operator or a shape that no encoder has, far more to compute than in one,
            results that depend on other windows, or an output of another shape than declared.
        KeyError: a value is used before it is computed.

    Examples:
        >>> from hearaudiomlp.weights.onnx_file import summarize
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     check_shapes(summarize(file.read()))
    """
    if len(summary.nodes) > _MAX_NODES:
        raise ValueError(f"{len(summary.nodes):,} nodes")
    if summary.opset not in _OPSETS:
        raise ValueError(f"operators of the opset {summary.opset}")
    if summary.tensors.keys() & summary.inputs.keys():  # ONNX Runtime then has no such input
        raise ValueError("a tensor with the name of an input")

    def fixed(shape: tuple[int | str, ...]) -> Shape:
        return tuple(size if isinstance(size, int) else _BATCH for size in shape)

    inputs = {name: fixed(shape) for name, shape in summary.inputs.items()}
    inference = _Inference(summary.tensors, inputs)
    left = allowance()

    @cache  # hundreds of nodes share a few dozen
    def read_attribute(data: bytes) -> _Attribute:
        return _attribute(data, left)

    for node in summary.nodes:
        inference.add(_node(node, left, read_attribute))
    for name, shape in summary.outputs.items():
        if inference.shapes[name] != fixed(shape) or name not in inference.rows:
            raise ValueError(f"{name} of another shape than it declares")
