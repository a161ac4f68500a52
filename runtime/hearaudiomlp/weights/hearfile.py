"""The encoder inside a file that holds the whole HEAR pipeline.

``hearaudiomlp-export --interface hear`` puts padding, stitching and pooling around the encoder, for
programs without this package. This package does those steps itself, in blocks of windows, with
bounded memory and on many threads; so it takes the encoder out of such a file, without the onnx
package. What is around it has names that begin with ``hear.``, and the values at the encoder's
ends are declared among the graph's inner values (field numbers are those of onnx.proto3).
"""

from collections.abc import Iterator

from hearaudiomlp.weights.onnx_file import encode_field, fields, message_of, text

_PREFIX = "hear."
_GRAPH = 7  # of ModelProto
_NODE, _INPUT, _OUTPUT, _VALUE_INFO = 1, 11, 12, 13  # of GraphProto
_LOOP = "hear.block_frames"
_INNER_LOGITS, _LOGITS = "window_logits", "keyword_logits"


def _is_around(node: memoryview) -> bool:
    return text(message_of(node), 3).startswith(_PREFIX)


def _renamed(value_info: memoryview, name: str) -> bytes:
    kept = [(number, value) for number, value in fields(value_info) if number != 1]
    return encode_field(1, name.encode()) + b"".join(encode_field(*one) for one in kept)


def _body(loop: memoryview) -> Iterator[bytes]:
    """Give the encoder's nodes and ends, out of the loop that runs it on blocks of windows."""
    [attribute] = [value for number, value in fields(loop) if number == 5]
    [graph] = [value for number, value in message_of(attribute) if number == 6]
    for number, value in message_of(graph):
        if isinstance(value, int):
            continue
        if number == _NODE and not _is_around(value):
            yield encode_field(_NODE, value)
        elif number == _VALUE_INFO and text(message_of(value), 1) == "windows":
            yield encode_field(_INPUT, value)
        elif number == _OUTPUT and text(message_of(value), 1) == _INNER_LOGITS:
            node = ((1, _INNER_LOGITS), (2, _LOGITS), (4, "Identity"))
            yield encode_field(_NODE, b"".join(encode_field(n, t.encode()) for n, t in node))
            yield encode_field(_OUTPUT, _renamed(value, _LOGITS))
        elif number == _OUTPUT and text(message_of(value), 1) == "frame_embeddings":
            yield encode_field(_OUTPUT, value)


def _cut_graph(graph: memoryview) -> Iterator[bytes]:
    for number, value in fields(graph):
        if number == _NODE and not isinstance(value, int) and _is_around(value):
            if text(message_of(value), 3) == _LOOP:
                yield from _body(value)
        elif number not in (_INPUT, _OUTPUT, _VALUE_INFO):
            yield encode_field(number, value)


def cut_encoder(data: bytes) -> bytes:
    """Return the encoder's own model file, out of that of the whole pipeline.

    Args:
        data: an ONNX file, exported with ``--interface hear``.

    Returns:
        An ONNX file as ``--interface windows`` exports it, with the same metadata.

    Raises:
        ValueError: it is damaged.
    """
    whole = []
    for number, value in fields(memoryview(data)):
        if number == _GRAPH:
            if isinstance(value, int):
                raise ValueError("a number in the place of the graph")
            whole.append(encode_field(number, b"".join(_cut_graph(value))))
        else:
            whole.append(encode_field(number, value))
    return b"".join(whole)
