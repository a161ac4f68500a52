"""Files with a user's own labels, in the graph of the whole pipeline."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import hearaudiomlp
from hearaudiomlp.errors import ModelFileError, OptionError
from hearaudiomlp_export.export import export
from own_phrases import PHRASES, write_phrases
from own_sounds import call, write_calls


def test_fitted_file_becomes_a_whole_pipeline(tmp_path: Path) -> None:
    folder = write_calls(tmp_path / "calls", 2)
    fitted = hearaudiomlp.fit(folder, tmp_path / "own.onnx", threads=1)
    pipeline = tmp_path / "pipeline.onnx"
    assert export(str(fitted.path), pipeline, interface="pipeline")
    model = hearaudiomlp.load_model(fitted.path, device="cpu", threads=1)
    sound = np.concatenate([call(True, 8), call(False, 9)])
    outputs = ["keyword_logits", "timestamp_embeddings"]
    logits, frames = ReferenceEvaluator(onnx.load(pipeline)).run(outputs, {"audio": sound[None]})
    windows = sound.reshape(2, 16_000)
    np.testing.assert_allclose(logits[0], model.encode(windows)["keyword_logits"], atol=2e-3)
    expected, _ = model.timestamp_embeddings(sound[None])
    np.testing.assert_allclose(frames, expected, atol=1e-4)
    # Its classifier would be lost: the runtime binds the weights to its own graph.
    with pytest.raises(ModelFileError, match="labels"):
        hearaudiomlp.load_model(pipeline)
    with pytest.raises(OptionError, match="isn't a checkpoint"):
        export(str(fitted.path), tmp_path / "again.onnx")
    with pytest.raises(OptionError, match="isn't a checkpoint"):
        export("onnx_models/kwmlp.onnx", tmp_path / "again.onnx", interface="pipeline")


def test_phrases_become_a_whole_pipeline(tmp_path: Path) -> None:
    """Their network has convolutions; all of its tensors are used."""
    path, pipeline = write_phrases(tmp_path / "own.onnx"), tmp_path / "pipeline.onnx"
    graph = onnx.load(path).graph
    assert any(node.op_type == "Conv" for node in graph.node)
    used = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used
    assert export(str(path), pipeline, interface="pipeline")
    model = hearaudiomlp.load_model(path, device="cpu", threads=1)
    assert model.labels == PHRASES
    sound = np.concatenate([call(True, 8), call(False, 9)])
    expected = model.encode(sound.reshape(2, 16_000))["keyword_logits"]
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    evaluator = ReferenceEvaluator(onnx.load(pipeline))
    [logits] = evaluator.run(["keyword_logits"], {"audio": sound[None]})
    np.testing.assert_allclose(logits[0], expected, atol=2e-5)


@pytest.mark.parametrize("name", ["audio", "scene_embeddings", "window_logits"])
def test_names_that_clash_are_the_fault_of_the_file(name: str, tmp_path: Path) -> None:
    """Whoever made it may have called its values and its graph anything."""
    graph = onnx.load(write_phrases(tmp_path / "own.onnx"))
    graph.graph.name = "other"
    renamed = graph.graph.initializer[0].name
    graph.graph.initializer[0].name = name
    for node in graph.graph.node:
        node.input[:] = [name if value == renamed else value for value in node.input]
    onnx.save(graph, tmp_path / "clash.onnx")
    assert hearaudiomlp.load_model(tmp_path / "clash.onnx", device="cpu").labels == PHRASES
    with pytest.raises(ModelFileError):
        export(str(tmp_path / "clash.onnx"), tmp_path / "x.onnx", interface="pipeline")
    assert not (tmp_path / "x.onnx").exists()


def test_the_name_of_a_graph_says_nothing(tmp_path: Path) -> None:
    graph = onnx.load(write_phrases(tmp_path / "own.onnx"))
    graph.graph.name = "other"
    onnx.save(graph, tmp_path / "other.onnx")
    assert export(str(tmp_path / "other.onnx"), tmp_path / "x.onnx", interface="pipeline")
