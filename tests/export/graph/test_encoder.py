"""The traced graphs: operators, signature, metadata, arithmetic."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import hearaudiomlp
import hearaudiomlp_export
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.model_file import packaged_graph
from hearaudiomlp.weights.onnx_file import summarize
from hearaudiomlp_export.graph.encoder import TracedEncoder
from hearaudiomlp_export.graph.macs import count_macs, depending
from hearaudiomlp_export.graph.metadata import describe
from hearaudiomlp_export.graph.trace import embed_weights, trace
from hearaudiomlp_export.networks.checkpoints import random_checkpoint
from hearaudiomlp_export.networks.encoders import build, expected_tensors
from hearaudiomlp_export.networks.frontend import PowerMel, front_end
from hearaudiomlp_export.verify.encoder import verify

# Held here a second time on purpose: a new operator is a decision about every back end.
ALLOWED = (
    "Add Concat Gelu Gemm LayerNormalization Log MatMul Max Mul ReduceMax ReduceMean Reshape Slice "
    "Split Transpose"
)


@pytest.fixture(scope="module", params=list(ENCODERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def graph(name: str) -> onnx.ModelProto:
    return trace(name)


def test_operators_exist_on_every_back_end(graph: onnx.ModelProto) -> None:
    assert {node.op_type for node in graph.graph.node} <= set(ALLOWED.split())
    assert not any(node.domain for node in graph.graph.node)
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 20)]


def test_nothing_of_the_exporter_is_left(graph: onnx.ModelProto) -> None:
    onnx.checker.check_model(embed_weights(graph, random_checkpoint(graph.graph.name).weights))
    assert not graph.functions
    for thing in (graph.graph, *graph.graph.node, *graph.graph.input, *graph.graph.output):
        assert not thing.metadata_props
        assert not thing.doc_string
    assert b"/site-packages/" not in graph.SerializeToString()


def test_signature_is_readable(graph: onnx.ModelProto, name: str) -> None:
    summary = summarize(graph.SerializeToString())
    size = ENCODERS[name].timestamp_embedding_size
    assert summary.inputs == {"windows": ("n", 16000)}
    expected = {"frame_embeddings": ("n", 98, size)}
    if name == "kwmlp":
        expected["keyword_logits"] = ("n", 35)
        expected["mfcc"] = ("n", 98, 40)
    expected["power_mel"] = ("n", 98, 40)
    assert summary.outputs == expected


def test_weights_are_outside_under_the_names_of_the_checkpoint(
    graph: onnx.ModelProto, name: str
) -> None:
    assert summarize(graph.SerializeToString()).external == expected_tensors(name)
    assert (
        sum(np.prod(shape) for shape in expected_tensors(name).values())
        == {
            "kwmlp": 424_811,
            "audiomae": 213_036,
        }[name]
    )


def test_nothing_that_depends_on_the_window_computes_shapes(graph: onnx.ModelProto) -> None:
    produced = {out for node in depending(graph, ["windows"]) for out in node.output}
    targets = [node.input[1] for node in graph.graph.node if node.op_type == "Reshape"]
    assert targets
    assert not produced.intersection(targets)


def test_packaged_graph_is_the_one_that_is_traced(graph: onnx.ModelProto, name: str) -> None:
    data, summary = packaged_graph(name)
    assert summary.metadata == describe(graph)
    packaged = onnx.load_from_string(data)
    del packaged.metadata_props[:]
    assert [node.op_type for node in packaged.graph.node] == [
        node.op_type for node in graph.graph.node
    ]
    assert packaged.graph.initializer == graph.graph.initializer


def test_packaged_graph_is_verified(name: str) -> None:
    packaged = onnx.load_from_string(packaged_graph(name)[0])
    findings = verify(packaged, random_checkpoint(name, seed=7).weights)
    stages = {"window", "mel matrix", "power mel", "frame embeddings"}
    if name == "kwmlp":
        stages |= {"DCT matrix", "MFCC", "keyword logits"}
    assert {finding.stage for finding in findings} == stages
    assert [finding for finding in findings if not finding.passed] == []


@pytest.mark.parametrize("spoiled", ["layers.1.fn.fn.sgu.norm.bias", "to_patch_embed.1.weight"])
def test_verification_fails_where_one_weight_is_off(spoiled: str) -> None:
    weights = random_checkpoint("kwmlp").weights
    off = weights | {spoiled: weights[spoiled] * np.float32(1.001)}
    findings = verify(embed_weights(trace("kwmlp"), off), weights)
    assert {finding.stage for finding in findings if not finding.passed} >= {"frame embeddings"}


@pytest.mark.parametrize(
    ("constant", "stage"), [("hann", "window"), ("mel", "mel matrix"), ("dct", "DCT matrix")]
)
def test_verification_checks_the_matrices_of_the_graph(constant: str, stage: str) -> None:
    graph = onnx.load_from_string(packaged_graph("kwmlp")[0])
    for tensor in graph.graph.initializer:
        if tensor.name == constant:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(1.00001)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, constant))
    failed = [f.stage for f in verify(graph, random_checkpoint("kwmlp").weights) if not f.passed]
    assert stage in failed


def test_verification_refuses_outputs_that_nothing_is_compared_with() -> None:
    graph = onnx.load_from_string(packaged_graph("audiomae")[0])
    inner = graph.graph.node[0].output[0]
    graph.graph.node.append(onnx.helper.make_node("Identity", [inner], ["phase"]))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("phase", 1, None))
    with pytest.raises(ValueError, match="phase"):
        verify(graph, random_checkpoint("audiomae").weights)


def test_metadata_has_what_a_program_in_any_language_needs(name: str) -> None:
    card = packaged_graph(name)[1].metadata
    numbers = {
        "sample_rate": 16000, "window": 16000, "hop": 160, "frames_per_window": 98,
        "pad_left": 80, "pad_right": 240,
        "timestamp_embedding_size": {"kwmlp": 64, "audiomae": 8}[name],
        "scene_embedding_size": {"kwmlp": 1024, "audiomae": 1584}[name],
    }  # fmt: skip
    assert {key: int(card[key]) for key in numbers} == numbers
    labels = json.loads(card["keyword_labels"])
    assert len(labels) == {"kwmlp": 35, "audiomae": 0}[name]
    assert labels == sorted(labels)
    assert card["hearaudiomlp_version"] == hearaudiomlp.__version__


def test_multiply_accumulates_are_those_that_torch_counts(
    graph: onnx.ModelProto, name: str
) -> None:
    weights = {
        key: torch.from_numpy(value) for key, value in random_checkpoint(name).weights.items()
    }
    traced = TracedEncoder(name)
    with FlopCounterMode(display=False) as one, torch.inference_mode():
        traced(torch.zeros(1, 16000), weights)
    with FlopCounterMode(display=False) as two, torch.inference_mode():
        traced(torch.zeros(2, 16000), weights)
    # The difference of one and two windows leaves out products of weights with weights.
    assert count_macs(graph) == (two.get_total_flops() - one.get_total_flops()) // 2


def test_two_step_transform_is_the_transform() -> None:
    windows = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 16000)))
    exact = PowerMel()(windows)
    found = TracedEncoder("audiomae").double().power_mel(windows)
    np.testing.assert_allclose(found, exact, rtol=1e-5)  # the matrices are float32


@pytest.mark.parametrize("n", [1, 2, 7])
def test_traced_form_computes_what_the_readable_one_does(name: str, n: int) -> None:
    weights = {
        key: torch.from_numpy(value) for key, value in random_checkpoint(name).weights.items()
    }
    network = build(name)
    network.load_state_dict(weights, strict=True)
    windows = 0.1 * torch.randn(n, 16000, generator=torch.Generator().manual_seed(n))
    with torch.inference_mode():
        features = front_end(name)(windows)
        expected = network(features)
        found = TracedEncoder(name)(windows, weights)
    np.testing.assert_allclose(found[-1], features, rtol=1e-5, atol=1e-3)
    for ours, theirs in zip(found, expected, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_verification_has_speech() -> None:
    folder = Path(hearaudiomlp_export.__file__).parent / "data"
    assert (folder / "speech.flac").stat().st_size > 10_000
