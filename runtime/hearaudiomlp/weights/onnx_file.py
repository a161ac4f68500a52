"""What an ONNX file says of itself, read without the onnx package.

ONNX files are protocol buffers (https://protobuf.dev/programming-guides/encoding/). Only a handful
of fields is needed to refuse a foreign or cut-off file with a good message, and to print what a
graph consists of. Field numbers are those of onnx.proto3.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import ModelFileError

_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_INSIDE, _EXTERNAL = 0, 1  # TensorProto.DataLocation

# Fields that a model file of this package has no use for, and what they hold.
_FOREIGN_IN_MODEL = {20: "training information", 25: "local functions", 26: "device configurations"}
_FOREIGN_IN_GRAPH = {14: "quantization annotations", 15: "sparse tensors"}

_STANDARD = ("", "ai.onnx")  # both name the domain of ONNX's own operators

_MAX_NUMBER = 1 << 29  # of a field
_MAX_FIELDS = 100_000  # of a file; those that are read of the largest export are some thousand
_MAX_SIGNATURE = 16  # inputs, and outputs

MAX_DIMS = 8
"""Dimensions that a value may have."""

_MAX_INTEGERS = 2 * MAX_DIMS  # of one list: a beginning and an end for each dimension

INT64 = 7
"""As TensorProto.DataType numbers it."""

Message = list[tuple[int, int | memoryview]]
"""Numbers of the fields of a message, and their values."""


class Tensor(NamedTuple):
    """An initializer.

    Examples:
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     tensors = summarize(file.read()).tensors
        >>> tensors["to_logits.2.weight"].dims
        (35, 64)
    """

    dims: tuple[int, ...]
    data_type: int
    """As TensorProto.DataType numbers it."""

    data: memoryview
    """Its values as raw bytes; empty, if they are anywhere else."""

    location: int
    """As TensorProto.DataLocation numbers it."""


class OnnxSummary:
    """The outline of an ONNX file.

    Examples:
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     summary = summarize(file.read())
        >>> summary.inputs, summary.outputs["keyword_logits"]
        ({'windows': ('n', 16000)}, ('n', 35))
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.metadata: dict[str, str] = {}
        self.operators: Counter[str] = Counter()
        """How often each operator works on the input; what works on weights alone runs only once.

        Empty, if they weren't asked for."""
        self.opset = 0
        self.inputs: dict[str, tuple[int | str, ...]] = {}
        self.outputs: dict[str, tuple[int | str, ...]] = {}
        self.types: dict[str, int] = {}
        """Type of the elements of each input and output, as TensorProto.DataType numbers it."""
        self.external: dict[str, tuple[int, ...]] = {}
        """Name and shape of each tensor whose values are not in the file."""
        self.nodes: list[memoryview] = []
        """The nodes, in topological order as ONNX demands."""
        self.tensors: dict[str, Tensor] = {}
        """The initializers by name."""
        self.foreign: set[str] = set()
        """What no model file of this package has: sparse tensors, local functions ..."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def allowance() -> Iterator[int]:
    r"""Return a counter of the fields that may be read, for all messages of a file together.

    Examples:
        >>> left = allowance()
        >>> len(list(fields(memoryview(b"\x08\x01" * 99_999), left)))
        99999
        >>> message_of(memoryview(b"\x08\x01" * 2), left)
        Traceback (most recent call last):
            ...
        ValueError: more parts than any model has
    """
    return iter(range(_MAX_FIELDS))


def fields(
    data: memoryview, left: Iterator[int] | None = None, *, float_field: int = 0
) -> Iterator[tuple[int, int | memoryview]]:
    r"""Read a message; give the number and the value of each of its fields.

    Args:
        data: the message.
        left: what :func:`allowance` returned; without one, the message has its own.
        float_field: the only one that may be a float.

    Raises:
        ValueError: it is no message, or one that ONNX Runtime may read otherwise.
        IndexError: it was cut off.

    Example:
        >>> [(number, bytes(value)) for number, value in fields(memoryview(b"\x0a\x02hi"))]
        [(1, b'hi')]
    """
    at = 0
    end = len(data)
    left = allowance() if left is None else left
    while at < end:
        if next(left, None) is None:  # each takes a hundred times its two bytes in memory
            raise ValueError("more parts than any model has")
        key = data[at]
        at += 1
        if key >= 0x80:
            key, at = _varint(data, at - 1)
        number, wire = key >> 3, key & 7
        if not 0 < number < _MAX_NUMBER:  # others cut it to 32 bits, and read another field
            raise ValueError(f"a field of number {number}")
        if wire in (_VARINT, _BYTES):
            size = data[at]  # most numbers have one byte, and a call for each takes long
            at += 1
            if size >= 0x80:
                size, at = _varint(data, at - 1)
            if wire == _VARINT:
                yield number, size
                continue
        elif wire == _FIXED32 and number == float_field:
            size = 4
        else:  # where bytes belong, others pass over numbers of fixed width
            raise ValueError(f"wire type {wire}")
        if at + size > end:
            raise ValueError("a field that ends behind its message")
        yield number, data[at : at + size]
        at += size


def message_of(value: int | memoryview, left: Iterator[int] | None = None) -> Message:
    r"""Return the fields of a value that is a message itself.

    Args:
        value: of a field.
        left: as for :func:`fields`.

    Examples:
        >>> [(number, bytes(value)) for number, value in message_of(memoryview(b"\x0a\x02hi"))]
        [(1, b'hi')]
    """
    if isinstance(value, int):
        raise ValueError("a number instead of a message")
    return list(fields(value, left))


def _last(message: Message, number: int) -> int | memoryview | None:
    return next((value for key, value in reversed(message) if key == number), None)


def text(message: Message, number: int) -> str:
    r"""Return a message's text field, empty if it isn't there.

    Examples:
        >>> text(message_of(memoryview(b"\x0a\x02hi")), 1)
        'hi'
    """
    value = _last(message, number)
    if isinstance(value, int):
        raise ValueError("a number instead of text")
    return "" if value is None else bytes(value).decode()


def _type(value_info: Message, left: Iterator[int]) -> tuple[int, tuple[int | str, ...]]:
    """Return type and shape of a value."""
    tensor_type: Message = value_info
    for number in (2, 1):  # type, tensor_type
        inner = _last(tensor_type, number)
        if inner is None:
            return 0, ()
        tensor_type = message_of(inner, left)
    elements, shape = _last(tensor_type, 1), _last(tensor_type, 2)
    dimensions: list[int | str] = []
    for number, value in [] if shape is None else message_of(shape, left):
        if number == 1:
            if len(dimensions) >= MAX_DIMS:
                raise ValueError("a shape of more dimensions than any model has")
            dimension = message_of(value, left)
            fixed = _last(dimension, 1)
            dimensions.append(fixed if isinstance(fixed, int) else text(dimension, 2))
    return elements if isinstance(elements, int) else 0, tuple(dimensions)


def integers(value: int | memoryview) -> tuple[int, ...]:
    r"""Return the numbers in a field of repeated integers, packed or not; they are signed.

    Example:
        >>> integers(2**64 - 1), integers(memoryview(b"\x01\x02"))
        ((-1,), (1, 2))
    """
    if isinstance(value, int):
        return (value - (1 << 64) if value >> 63 else value,)
    found: list[int] = []
    at = 0
    while at < len(value):
        if len(found) >= _MAX_INTEGERS:
            raise ValueError("a list of more numbers than any model has")
        number, at = _varint(value, at)
        found += integers(number)
    return tuple(found)


def _location(value: int | memoryview, summary: OnnxSummary) -> int:
    # Readers of protocol buffers cut a number to 32 bits, so 2**32 + 1 is EXTERNAL too.
    if value not in (_INSIDE, _EXTERNAL):
        summary.foreign.add("tensors at an unknown location")
    return _INSIDE if value == _INSIDE else _EXTERNAL


def _tensor(data: memoryview, summary: OnnxSummary, left: Iterator[int]) -> tuple[str, Tensor]:
    dims: tuple[int, ...] = ()
    name, data_type, location = "", 0, _INSIDE
    values = memoryview(b"")
    for number, value in fields(data, left):
        if number == 1:
            if len(dims) > MAX_DIMS:
                raise ValueError("a tensor of more dimensions than any model has")
            dims += integers(value)
        elif number == 14:
            location = _location(value, summary)
        elif number == 13:
            location = _EXTERNAL
        elif isinstance(value, int):
            data_type = value if number == 2 else data_type
        elif number == 8:
            name = bytes(value).decode()
        elif number == 9:
            values = value
        elif number not in (12, 16):  # text, metadata
            summary.foreign.add("tensors whose values aren't raw bytes")
    return name, Tensor(dims, data_type, values, location)


def _names_in(message: Message, number: int) -> set[bytes]:
    """Return the texts in the fields of one number."""
    return {bytes(value) for key, value in message if key == number and not isinstance(value, int)}


def _read_graph(graph: memoryview, summary: OnnxSummary, left: Iterator[int]) -> None:
    for number, value in fields(graph, left):
        if isinstance(value, int):
            raise ValueError("a number instead of a part of the graph")
        if number == 1:  # node
            summary.nodes.append(value)
        elif number == 5:  # initializer
            name, tensor = _tensor(value, summary, left)
            if name in summary.tensors:
                summary.foreign.add("two tensors of one name")
            summary.tensors[name] = tensor
            if tensor.location == _EXTERNAL:
                summary.external[name] = tensor.dims
        elif number in (11, 12):  # input, output
            info = message_of(value, left)
            name = text(info, 1)
            signature = summary.inputs if number == 11 else summary.outputs
            if len(signature) >= _MAX_SIGNATURE:
                raise ValueError("more inputs or outputs than any model has")
            summary.types[name], signature[name] = _type(info, left)
        elif number in _FOREIGN_IN_GRAPH:
            summary.foreign.add(_FOREIGN_IN_GRAPH[number])


def _read_opset(opset: Message, summary: OnnxSummary) -> None:
    version = _last(opset, 2)
    if text(opset, 1) in _STANDARD and isinstance(version, int):
        if summary.opset not in (0, version):  # ONNX Runtime takes the last one, others the first
            summary.foreign.add("two versions of the operators")
        summary.opset = version


def _count_operators(summary: OnnxSummary, left: Iterator[int]) -> None:
    reached = {name.encode() for name in summary.inputs}
    for value in summary.nodes:
        node = message_of(value, left)
        if reached & _names_in(node, 1):
            reached |= _names_in(node, 2)
            domain = text(node, 7)
            summary.operators[f"{domain}.{text(node, 4)}" if domain else text(node, 4)] += 1


def summarize(data: bytes, *, operators: bool = True) -> OnnxSummary:
    """Read the outline of the ONNX file whose bytes are ``data``.

    Args:
        data: the file's content.
        operators: read the nodes as well, which takes most of the time.

    Raises:
        ModelFileError: it is no ONNX file, or was cut off.

    Examples:
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     summary = summarize(file.read())
        >>> summary.metadata["model"]
        'kwmlp'
    """
    summary = OnnxSummary()
    has_graph = False
    left = allowance()
    try:
        for number, value in fields(memoryview(data), left):
            if number == 7 and isinstance(value, memoryview):  # graph
                has_graph = True
                _read_graph(value, summary, left)
            elif number == 8:  # opset_import
                _read_opset(message_of(value, left), summary)
            elif number == 14:  # metadata_props
                entry = message_of(value, left)
                summary.metadata[text(entry, 1)] = text(entry, 2)
            elif number in _FOREIGN_IN_MODEL:
                summary.foreign.add(_FOREIGN_IN_MODEL[number])
        if operators:
            _count_operators(summary, left)
    except (ValueError, IndexError) as problem:  # UnicodeDecodeError is a ValueError
        reason = shorten(problem)
        raise ModelFileError(f"not an ONNX file, or one that was cut off ({reason})") from None
    if not has_graph or not summary.opset:
        raise ModelFileError("not an ONNX file, or one that was cut off (it has no graph)")
    return summary
