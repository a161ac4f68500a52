"""Model files that are hostile: what their graphs may not have, compute or promise."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from graphs import (
    AUDIO,
    FIRST,
    LAST,
    SHAPE,
    SIZE,
    WEIGHTS,
    exported,
    handmade,
    metadata,
    node,
    refused,
    tensor,
    value_info,
)
from hearaudiomlp import load_model
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.weights.model_file import read_model_file
from hearaudiomlp.weights.onnx_file import summarize
from hearaudiomlp.weights.onnx_shapes import OPERATORS
from hearaudiomlp_export.graph.trace import ALLOWED_OPERATORS
from paths import ROOT


def test_a_graph_of_known_operators_is_accepted(tmp_path: Path) -> None:
    onnx.save(handmade([FIRST, LAST]), tmp_path / "x.onnx")
    assert load_model(tmp_path / "x.onnx").timestamp_embeddings(AUDIO)[0].shape == (1, 0, SIZE)


def test_what_the_exporter_may_write_is_allowed() -> None:
    assert ALLOWED_OPERATORS <= OPERATORS


@pytest.mark.parametrize("path", sorted((ROOT / "onnx_models").glob("*.onnx")), ids=str)
def test_every_exported_model_passes(path: Path) -> None:
    assert read_model_file(path.read_bytes()).card["model"] in path.name


def external(one: onnx.TensorProto) -> onnx.TensorProto:
    moved = onnx.TensorProto()
    moved.CopyFrom(one)
    moved.ClearField("raw_data")
    moved.data_location = TensorProto.EXTERNAL
    moved.external_data.add(key="location", value="/etc/passwd")
    return moved


def test_external_data_is_refused_wherever_it_is() -> None:
    model = handmade([FIRST, LAST])
    model.graph.initializer[0].CopyFrom(external(WEIGHTS))
    refused(model, "without weights")
    model = handmade([FIRST, LAST])
    model.graph.initializer[0].external_data.add(key="location", value="x")
    refused(model, "without weights")
    constant = node("Constant", "", "W2", value=external(WEIGHTS))
    refused(handmade([constant, FIRST, LAST]), "tensor or a graph")
    inner = helper.make_graph([], "i", [], [value_info("W", [1])], [external(WEIGHTS)])
    branch = node("If", "c", "z", then_branch=inner, else_branch=inner)
    refused(handmade([branch, FIRST, LAST], (tensor("c", np.array(True)),)), "no encoder has")


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(key: int, wire: int, value: bytes) -> bytes:
    """A field of a protocol buffer; the value stands for itself, but for wire type 2."""
    return varint(key << 3 | wire) + (varint(len(value)) if wire == 2 else b"") + value


def with_fields(where: str, extra: bytes) -> bytes:
    """The exporter's audiomae with more fields at the end of one of its messages."""
    model = exported()
    graph, ends = model.graph, dict.fromkeys(("node", "tensor", "graph", "model"), b"")
    ends[where] = extra
    last = node("Identity", "frame_embeddings", "z").SerializeToString() + ends["node"]
    one = tensor("shape", np.array([1])).SerializeToString() + ends["tensor"]
    body = graph.SerializeToString() + field(1, 2, last) + field(5, 2, one) + ends["graph"]
    model.ClearField("graph")
    return model.SerializeToString() + field(7, 2, body) + ends["model"]


@pytest.mark.parametrize(
    ("where", "extra"),
    [
        ("node", field(4, 1, b"Identity")),  # behind another operator, it would hide that
        ("node", field(4, 5, b"Sqrt")),
        ("node", field(7, 0, b"\0")),
        ("tensor", field(9, 1, bytes(8))),
        ("tensor", field(1, 1, b"\1" * 8)),
        ("graph", field(1 + (1 << 29), 2, node("Tanh", "y", "q").SerializeToString())),
        ("graph", field(15 + (1 << 29), 2, b"")),
        ("model", field(7 + (1 << 29), 2, b"")),
        ("model", field(25 + (1 << 29), 2, b"")),
        ("model", field(0, 2, b"")),
    ],
)
def test_fields_that_readers_understand_differently_are_refused(where: str, extra: bytes) -> None:
    read_model_file(with_fields(where, b""))
    refused(with_fields(where, extra), "not an ONNX file|no encoder has")


def test_attributes_that_readers_understand_differently_are_refused() -> None:
    model = handmade([FIRST, node("Transpose", "y", "z", perm=[0, 1]), LAST])
    read_model_file(model.SerializeToString())
    model.graph.node[1].attribute[0].i = 1
    refused(model, "an integer and a list")
    model = handmade([FIRST, node("Transpose", "y", "z", perm=[0, 1]), LAST])
    model.graph.node[1].attribute.append(model.graph.node[1].attribute[0])
    refused(model, "two attributes")


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["node", "tensor", "graph", "model"]),
    st.integers(1, 30),
    st.sampled_from([0, 1, 2, 5]),
    st.binary(min_size=8, max_size=8) | st.just(b"Identity"),
)
def test_what_is_accepted_is_what_other_readers_see(
    where: str, key: int, wire: int, value: bytes
) -> None:
    value = value[: {0: 1, 1: 8, 2: 8, 5: 4}[wire]]
    data = with_fields(where, field(key, wire, bytes([value[0] & 127]) if wire == 0 else value))
    try:
        read_model_file(data)
        theirs = onnx.load_model_from_string(data).graph
    except (ModelFileError, DecodeError):
        return
    ours = summarize(data)
    assert [onnx.NodeProto.FromString(bytes(one)) for one in ours.nodes] == list(theirs.node)
    tensors = {
        one.name: (tuple(one.dims), one.data_type, one.raw_data) for one in theirs.initializer
    }
    assert tensors == {
        name: (one.dims, one.data_type, bytes(one.data)) for name, one in ours.tensors.items()
    }
    assert {one.op_type for one in theirs.node} <= OPERATORS
    assert not any(one.domain for one in theirs.node)


@pytest.mark.parametrize("location", [2, 1 << 31, (1 << 32) + 1, (1 << 64) - 1])
def test_a_location_that_readers_understand_differently_is_refused(location: int) -> None:
    def varint(value: int) -> bytes:
        return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])

    raw = SHAPE.SerializeToString() + b"\x70" + varint(location)
    model = handmade([FIRST, LAST])
    del model.graph.initializer[1]
    graph = model.graph.SerializeToString() + b"\x2a" + varint(len(raw)) + raw
    model.ClearField("graph")
    data = model.SerializeToString() + b"\x3a" + varint(len(graph)) + graph
    refused(data, "without weights|unknown location")


Change = Callable[[onnx.ModelProto], None]


def sparse(model: onnx.ModelProto) -> None:
    values = tensor("s", np.array([1.0], np.float32))
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, tensor("i", np.array([0])), [3])
    )


def function(model: onnx.ModelProto) -> None:
    opsets = [helper.make_opsetid("", 20)]
    model.functions.append(
        helper.make_function("own", "f", ["a"], ["b"], [node("Identity", "a", "b")], opsets)
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (sparse, "sparse tensors"),
        (function, "local functions"),
        (lambda m: m.graph.node[0].__setattr__("domain", "com.evil"), "com.evil"),
        (lambda m: m.graph.node[0].__setattr__("op_type", "\x1b[31m" * 999), "characters"),
        (lambda m: m.graph.initializer[0].__setattr__("raw_data", b""), "0 bytes of data"),
        (lambda m: m.graph.initializer[0].__setattr__("data_type", 99), "type 99"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, -1), "an invalid shape"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, 1 << 62), "bytes of data"),
        (lambda m: m.graph.initializer.append(WEIGHTS), "two tensors of one name"),
        (lambda m: m.graph.node.append(m.graph.node[0]), "made twice"),
        (lambda m: m.graph.node.reverse(), "doesn't compute"),
    ],
)
def test_parts_that_no_encoder_needs(change: Change, match: str) -> None:
    model = handmade([FIRST, LAST])
    change(model)
    refused(model, match)


@pytest.mark.parametrize(
    "data",
    [
        b"\x3a\x80\x89\x7a" + b"\x0a\x00" * 1_000_000,  # a graph of a million empty nodes
        b"\x72\x00" * 1_000_000,
        b"\x3a\x87\x89\x7a\x2a\x83\x89\x7a" + b"\x08\x01" * 1_000_000,  # dimensions, one by one
        b"\x3a\x88\x89\x7a\x2a\x84\x89\x7a\x0a\x80\x89\x7a" + b"\x01" * 2_000_000,  # and packed
    ],
    ids=["nodes", "metadata", "dimensions", "packed"],
)
def test_files_of_a_million_parts_are_refused_early(data: bytes) -> None:
    tracemalloc.start()
    try:
        refused(data, "not an ONNX file")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


GRAPH = field(7, 2, b"\x0a\x00" * 40_000)
DIMENSIONS = field(1, 2, field(2, 2, b"\x0a\x02\x08\x01" * 5_000))
INPUTS = [field(11, 2, field(1, 2, b"%d" % number)) for number in range(20)]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (GRAPH * 3, "more parts"),
        (GRAPH + field(14, 2, b"\x18\x01" * 40_000) * 2, "more parts"),
        (field(7, 2, b"".join(INPUTS)), "more inputs"),
        (field(7, 2, field(11, 2, field(2, 2, DIMENSIONS))), "more dimensions"),
    ],
    ids=["graphs", "messages", "inputs", "dimensions"],
)
def test_parts_are_counted_in_the_whole_file(more: bytes, match: str) -> None:
    """Each message has fewer than a file may have."""
    refused(exported().SerializeToString() + more, match)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_weights_that_are_no_numbers(value: float) -> None:
    model = exported()
    one = next(one for one in model.graph.initializer if one.name == "bottleneck.0.bias")
    one.raw_data = np.full(8, value, np.float32).tobytes()
    refused(model, r"bottleneck\.0\.bias has NaN, infinity")


@pytest.mark.parametrize(
    "labels",
    [
        "null",
        "false",
        "0",
        '""',
        "{}",
        "[" * 100_000,
        '[["yes"]]',
        "[null]",
        '{"yes": 1}',
        "9" * 999,
    ],
)
def test_labels_that_are_no_list_of_words(labels: str) -> None:
    refused(metadata(exported(), keyword_labels=labels), "metadata is damaged")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample_rate", "9" * 5000),
        ("sample_rate", "16_000"),
        ("sample_rate", "\N{ARABIC-INDIC DIGIT ONE}6000"),
        ("scene_steps", "-198"),
        ("checkpoint_sha256", "a" * (1 << 20)),
        ("source", "x" * 2000),
        ("labels_kind", "any"),
        ("interface", "\x1b[31m" * 1000),
        ("hearaudiomlp_format", "\x1b[31m" * 1000),
        ("model", "../" * 1000),
    ],
)
def test_metadata_without_bound(key: str, value: str) -> None:
    refused(metadata(exported(), **{key: value}), "metadata is damaged|its format is")


def test_keywords_in_another_order_are_refused() -> None:
    model = onnx.load(ROOT / "onnx_models" / "kwmlp.onnx")
    words = json.loads({one.key: one.value for one in model.metadata_props}["keyword_labels"])
    refused(metadata(model, keyword_labels=json.dumps(words[::-1])), "labels_kind isn't own")
    card = read_model_file(metadata(model, labels_kind="own").SerializeToString()).card
    assert json.loads(card["keyword_labels"]) == words[::-1]


def own_words(labels: list[str], **more: str) -> bytes:
    """The exporter's audiomae with a head for other words, appended as a second graph."""
    model = metadata(exported(), keyword_labels=json.dumps(labels), labels_kind="own", **more)
    weights = tensor("head.weight", np.ones((len(labels), 2 * SIZE), np.float32))
    bias, tiny = (tensor(name, np.float32(1e-6)) for name in ("head.bias", "head.tiny"))
    nodes = [
        node("ReduceMean", "frame_embeddings head.one", "m"),
        node("Sub", "frame_embeddings m", "d"),
        node("Mul", "d d", "s"),
        node("ReduceMean", "s head.one", "v"),
        node("Add", "v head.tiny", "p"),
        node("Sqrt", "p", "q"),
        node("Concat", "m q", "c", axis=1),
        node("Flatten", "c", "f", axis=1),
        node("Gemm", "f head.weight head.bias", "keyword_logits", transB=1),
    ]
    head = onnx.ModelProto()
    head.graph.node.extend(nodes)
    head.graph.initializer.extend([weights, bias, tiny, tensor("head.one", np.array([1]))])
    head.graph.output.append(value_info("keyword_logits", ["n", len(labels)]))
    return model.SerializeToString() + head.SerializeToString()


def test_words_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(own_words(["Küche", "Licht an", "漢"]))
    model = load_model(tmp_path / "own.onnx")
    assert model.labels == ("Küche", "Licht an", "漢")
    assert model.keyword_logits(AUDIO).shape == (1, 3)


@pytest.mark.parametrize(
    "labels", [["a", "a"], [""], ["a\nb"], ["\x1b[31m"], ["\u202egpj"], ["x" * 101]]
)
def test_words_that_cannot_be_shown(labels: list[str]) -> None:
    refused(own_words(labels), "a label twice|the label")


def test_the_word_for_everything_else_is_one_of_the_words() -> None:
    refused(own_words(["a", "b"], other_label="c"), "other_label: c, none of its labels")
