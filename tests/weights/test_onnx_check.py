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
from onnx import TensorProto, helper, numpy_helper

from hearaudiomlp import load_model
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.model import Model
from hearaudiomlp.weights.model_file import ModelFile, read_model_file
from hearaudiomlp.weights.onnx_file import summarize
from hearaudiomlp.weights.onnx_shapes import OPERATORS
from hearaudiomlp_export.graph.trace import ALLOWED_OPERATORS
from paths import ROOT

FRAMES, SIZE = 98, 8
AUDIO = np.zeros((1, 100), np.float32)


def tensor(name: str, values: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


WEIGHTS = tensor("W", np.full((16000, FRAMES * SIZE), 1e-6, np.float32))
SHAPE = tensor("SHAPE", np.array([-1, FRAMES, SIZE]))
ONE = tensor("one", np.array([1]))


def node(operator: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


FIRST = node("MatMul", "windows W", "y")
LAST = node("Reshape", "y SHAPE", "frame_embeddings")


def metadata(model: onnx.ModelProto, /, **entries: str) -> onnx.ModelProto:
    kept = {one.key: one.value for one in model.metadata_props} | entries
    del model.metadata_props[:]
    helper.set_model_props(model, kept)
    return model


def exported() -> onnx.ModelProto:
    """The exporter's audiomae."""
    return onnx.load(ROOT / "onnx_models" / "audiomae.onnx")


def value_info(name: str, shape: list[object], kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def handmade(
    nodes: list[onnx.NodeProto],
    tensors: tuple[onnx.TensorProto, ...] = (),
    output: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A graph with the signature and the metadata of audiomae, and these nodes."""
    graph = helper.make_graph(
        nodes,
        "g",
        [value_info("windows", ["n", 16000])],
        [value_info("frame_embeddings", ["n", FRAMES, SIZE], output)],
        [WEIGHTS, SHAPE, *tensors],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.extend(exported().metadata_props)
    return model


def refused(model: onnx.ModelProto | bytes, match: str) -> None:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ModelFileError, match=match) as caught:
        read_model_file(data)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


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


def doubled(times: int) -> list[onnx.NodeProto]:
    return [
        FIRST,
        *(node("Concat", f"d{i} d{i}".replace("d0", "y"), f"d{i + 1}", axis=1)
          for i in range(times)),
        LAST,
    ]  # fmt: skip


def loop(times: int) -> tuple[list[onnx.NodeProto], tuple[onnx.TensorProto, ...]]:
    body = helper.make_graph(
        [node("Identity", "c", "c2"), node("Identity", "v", "v2")],
        "b",
        [value_info("i", [], 7), value_info("c", [], 9), value_info("v", ["n", 784])],
        [value_info("c2", [], 9), value_info("v2", ["n", 784])],
    )
    tensors = tensor("times", np.array(times)), tensor("go", np.array(True))
    return [FIRST, node("Loop", "times go y", "y2", body=body), LAST], tensors


SQUARE = [
    node("Reshape", "windows column", "a"),
    node("Reshape", "windows row", "b"),
    node("MatMul", "a b", "c"),
]


def sums(times: int) -> list[onnx.NodeProto]:
    """Small results of much."""
    return [node("ReduceMax", "c one", f"sum{i}", keepdims=i % 2) for i in range(times)]


OUTER = tensor("column", np.array([-1, 16000, 1])), tensor("row", np.array([-1, 1, 16000]))


@pytest.mark.parametrize(
    ("nodes", "tensors", "match"),
    [
        (*loop(3), "no encoder has"),
        (*loop(2**62), "no encoder has"),
        (doubled(30), (), "far more to compute"),
        ([*SQUARE, FIRST, LAST], OUTER, "far more to compute"),
        (
            [*SQUARE[:2], node("Add", "a b", "c"), FIRST, LAST], OUTER, "far more to compute",
        ),
        (
            [node("Expand", "one big", "c"), FIRST, LAST],
            (ONE, tensor("big", np.array([2**34]))),
            "operator Expand",
        ),
        (
            [node("ConstantOfShape", "big", "c"), FIRST, LAST],
            (tensor("big", np.array([2**34])),),
            "operator ConstantOfShape",
        ),
        ([node("RandomNormalLike", "windows", "r"), FIRST, LAST], (), "RandomNormalLike"),
        ([FIRST, *(node("Identity", "y", f"i{i}") for i in range(1000)), LAST], (), "1,002 nodes"),
        (
            [node("Reshape", "w2 square", "w3"), node("MatMul", "w3 w3", "w4"), FIRST, LAST],
            (
                tensor("w2", np.zeros(1 << 24, np.float32)),
                tensor("square", np.array([1 << 12, 1 << 12])),
            ),
            "far more to compute",
        ),
        (
            [*SQUARE[:2], node("Max", "b rows", "c"), *sums(200), FIRST, LAST],
            (*OUTER, ONE, tensor("rows", np.zeros((1, 200, 1), np.float32))),
            "far more to compute",
        ),
        (
            [FIRST, node("Cast", "y", "t", to=8), node("Cast", "t", "y2", to=1), LAST],
            (),
            "Cast to anything but",
        ),
    ],
    ids=[
        "loop", "endless loop", "doubling", "product", "broadcast", "expand", "constant", "random",
        "nodes", "weights", "sums", "strings",
    ],
)  # fmt: skip
def test_graphs_that_would_take_memory_or_time(nodes, tensors, match: str) -> None:
    refused(handmade(nodes, tensors), match)


SMALL = tensor("small", np.ones(3, np.float32))
TWICE = tensor("twice", np.ones((2, FRAMES * SIZE), np.float32))
FIXED = tensor("fixed", np.array([256, FRAMES, SIZE]))


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([node("Gemm", "windows W small", "y"), LAST], "don't fit each other"),
        ([node("Gemm", "windows W twice", "y"), LAST], "don't fit each other"),
        ([node("Gemm", "windows W", "y", alpha=float("nan")), LAST], "no plausible number"),
        ([node("Gemm", "windows W", "y", beta=float("inf")), LAST], "no plausible number"),
        ([FIRST, node("LayerNormalization", "y small", "z"), LAST], "don't fit each other"),
        ([FIRST, node("Clip", "y small", "z"), LAST], "don't fit each other"),
        ([FIRST, node("Reshape", "y fixed", "frame_embeddings")], "Reshape to a shape"),
    ],
)
def test_what_would_fail_for_some_windows(nodes: list[onnx.NodeProto], match: str) -> None:
    """It is the fault of the file, when it is loaded."""
    refused(handmade(nodes, (SMALL, TWICE, FIXED)), match)


def convolved(**options: object) -> onnx.ModelProto:
    groups = int(str(options.get("group", 1)))
    kernel = tensor("K", np.zeros((SIZE, SIZE // groups, 3), np.float32))
    nodes = [
        FIRST,
        node("Reshape", "y SHAPE", "x"),
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node("Conv", "t K", "c", **options),
        node("Transpose", "c", "frame_embeddings", perm=[0, 2, 1]),
    ]
    return handmade(nodes, (kernel,))


@pytest.mark.parametrize(
    "options",
    [
        {"pads": [1, 1]},
        {"pads": [0, 2], "group": 2},
        {"pads": [3, 3], "dilations": [3]},
        {"pads": [50, 49], "strides": [2]},
    ],
)
def test_convolutions_over_time_are_accepted(options: dict[str, object]) -> None:
    """With the shape that ONNX's own inference finds."""
    model = convolved(**options)
    onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    read_model_file(model.SerializeToString())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "another shape than it declares"),
        ({"pads": [1, 1], "strides": [2]}, "another shape than it declares"),
        ({"auto_pad": "VALID"}, "an attribute of unknown text"),
        ({"pads": [1, 1, 1, 1]}, "anything but time"),
        ({"pads": [0, 0], "dilations": [-1]}, "don't fit"),
        ({"pads": [-1, 3]}, "don't fit"),
        ({"pads": [1, 1], "strides": [0]}, "don't fit"),
        ({"dilations": [60]}, "don't fit"),
        ({"kernel_shape": [5], "pads": [2, 2]}, "don't fit"),
        ({"pads": [1 << 40, 1]}, "far more to compute"),
    ],
)
def test_convolutions_that_are_refused(options: dict[str, object], match: str) -> None:
    refused(convolved(**options), match)


@pytest.mark.parametrize(
    "nodes",
    [
        [FIRST, node("Reshape", "y other", "frame_embeddings")],
        [FIRST, node("Transpose", "y", "frame_embeddings", perm=[1, 0])],
    ],
)
def test_outputs_of_another_shape_than_declared(nodes) -> None:
    other = tensor("other", np.array([-1, 49, 16]))
    refused(handmade(nodes, (other,)), "another shape than it declares")


ZERO, ALL = tensor("zero", np.array([0])), tensor("all", np.array([2**63 - 1]))
MANY = tensor("many", np.array([1_000_000_007 * FRAMES]))
ROWS, COLUMNS = tensor("ROWS", np.array([-1, SIZE])), tensor("COLUMNS", np.array([SIZE, -1]))
FLOAT = tensor("float", np.ones(1, np.float32))

IN_ROWS = node("Reshape", "y ROWS", "r")
"""All frames of all windows [shape=(n * 98, 8)]."""

TURN = node("Transpose", "y", "t")


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Concat", "y y", "s", axis=0)],
        [node("ReduceMean", "y zero", "m", keepdims=1), node("Sub", "y m", "s")],
        [node("ReduceMax", "y", "m", keepdims=0), node("Sub", "y m", "s")],
        [node("Slice", "y zero one zero", "m"), node("Add", "y m", "s")],
        [node("Slice", "y zero all zero", "s")],
        [node("Slice", "y zero many zero", "s")],
        [node("Slice", "y one all", "s")],
        [node("LayerNormalization", "y float", "s", axis=0)],
        [node("LogSoftmax", "y", "s", axis=0)],
        [TURN, node("MatMul", "t y", "m"), node("MatMul", "y m", "s")],
        [TURN, node("MatMul", "y t", "m"), node("MatMul", "m y", "s")],
        [IN_ROWS, node("Split", "r", "a b", axis=0), node("Concat", "a b", "s", axis=0)],
        [IN_ROWS, node("Reshape", "r COLUMNS", "c"), node("Add", "c c", "s")],
        [IN_ROWS, node("Transpose", "r", "t"), node("Reshape", "t ROWS", "s")],
    ],
)
def test_no_window_depends_on_others(nodes: list[onnx.NodeProto]) -> None:
    """Whatever works along their axis, whether frames are in it, too, or not."""
    last = node("Reshape", "s SHAPE", "frame_embeddings")
    refused(
        handmade([FIRST, *nodes, last], (ZERO, ALL, MANY, ONE, FLOAT, ROWS, COLUMNS)),
        "along the windows|of several windows|across the windows",
    )


def test_frames_first_and_rows_of_frames_are_accepted() -> None:
    """As in the exporter's graphs: the windows' axis moves, and has other axes in it."""
    nodes = [
        FIRST,
        node("Reshape", "y SHAPE", "x"),
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Reshape", "t ROWS", "r"),
        node("LayerNormalization", "r scale", "l"),
        node("Reshape", "l MIX", "m"),
        node("MatMul", "mix m", "p"),
        node("Reshape", "p FIRST", "f"),
        node("Transpose", "f", "frame_embeddings", perm=[1, 0, 2]),
    ]
    tensors = (
        tensor("ROWS", np.array([-1, SIZE])),
        tensor("MIX", np.array([FRAMES, -1])),
        tensor("FIRST", np.array([FRAMES, -1, SIZE])),
        tensor("scale", np.ones(SIZE, np.float32)),
        tensor("mix", np.eye(FRAMES, dtype=np.float32)),
    )
    read_model_file(handmade(nodes, tensors).SerializeToString())


LEAST, MINUS_ONE = tensor("least", np.array(-(2**63))), tensor("minus_one", np.array(-1))


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([node("Div", "least minus_one", "q"), FIRST, LAST], "Div of integers"),
        ([node("Identity", "least", "q"), FIRST, LAST], "Identity of integers"),
        ([FIRST, node("Cast", "y", "q", to=7), LAST], "Cast to anything but"),
        ([FIRST, node("Gelu", "y", "q", approximate="x"), LAST], "unknown text"),
        ([FIRST, node("Split", "y", "a b", axis=1, num_outputs=3), LAST], "another number of them"),
        ([FIRST, node("Relu", "y", "q", alpha=1.0), LAST], "the attribute alpha"),
        (
            [FIRST, node("BatchNormalization", "y s s s s", "q", training_mode=1), LAST],
            "the attribute training_mode",
        ),
        ([FIRST, node("BatchNormalization", "y s s s s", "q"), LAST], "statistics"),
        ([FIRST, node("LayerNormalization", "y s", "q"), LAST], "don't fit"),
        ([FIRST, node("Slice", "y zero zero one", "e"), LAST], "is empty"),
        ([FIRST, node("ReduceMax", "nothing one", "e"), LAST], "of nothing"),
    ],
)
def test_what_crashes_or_fails_in_onnx_runtime(nodes: list[onnx.NodeProto], match: str) -> None:
    nothing, single = tensor("nothing", np.zeros((3, 0), np.float32)), np.ones(1, np.float32)
    tensors = LEAST, MINUS_ONE, ZERO, ONE, nothing, tensor("s", single)
    refused(handmade(nodes, tensors), match)


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs"),
    [
        ("Max", ["y", ""], ["q"]),
        ("Min", ["", "y"], ["q"]),
        ("LayerNormalization", ["y", "scale", ""], ["q"]),
        ("Clip", ["", "y"], ["q"]),
        ("Split", ["y"], ["q", ""]),
    ],
)
def test_a_value_that_is_left_out_would_crash(operator, inputs, outputs) -> None:
    attributes = {"num_outputs": 2, "axis": 1} if operator == "Split" else {}
    odd = helper.make_node(operator, inputs, outputs, **attributes)
    scale = tensor("scale", np.ones(FRAMES * SIZE, np.float32))
    refused(handmade([FIRST, odd, LAST], (scale,)), f"{operator} with a value left out")


def test_a_bound_may_be_left_out() -> None:
    clip = helper.make_node("Clip", ["y", "", "most"], ["q"])
    model = handmade([FIRST, clip, LAST], (tensor("most", np.float32(1.0)),))
    read_model_file(model.SerializeToString())


@pytest.mark.parametrize(
    ("versions", "match"),
    [
        ([("", 11)], "operators of the opset 11"),
        ([("", 99)], "operators of the opset 99"),
        ([("", (1 << 32) + 11)], "operators of the opset"),
        ([("", 11), ("", 20)], "two versions of the operators"),
        ([("", 20), ("ai.onnx", 11)], "two versions of the operators"),
        ([("ai.onnx", 11)], "operators of the opset 11"),
    ],
)
def test_operators_are_those_of_one_known_opset(versions, match) -> None:
    """LogSoftmax took all axes together before opset 13, so a window depended on the others."""
    nodes = [
        FIRST,
        node("Reshape", "y SHAPE", "r"),
        node("Transpose", "r", "t", perm=[1, 0, 2]),
        node("LogSoftmax", "t", "l"),
        node("Transpose", "l", "frame_embeddings", perm=[1, 0, 2]),
    ]
    model = handmade(nodes)
    model.opset_import.append(helper.make_opsetid("ai.onnx", 20))  # as merged graphs have it
    read_model_file(model.SerializeToString())
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*version) for version in versions)
    refused(model, match)


def test_a_tensor_in_the_input_s_place() -> None:
    """ONNX Runtime takes it for a constant, and the graph then has no input."""
    windows = tensor("windows", np.ones((1, 16000), np.float32))
    refused(handmade([FIRST, LAST], (windows,)), "a tensor with the name of an input")


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING])
def test_outputs_of_another_type(kind: int) -> None:
    nodes = [FIRST, node("Reshape", "y SHAPE", "f"), node("Cast", "f", "frame_embeddings", to=kind)]
    refused(handmade(nodes, output=kind), "not float32")


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


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([FIRST, node("Sub", "y hundred", "l"), node("Log", "l", "s")], "NaN or infinity"),
        ([FIRST, node("Div", "float nought", "i"), node("Add", "y i", "s")], "NaN or infinity"),
        (
            [
                FIRST,
                node("Add", "y hundred", "l"),
                node("Mul", "l l", "s2"),
                node("Cast", "s2", "h", to=TensorProto.FLOAT16),
                node("Cast", "h", "s", to=TensorProto.FLOAT),
            ],
            "NaN or infinity",
        ),
        ([FIRST, node("Slice", "y zero one one one one", "x"), node("Add", "y x", "s")], "ONNX"),
    ],
)
def test_graphs_that_compute_nothing(
    nodes: list[onnx.NodeProto], match: str, tmp_path: Path
) -> None:
    """The file is blamed, when it is loaded, and not the audio."""
    tensors = (
        *(FLOAT, ONE, ZERO, tensor("nought", np.zeros(1, np.float32))),
        tensor("hundred", np.array(1e3, np.float32)),
    )
    model = handmade([*nodes, node("Reshape", "s SHAPE", "frame_embeddings")], tensors)
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(ModelFileError, match=match):
        load_model(tmp_path / "x.onnx", device="cpu")


def test_nan_of_ordinary_audio_is_the_fault_of_the_file(tmp_path: Path) -> None:
    """The tone that is tried when it is loaded is too faint for this graph."""
    nodes = [
        node("ReduceMax", "windows one", "most"),
        node("Sub", "half most", "rest"),
        node("Log", "rest", "l"),
        FIRST,
        node("Add", "y l", "s"),
        node("Reshape", "s SHAPE", "frame_embeddings"),
    ]
    model = handmade(nodes, (ONE, tensor("half", np.full((1, 1), 0.5, np.float32))))
    onnx.save(model, tmp_path / "x.onnx")
    loaded = load_model(tmp_path / "x.onnx", device="cpu")
    for compute in loaded.scene_embeddings, loaded.timestamp_embeddings:
        with pytest.raises(ModelFileError, match="NaN or infinity of ordinary audio"):
            compute(np.ones((1, 16_000), np.float32))
    with pytest.raises(ModelFileError, match="NaN or infinity of ordinary audio"):
        loaded.encode(np.ones((1, 16_000), np.float32))


def test_results_of_another_shape_are_the_fault_of_the_file() -> None:
    """Should a graph ever give them that has passed the checks."""
    first = node("Slice", "y zero one zero", "s")
    nodes = [FIRST, first, node("Reshape", "s SHAPE", "frame_embeddings")]
    graph = handmade(nodes, (ZERO, ONE))
    card = {one.key: one.value for one in graph.metadata_props}
    model = Model(ModelFile(graph.SerializeToString(), {}, card), device="cpu", threads=1)
    for compute in model.scene_embeddings, model.timestamp_embeddings:
        with pytest.raises(ModelFileError, match="have the shape"):
            compute(np.zeros((1, 40_000), np.float32))
    with pytest.raises(ModelFileError, match="have the shape"):
        model.encode(np.zeros((2, 16_000), np.float32))
