"""Whole-pipeline files: the graph, what the runtime makes of them, and weights as float16."""

import contextlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

import hearaudiomlp
from hearaudiomlp import HearAudioMLPError
from hearaudiomlp.cli import main as hearaudiomlp_main
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.metadata import PRECISIONS
from hearaudiomlp_export.cli import main
from hearaudiomlp_export.graph.float16 import store_as_float16
from hearaudiomlp_export.graph.metadata import describe, write_metadata
from hearaudiomlp_export.graph.pipeline import PREFIX, pipeline_graph
from hearaudiomlp_export.graph.trace import embed_weights, trace
from hearaudiomlp_export.networks.checkpoints import random_checkpoint
from hearaudiomlp_export.verify import pipeline
from paths import ROOT

# Held here a second time on purpose: a new operator is a decision about every back end.
ALLOWED = (
    "Add Cast Concat Constant Div Expand Gather Gelu Gemm GreaterOrEqual Identity "
    "LayerNormalization Log Loop MatMul Max Min Mul Pad Range ReduceMax ReduceMean Reshape Shape "
    "Slice Split Squeeze Sub Transpose"
)
OUTPUTS = ("timestamp_embeddings", "timestamps", "scene_embeddings")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Files of all kinds, without the command's verification, which two tests below run."""
    folder = tmp_path_factory.mktemp("hear")
    paths = {}
    for name in ENCODERS:
        traced, weights = trace(name), random_checkpoint(name)
        for precision in PRECISIONS:
            encoder = embed_weights(traced, weights.weights)
            if precision == "float16":
                store_as_float16(encoder, weights.weights)
            provenance = {"checkpoint_sha256": "", "licence": "CC0", "source": "random numbers"}
            kind = {"interface": "pipeline", "precision": precision, "arithmetic": "float32"}
            write_metadata(encoder, describe(traced) | kind | provenance)
            path = paths[name, precision] = folder / f"{name}.{precision}.onnx"
            path.write_bytes(pipeline_graph(encoder).SerializeToString(deterministic=True))
    return paths


@pytest.fixture(scope="module")
def models(checkpoints: dict[str, Path]) -> dict[str, hearaudiomlp.Model]:
    """The runtime's own models of the same weights."""
    return {
        name: hearaudiomlp.load_model(path, device="cpu", kernels=False)
        for name, path in checkpoints.items()
    }


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def sessions(files) -> dict[str, ort.InferenceSession]:
    return {name: session(files[name, "float32"]) for name in ENCODERS}


def run(graph: ort.InferenceSession, audio) -> dict[str, np.ndarray]:
    names = [output.name for output in graph.get_outputs()]
    return dict(zip(names, graph.run(None, {"audio": audio}), strict=True))


@pytest.mark.parametrize("name", list(ENCODERS))
@settings(deadline=None, max_examples=15)
@given(
    n_sounds=st.integers(1, 3),
    n_samples=st.one_of(
        st.integers(0, 170_000),
        st.sampled_from([0, 159, 160, 15_680, 15_681, 31_680, 127_680, 143_681]),
    ),
)
def test_graph_computes_what_the_runtime_does(
    sessions, models, name: str, n_sounds: int, n_samples: int
) -> None:
    audio = np.random.default_rng(n_samples).standard_normal((n_sounds, n_samples))
    audio = (0.1 * audio).astype(np.float32)
    found = run(sessions[name], audio)
    expected = models[name].embeddings(audio)
    for output in OUTPUTS:
        wanted = getattr(expected, output)
        assert found[output].shape == wanted.shape
        np.testing.assert_allclose(found[output], wanted, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(found["timestamps"], expected.timestamps)


def test_keyword_logits_are_of_bare_seconds(sessions, models, noise) -> None:
    for n_samples, seconds in ((0, 1), (9_000, 1), (16_000, 1), (16_001, 2), (40_000, 3)):
        audio = noise(2, n_samples)
        logits = run(sessions["kwmlp"], audio)["keyword_logits"]
        assert logits.shape == (2, seconds, 35)
        for second in range(seconds):
            bare = audio[:, 16_000 * second : 16_000 * (second + 1)]
            wanted = models["kwmlp"].keyword_logits(bare)
            np.testing.assert_allclose(logits[:, second], wanted, rtol=0, atol=2e-5)


def test_halving_factors_are_those_of_a_single_division() -> None:
    # The graph has 2 + (1 + odd) / (new - 1); some engines multiply by 1 / (new - 1).
    new = np.arange(15, 2**23)
    last = (new - 1).astype(np.float32)
    for odd in (0, 1):
        single = (2 * new + odd - 1).astype(np.float32) / last
        reciprocal = np.float32(2) + np.float32(1 + odd) * (np.float32(1) / last)
        np.testing.assert_array_equal(reciprocal, single)


def test_long_sounds_use_the_float32_positions(sessions, models) -> None:
    # Seven minutes: 64-bit positions or a factor that is off by one bit would be seen here.
    audio = np.random.default_rng(1).standard_normal((1, 16_000 * 420), np.float32) * 0.1
    wanted = models["audiomae"].scene_embeddings(audio)
    found = run(sessions["audiomae"], audio)["scene_embeddings"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_operators_are_standard(files, name: str) -> None:
    for precision in ("float32", "float16"):
        model = onnx.load(files[name, precision])
        onnx.checker.check_model(model, full_check=True)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]
        bodies = [a.g for node in model.graph.node for a in node.attribute if a.HasField("g")]
        nodes = [node for graph in (model.graph, *bodies) for node in graph.node]
        assert {node.op_type for node in nodes} <= set(ALLOWED.split())
        assert not any(node.domain for node in nodes)
        assert not model.functions


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("n_samples", [0, 16_000, 50_000])
def test_reference_evaluator_agrees(files, sessions, noise, name: str, n_samples: int) -> None:
    evaluator = onnx.reference.ReferenceEvaluator(onnx.load(files[name, "float32"]))
    audio = noise(1, n_samples)
    found = dict(zip(evaluator.output_names, evaluator.run(None, {"audio": audio}), strict=True))
    for output, wanted in run(sessions[name], audio).items():
        assert found[output].dtype == np.float32
        np.testing.assert_allclose(found[output], wanted, rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_openvino_agrees(files, sessions, noise, name: str) -> None:
    openvino = pytest.importorskip("openvino")
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(files[name, "float32"], "CPU", hints)
    for n_samples in (0, 16_000, 480_000):
        audio = noise(2, n_samples)
        found = compiled(audio)
        for output, wanted in run(sessions[name], audio).items():
            np.testing.assert_allclose(found[output], wanted, rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_runtime_runs_the_encoder_inside(files, models, noise, name: str) -> None:
    inside = hearaudiomlp.load_model(files[name, "float32"], kernels=False)
    alone = models[name]
    audio = noise(3, 50_000)
    np.testing.assert_array_equal(inside.scene_embeddings(audio), alone.scene_embeddings(audio))
    if name == "kwmlp":
        short = audio[:, :9_000]
        np.testing.assert_array_equal(inside.keyword_logits(short), alone.keyword_logits(short))
    assert inside.metadata["interface"] == "pipeline"
    assert inside.outline().inputs == {"windows": ("n", 16000)}


@pytest.mark.parametrize("name", list(ENCODERS))
def test_float16_weights_are_close_and_computed_in_float32(
    files, sessions, noise, name: str
) -> None:
    full, half = (files[name, precision].stat().st_size for precision in ("float32", "float16"))
    assert half < 0.65 * full
    audio = noise(1, 40_000)
    for output, found in run(session(files[name, "float16"]), audio).items():
        wanted = run(sessions[name], audio)[output]
        assert found.dtype == np.float32
        error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
        assert error < 2e-3
        assert (error > 0) == (output != "timestamps")


@pytest.mark.parametrize("interface", ["windows", "pipeline"])
def test_info_shows_interface_and_precision(
    checkpoints, tmp_path: Path, capsys, interface: str
) -> None:
    path = tmp_path / "model.onnx"
    options = ["--interface", interface, "--precision", "float16"]
    assert main([str(checkpoints["audiomae"]), "-o", str(path), *options]) == 0
    assert hearaudiomlp_main(["info", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "stored as float16, computed as float32" in printed
    assert f"\ninterface    {interface}" in printed
    report = path.with_suffix(".report.md").read_text()
    assert "| weights as float16 | speech |" in report
    assert ("| scene embeddings | 480000 samples |" in report) == (interface == "pipeline")


def test_float16_arithmetic_is_close_and_says_so(checkpoints, tmp_path: Path, capsys) -> None:
    path = tmp_path / "model.onnx"
    assert main([str(checkpoints["kwmlp"]), "-o", str(path), "--arithmetic", "float16"]) == 0
    graph = onnx.load(path).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["Cast"] > 0
    halves = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16]
    assert len(halves) > 24
    assert hearaudiomlp_main(["info", str(path)]) == 0
    assert "stored as float16, computed as float16" in capsys.readouterr().out
    report = path.with_suffix(".report.md").read_text()
    assert "| frame embeddings | speech | torch, float64 |" in report
    audio = (0.1 * np.random.default_rng(0).standard_normal((2, 40_000))).astype(np.float32)
    wanted = hearaudiomlp.load_model(checkpoints["kwmlp"]).scene_embeddings(audio)
    found = hearaudiomlp.load_model(path).scene_embeddings(audio)
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert 1e-6 < error < 3e-3


def test_float16_arithmetic_is_refused_where_it_overflows(checkpoints, tmp_path, capsys) -> None:
    command = [str(checkpoints["audiomae"]), "-o", str(tmp_path / "x.onnx")]
    assert main([*command, "--arithmetic", "float16"]) == 1
    assert "float16 ends at 65504" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--arithmetic", "float16", "--interface", "pipeline"])


def test_what_is_not_verified_is_not_written(checkpoints, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(pipeline.ENCODER_NOISE, "audiomae", -1.0)
    target = tmp_path / "model.onnx"
    assert main([str(checkpoints["audiomae"]), "-o", str(target), "--interface", "pipeline"]) == 1
    assert not target.exists()
    assert "| scene embeddings |" in target.with_suffix(".failed.md").read_text()


@pytest.mark.parametrize("option", [["--interface", "pipeline"], ["--precision", "float16"]])
def test_graphs_without_weights_have_neither(tmp_path: Path, option: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--graph-only", "kwmlp", "-o", str(tmp_path / "x.onnx"), *option])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("interface", "windows", "input: "),
        ("interface", "sounds", "metadata is damaged"),
        ("precision", "int3", "precision: int3, not float32 or float16"),
        ("arithmetic", "int3", "arithmetic: int3, not float32 or float16"),
    ],
)
def test_metadata_that_cannot_be_meant(files, tmp_path, key: str, value: str, message: str) -> None:
    model = onnx.load(files["audiomae", "float32"])
    for entry in model.metadata_props:
        entry.value = value if entry.key == key else entry.value
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelFileError, match=message):
        hearaudiomlp.load_model(tmp_path / "odd.onnx")


def with_entries(model: onnx.ModelProto, **entries: str) -> onnx.ModelProto:
    kept = {one.key: one.value for one in model.metadata_props} | entries
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    return model


def test_a_windows_file_that_says_it_is_a_pipeline(tmp_path: Path) -> None:
    whole = onnx.load(ROOT / "onnx_models" / "audiomae.onnx")
    onnx.save(with_entries(whole, interface="pipeline"), tmp_path / "odd.onnx")
    with pytest.raises(ModelFileError, match="damaged"):
        hearaudiomlp.load_model(tmp_path / "odd.onnx")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_files_with_the_former_name_of_the_interface_load(
    files, tmp_path: Path, noise, precision: str
) -> None:
    model = onnx.load(files["audiomae", precision])
    for node in model.graph.node:
        node.name = node.name.replace("pipeline.", "hear.")
    onnx.save(with_entries(model, interface="hear"), tmp_path / "old.onnx")
    old = hearaudiomlp.load_model(tmp_path / "old.onnx")
    assert old.metadata["interface"] == "pipeline"
    audio = noise(2, 20_000)
    new = hearaudiomlp.load_model(files["audiomae", precision])
    np.testing.assert_array_equal(old.scene_embeddings(audio), new.scene_embeddings(audio))


def test_weights_that_are_missing_or_odd_are_named(files, tmp_path: Path) -> None:
    name = "layers.1.fn.fn.proj_out.weight"
    for odd, message in (
        (None, f"without the weights {name}"),
        (np.zeros((64, 127), np.float32), f"without the weights {name}"),
        (np.full((64, 128), np.nan, np.float32), f"NaN, infinity .* in {name}"),
    ):
        model = onnx.load(files["audiomae", "float32"])
        [tensor] = [one for one in model.graph.initializer if one.name == name]
        if odd is None:
            model.graph.initializer.remove(tensor)
        else:
            tensor.CopyFrom(onnx.numpy_helper.from_array(odd, name))
        onnx.save(model, tmp_path / "odd.onnx")
        with pytest.raises(ModelFileError, match=message):
            hearaudiomlp.load_model(tmp_path / "odd.onnx")


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_damaged_files_are_our_error(files, tmp_path_factory, data) -> None:
    content = bytearray(files["audiomae", "float16"].read_bytes())
    # The structure is in the nodes, at the beginning, and in the metadata, at the end.
    place = st.one_of(st.integers(0, 60_000), st.integers(len(content) - 30_000, len(content) - 1))
    for at in data.draw(st.lists(place, min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    path.write_bytes(content)
    with contextlib.suppress(HearAudioMLPError):
        hearaudiomlp.load_model(path).scene_embeddings(np.zeros((1, 16_000), np.float32))


def test_names_tell_the_encoder_from_what_is_around(files) -> None:
    model = onnx.load(files["kwmlp", "float32"])
    [loop] = [node for node in model.graph.node if node.name == f"{PREFIX}block_frames"]
    inner = [node for node in loop.attribute[0].g.node if not node.name.startswith(PREFIX)]
    assert len(inner) > 100
    assert json.loads(hearaudiomlp.load_model(files["kwmlp", "float32"]).metadata["keyword_labels"])
