"""A part of a graph as a graph of its own, cut out of the ONNX file without the onnx package.

Live audio needs the front end and the encoder apart, because windows that overlap have frames of
the spectrogram in common. Both are cut out of the one graph that the model file holds, so there is
no second copy of either that could come to differ from it. Field numbers are those of onnx.proto3
(https://protobuf.dev/programming-guides/encoding/ describes how the fields are encoded).
"""

from collections.abc import Iterator

from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.weights.onnx_file import fields, message_of, names_in

Shape = tuple[int | str, ...]

# Of ModelProto; of GraphProto; of NodeProto; of TensorProto.
_GRAPH, _METADATA = 7, 14
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME = 8
_FLOAT = 1


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def _field(number: int, value: int | bytes | memoryview) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _value_info(name: str, shape: Shape) -> bytes:
    """Encode name and shape of a float32 value; a string is the name of a free dimension."""
    dimensions = b"".join(
        _field(1, _field(1, size) if isinstance(size, int) else _field(2, size.encode()))
        for size in shape
    )
    tensor = _field(1, _FLOAT) + _field(2, dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


class Graph:
    """The graph in an ONNX file, to find values in and to cut parts out of."""

    def __init__(self, data: bytes) -> None:
        """Read the file whose bytes are ``data``.

        Raises:
            ModelFileError: it has no graph.
        """
        self._model = list(fields(memoryview(data)))
        graph = next((value for number, value in self._model if number == _GRAPH), None)
        if graph is None:
            raise ModelFileError("not an ONNX file: it has no graph")
        self._graph = message_of(graph)
        self._nodes = [message_of(value) for number, value in self._graph if number == _NODE]

    def find_partner(self, factor: str) -> str:
        """Return the name of what a constant is combined with in the one node that uses it.

        Raises:
            ModelFileError: no node uses it, or several do.
        """
        name = factor.encode()
        users = [names_in(node, _NODE_INPUT) for node in self._nodes]
        others = [inputs - {name} for inputs in users if name in inputs]
        if len(others) != 1 or len(others[0]) != 1:
            raise ModelFileError(f"the graph doesn't use {factor} as the packaged one does")
        return others[0].pop().decode()

    def find_source(self, value: str) -> str:
        """Return the name of the computed value that the node making ``value`` takes.

        Raises:
            ModelFileError: no node makes it, or it is made of several computed values.
        """
        made = set().union(*(names_in(node, _NODE_OUTPUT) for node in self._nodes))
        makers = [node for node in self._nodes if value.encode() in names_in(node, _NODE_OUTPUT)]
        sources = [names_in(node, _NODE_INPUT) & made for node in makers]
        if len(sources) != 1 or len(sources[0]) != 1:
            raise ModelFileError(f"the graph doesn't make {value} as the packaged one does")
        return sources[0].pop().decode()

    def _between(self, start: str, stops: set[bytes]) -> tuple[list[bool], set[bytes]]:
        """Tell which nodes the stops need, taking ``start`` as given, and all names that are used.

        Raises:
            ModelFileError: the stops don't depend on ``start``.
        """
        needed = set(stops)
        kept = []
        for node in reversed(self._nodes):  # they are in topological order, as ONNX demands
            outputs = names_in(node, _NODE_OUTPUT)
            use = bool(outputs & needed) and start.encode() not in outputs
            kept.append(use)
            if use:
                needed |= names_in(node, _NODE_INPUT)
        if start.encode() not in needed:
            raise ModelFileError(f"the graph doesn't compute its outputs from {start}")
        return kept[::-1], needed

    def cut(
        self, start: tuple[str, Shape], stop: tuple[str, Shape] | None = None
    ) -> tuple[bytes, set[str]]:
        """Cut out the part that leads from one value to another.

        Args:
            start: name and shape of the value that becomes the input.
            stop: name and shape of the one that becomes the output; those of the whole graph, if
                not given.

        Returns:
            The part as an ONNX file, and the names of the values that it uses; the initializers
            that are not in the file keep their names.

        Raises:
            ModelFileError: the output doesn't depend on the start.
        """
        if stop is None:
            outputs = [message_of(value) for number, value in self._graph if number == _OUTPUT]
            stops = set().union(*(names_in(output, 1) for output in outputs)) - {start[0].encode()}
        else:
            stops = {stop[0].encode()}
        kept, used = self._between(start[0], stops)
        parts = [
            _field(*field)
            for field in self._part_fields(kept, used, stops if stop is None else set())
        ]
        parts.append(_field(_INPUT, _value_info(*start)))
        if stop is not None:
            parts.append(_field(_OUTPUT, _value_info(*stop)))
        graph = b"".join(parts)
        model = b"".join(
            _field(number, graph if number == _GRAPH else value)
            for number, value in self._model
            if number != _METADATA
        )
        return model, {name.decode() for name in used}

    def _part_fields(
        self, kept: list[bool], used: set[bytes], outputs: set[bytes]
    ) -> Iterator[tuple[int, int | memoryview]]:
        nodes = iter(kept)
        for number, value in self._graph:
            wanted = number not in (_INPUT, _VALUE_INFO)
            if number == _NODE:
                wanted = next(nodes)
            elif number == _INITIALIZER:
                wanted = bool(names_in(message_of(value), _TENSOR_NAME) & used)
            elif number == _OUTPUT:
                wanted = bool(names_in(message_of(value), 1) & outputs)
            if wanted:
                yield number, value
