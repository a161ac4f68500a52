"""Runs on bound buffers, and the options of CUDA, as far as a machine without a GPU can check.

ONNX Runtime binds buffers on the CPU in the same way as on a GPU, so the runs themselves are real;
the CUDA provider is pretended to.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from hearaudiomlp import Model, load_model
from hearaudiomlp.errors import DeviceError, OptionError
from hearaudiomlp.inference.io_binding import SIZES, BoundRuns
from hearaudiomlp.inference.providers import CPU, CUDA
from hearaudiomlp.inference.session import Session
from hearaudiomlp.spec import WINDOW
from hearaudiomlp.weights.model_file import read_model_file

OUTPUTS = ("frame_embeddings",)


@pytest.fixture(scope="session")
def opened(checkpoints) -> onnxruntime.InferenceSession:
    """A session on the graph of KW-MLP, as ONNX Runtime opens it."""
    source = read_model_file(checkpoints["kwmlp"].read_bytes(), "kwmlp")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in source.weights.values()]
    options.add_external_initializers(list(source.weights), values)
    return onnxruntime.InferenceSession(source.graph, options, providers=[CPU])


def bound_runs(opened, sizes=(1, 2, 5)) -> BoundRuns:
    assert BoundRuns.fits(opened)
    return BoundRuns(onnxruntime, opened, ("cpu", 0), sizes)


def run(opened, values: np.ndarray) -> dict[str, np.ndarray]:
    names = [output.name for output in opened.get_outputs()]
    return dict(zip(names, opened.run(names, {"windows": values}), strict=True))


@settings(max_examples=12, deadline=None)
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_bound_runs_equal_plain_ones(opened, counts: list[int], seed: int) -> None:
    runs = bound_runs(opened)
    rng = np.random.default_rng(seed)
    for count in counts:  # what one run leaves in the buffers must not come into the next
        values = rng.standard_normal((count, WINDOW)).astype(np.float32)
        expected = run(opened, values)
        found = runs.run(values, list(expected))
        for array, wanted in zip(found, expected.values(), strict=True):
            np.testing.assert_array_equal(array, wanted)


def test_each_choice_of_outputs_has_its_own_binding(opened, noise) -> None:
    runs = bound_runs(opened)
    values = noise(2, WINDOW)
    everything = run(opened, values)
    for chosen in (["mfcc"], ["keyword_logits", "mfcc"], ["frame_embeddings"], ["mfcc"]):
        found = runs.run(values, chosen)
        assert len(found) == len(chosen)
        for name, array in zip(chosen, found, strict=True):
            np.testing.assert_array_equal(array, everything[name])


def test_results_stay_when_the_buffers_are_used_again(opened, noise) -> None:
    runs = bound_runs(opened)
    first = runs.run(noise(2, WINDOW), OUTPUTS)[0]
    kept = first.copy()
    runs.run(noise(2, WINDOW, seed=1), OUTPUTS)
    np.testing.assert_array_equal(first, kept)


def test_many_threads_may_run_at_once(opened, noise) -> None:
    runs = bound_runs(opened)
    inputs = [noise(1 + seed % 5, WINDOW, seed=seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(runs.run, inputs, [OUTPUTS] * len(inputs)))
    for values, outputs in zip(inputs, found, strict=True):
        np.testing.assert_array_equal(outputs[0], run(opened, values)["frame_embeddings"])


class Watched:
    """A session that keeps on which threads it ran."""

    def __init__(self, inner) -> None:
        self.inner, self.threads = inner, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def run_with_iobinding(self, *arguments) -> None:
        self.threads.append(threading.get_ident())
        self.inner.run_with_iobinding(*arguments)


def test_recorded_runs_are_all_made_on_one_thread(opened, noise) -> None:
    watched = Watched(opened)
    runs = bound_runs(watched)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(runs.run, [noise(1, WINDOW)] * 9, [OUTPUTS] * 9))
    assert len(watched.threads) == 9
    assert len(set(watched.threads)) == 1
    assert threading.get_ident() not in watched.threads


# ---- the CUDA provider, pretended to ----


class PretendedCuda:
    """A session on the CPU that says it is on CUDA, and keeps what it was asked for."""

    asked: ClassVar[list[dict[str, object]]] = []
    bound: ClassVar[list[int]] = []

    def __init__(self, graph, options, providers, **rest) -> None:
        [(name, chosen)] = providers
        assert name == CUDA
        assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
        self.asked.append(dict(chosen))
        self.chosen = {key: str(value) for key, value in chosen.items()}
        self.inner = RealSession(graph, options_without_strictness(options), providers=[CPU])

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def get_providers(self) -> list[str]:
        return [CUDA]

    def get_provider_graph_assignment_info(self) -> list[object]:
        return [type("Part", (), {"ep_name": CUDA})]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {CUDA: self.chosen}

    def run_with_iobinding(self, binding, options) -> None:
        self.bound.append(1)
        assert int(options.get_run_config_entry("gpu_graph_id")) > 0
        self.inner.run_with_iobinding(binding, options)


RealSession = onnxruntime.InferenceSession


def options_without_strictness(options):
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "0")
    return options


@pytest.fixture(scope="session")
def cpu(checkpoints: dict[str, Path]) -> Model:
    """KW-MLP by ONNX Runtime's own operators, opened before CUDA is pretended."""
    return load_model(checkpoints["kwmlp"], device="cpu", kernels=False)


@pytest.fixture
def cuda(monkeypatch) -> type[PretendedCuda]:
    real = onnxruntime.OrtValue.ortvalue_from_shape_and_type

    def on_cpu(shape, kind, device, index):
        assert (device, index) == ("cuda", 1)
        return real(shape, kind, "cpu", 0)

    monkeypatch.setattr(PretendedCuda, "asked", [])
    monkeypatch.setattr(PretendedCuda, "bound", [])
    monkeypatch.setattr(onnxruntime, "InferenceSession", PretendedCuda)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_shape_and_type", on_cpu)
    return PretendedCuda


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"use_tf32": 0}),
        ({"tf32": True}, {"use_tf32": 1}),
        ({"cuda_graphs": True}, {"use_tf32": 0, "enable_cuda_graph": 1}),
    ],
)
def test_cuda_gets_its_options_and_is_bound_for_graphs(
    checkpoints, cpu, cuda, given: dict[str, bool], expected: dict[str, int]
) -> None:
    model = load_model(checkpoints["kwmlp"], device="cuda:1", **given)
    assert model.device == "cuda:1"
    assert cuda.asked == [{"device_id": 1, **expected}]
    audio = np.random.default_rng(0).standard_normal((3, 40_000))
    np.testing.assert_array_equal(model.scene_embeddings(audio), cpu.scene_embeddings(audio))
    graphs = given.get("cuda_graphs", False)
    assert len(cuda.bound) > 1 if graphs else not cuda.bound  # trying out is one
    assert model.block == SIZES[-1]


def test_cuda_as_a_provider_is_bound_too(checkpoints, cpu, cuda, noise) -> None:
    chosen = {"device_id": 1, "enable_cuda_graph": 1}
    model = load_model(checkpoints["kwmlp"], providers=[(CUDA, chosen)])
    audio = noise(1, 16_000)
    np.testing.assert_array_equal(model.scene_embeddings(audio), cpu.scene_embeddings(audio))
    assert len(cuda.bound) == 1


def test_graphs_need_fixed_shapes(cuda) -> None:
    shape = ["n", "any"]
    made = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "moving",
        [helper.make_tensor_value_info("x", 1, shape)],
        [helper.make_tensor_value_info("y", 1, shape)],
    )
    opsets = [helper.make_opsetid("", 20)]
    graph = helper.make_model(made, opset_imports=opsets, ir_version=10).SerializeToString()
    Session(graph, {}, providers=[(CUDA, {})])
    with pytest.raises(OptionError, match="fixed shapes"):
        Session(graph, {}, providers=[(CUDA, {"enable_cuda_graph": 1})])


def test_a_gpu_that_fails_when_it_computes_is_an_error(checkpoints, cuda, monkeypatch) -> None:
    def fail(self, binding, options) -> None:
        raise RuntimeError("CUDA failure 100")

    monkeypatch.setattr(PretendedCuda, "run_with_iobinding", fail)
    monkeypatch.setattr(PretendedCuda, "run", fail, raising=False)
    for graphs in (False, True):
        with pytest.raises(DeviceError, match=r"fails when it computes \(CUDA failure 100"):
            load_model(checkpoints["kwmlp"], device="cuda:1", cuda_graphs=graphs)


@pytest.mark.parametrize("option", ["tf32", "cuda_graphs"])
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_options_of_cuda_are_refused_elsewhere(
    checkpoints: dict[str, Path], device: str, option: str
) -> None:
    with pytest.raises(OptionError, match='for device="cuda"'):
        load_model(checkpoints["kwmlp"], device=device, **{option: True})


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_fork_keeps_the_options(checkpoints, cuda, noise) -> None:
    model = load_model(checkpoints["kwmlp"], device="cuda:1", tf32=True)
    audio = noise(1, 16_000)
    expected = model.scene_embeddings(audio)
    cuda.asked.clear()
    pid = os.fork()
    if pid == 0:
        same = np.array_equal(model.scene_embeddings(audio), expected)
        opened = cuda.asked == [{"device_id": 1, "use_tf32": 1}] and CUDA in model.providers
        os._exit(0 if same and opened else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
