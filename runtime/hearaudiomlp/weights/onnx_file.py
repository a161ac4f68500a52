"""What an ONNX file says of itself, read without the onnx package.

ONNX files are protocol buffers (https://protobuf.dev/programming-guides/encoding/). Only a handful
of fields is needed to refuse a foreign or cut-off file with a good message, and to print what a
graph consists of. Field numbers are those of onnx.proto3.
"""

from collections import Counter
from collections.abc import Iterator

from hearaudiomlp.errors import ModelFileError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1  # TensorProto.DataLocation.EXTERNAL

Message = list[tuple[int, int | memoryview]]
"""Numbers of the fields of a message, and their values."""


class OnnxSummary:
    """The outline of an ONNX file."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.metadata: dict[str, str] = {}
        self.operators: Counter[str] = Counter()
        """How often each operator works on the input; what works on weights alone runs only once.

        Empty, if they weren't asked for."""
        self.opset = 0
        self.inputs: dict[str, tuple[int | str, ...]] = {}
        self.outputs: dict[str, tuple[int | str, ...]] = {}
        self.external: dict[str, tuple[int, ...]] = {}
        """Name and shape of each tensor whose values are not in the file."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 0x80:  # nearly all of them
        return value, at + 1
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Read a message; give the number and the value of each of its fields.

    Raises:
        ValueError: it is no message.
        IndexError: it was cut off.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("a field that ends behind its message")
        yield number, data[at : at + size]
        at += size


def encode_field(number: int, value: int | bytes | memoryview) -> bytes:
    """Return one field as a message has it, the reverse of :func:`fields`."""

    def varint(rest: int) -> bytes:
        low = bytes([rest & 0x7F | (0x80 if rest > 0x7F else 0)])
        return low + varint(rest >> 7) if rest > 0x7F else low

    if isinstance(value, int):
        return varint(number << 3 | _VARINT) + varint(value)
    return b"".join([varint(number << 3 | _BYTES), varint(len(value)), value])


def message_of(value: int | memoryview) -> Message:
    """Return the fields of a value that is a message itself."""
    if isinstance(value, int):
        raise ValueError("a number in the place of a message")
    return list(fields(value))


def _last(message: Message, number: int) -> int | memoryview | None:
    return next((value for key, value in reversed(message) if key == number), None)


def text(message: Message, number: int) -> str:
    """Return a message's text field, empty if it isn't there."""
    value = _last(message, number)
    return "" if value is None or isinstance(value, int) else bytes(value).decode()


def _shape(value_info: Message) -> tuple[int | str, ...]:
    shape: Message = value_info
    for number in (2, 1, 2):  # type, tensor_type, shape
        inner = _last(shape, number)
        if inner is None:
            return ()
        shape = message_of(inner)
    dimensions: list[int | str] = []
    for number, value in shape:
        if number == 1:
            dimension = message_of(value)
            fixed = _last(dimension, 1)
            dimensions.append(fixed if isinstance(fixed, int) else text(dimension, 2))
    return tuple(dimensions)


def _dims(tensor: Message) -> tuple[int, ...]:
    dims: list[int] = []
    for number, value in tensor:
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1 and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                dim, at = _varint(value, at)
                dims.append(dim)
    return tuple(dims)


def names_in(message: Message, number: int) -> set[bytes]:
    """Return the texts in the fields of one number."""
    return {bytes(value) for key, value in message if key == number and not isinstance(value, int)}


def _read_graph(graph: memoryview, summary: OnnxSummary, *, operators: bool) -> None:
    nodes: list[Message] = []
    for number, value in fields(graph):
        if number == 1 and operators:  # node
            nodes.append(message_of(value))
        elif number == 5:  # initializer
            tensor = message_of(value)
            if _last(tensor, 14) == _EXTERNAL:
                summary.external[text(tensor, 8)] = _dims(tensor)
        elif number in (11, 12):  # input, output
            info = message_of(value)
            signature = summary.inputs if number == 11 else summary.outputs
            signature[text(info, 1)] = _shape(info)
    reached = {name.encode() for name in summary.inputs}
    for node in nodes:  # in topological order, as ONNX demands
        if reached & names_in(node, 1):
            reached |= names_in(node, 2)
            domain = text(node, 7)
            summary.operators[f"{domain}.{text(node, 4)}" if domain else text(node, 4)] += 1


def summarize(data: bytes, *, operators: bool = True) -> OnnxSummary:
    """Read the outline of the ONNX file whose bytes are ``data``.

    Args:
        data: the file's content.
        operators: read the nodes as well, which takes most of the time.

    Raises:
        ModelFileError: it is no ONNX file, or was cut off.
    """
    summary = OnnxSummary()
    has_graph = False
    try:
        for number, value in fields(memoryview(data)):
            if number == 7 and isinstance(value, memoryview):  # graph
                has_graph = True
                _read_graph(value, summary, operators=operators)
            elif number == 8:  # opset_import
                opset = message_of(value)
                version = _last(opset, 2)
                if not text(opset, 1) and isinstance(version, int):
                    summary.opset = version
            elif number == 14:  # metadata_props
                entry = message_of(value)
                summary.metadata[text(entry, 1)] = text(entry, 2)
    except (ValueError, IndexError) as problem:  # UnicodeDecodeError is a ValueError
        raise ModelFileError(f"not an ONNX file, or one that was cut off ({problem})") from None
    if not has_graph or not summary.opset:
        raise ModelFileError("not an ONNX file, or one that was cut off (it has no graph)")
    return summary
