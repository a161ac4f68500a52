"""Graphs made by hand: what they compute is bounded, of each window alone, and as declared."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from graphs import FIRST, FRAMES, LAST, ONE, SIZE, handmade, node, refused, tensor, value_info
from hearaudiomlp import load_model
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.model import Model
from hearaudiomlp.weights.model_file import ModelFile, read_model_file


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
