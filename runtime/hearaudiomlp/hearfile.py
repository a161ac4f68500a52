"""The encoder inside a file that holds the whole HEAR pipeline.

``hearaudiomlp-export --interface hear`` puts padding, stitching and pooling around the encoder, for
programs without this package. This package does those steps itself, in blocks of windows, with
bounded memory and on many threads; so it takes the encoder out of such a file, without the onnx
package. What is around it has names that begin with ``hear.``, and the values at the encoder's
ends are declared among the graph's inner values (field numbers are those of onnx.proto3).
"""

from collections.abc import Iterator

from hearaudiomlp.onnxfile import encode_field, fields, message, text

_PREFIX = "hear."
_NODE, _INPUT, _OUTPUT, _VALUE_INFO = 1, 11, 12, 13  # of GraphProto
_GRAPH = 7  # of ModelProto
_INNER_LOGITS, _LOGITS = "window_logits", "keyword_logits"


def _renamed(value_info: memoryview, name: str) -> bytes:
    kept = [(number, value) for number, value in fields(value_info) if number != 1]
    return encode_field(1, name.encode()) + b"".join(encode_field(*one) for one in kept)


def _cut_graph(graph: memoryview) -> Iterator[bytes]:
    for number, value in fields(graph):
        if number in (_INPUT, _OUTPUT):
            continue
        if number == _NODE and text(message(value), 3).startswith(_PREFIX):
            continue
        if number != _VALUE_INFO or isinstance(value, int):
            yield encode_field(number, value)
            continue
        name = text(message(value), 1)
        if name == _INNER_LOGITS:
            node = ((1, _INNER_LOGITS), (2, _LOGITS), (4, "Identity"))
            yield encode_field(_NODE, b"".join(encode_field(n, t.encode()) for n, t in node))
            yield encode_field(_OUTPUT, _renamed(value, _LOGITS))
        else:
            yield encode_field(_INPUT if name == "windows" else _OUTPUT, value)


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
