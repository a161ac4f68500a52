"""Graphs made by hand, with the signature and the metadata of a model file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.weights.model_file import read_model_file
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
