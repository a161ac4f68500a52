"""Devices, providers, threads, and builds of ONNX Runtime."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from hearaudiomlp import HearAudioMLPError, load_model
from hearaudiomlp.errors import DeviceError, MissingPackageError, OptionError
from hearaudiomlp.inference import ort, session
from hearaudiomlp.inference.providers import CPU, CUDA, DeviceFallbackWarning
from hearaudiomlp.inference.thread_pool import usable_cpus

has_cuda = CUDA in onnxruntime.get_available_providers()
without_cuda = pytest.mark.skipif(has_cuda, reason="this ONNX Runtime has the CUDA provider")


@pytest.fixture
def path(checkpoints) -> Path:
    return checkpoints["audiomae"]


@pytest.fixture
def claims_cuda(monkeypatch) -> None:
    """Pretend to be a build with CUDA on a machine without a GPU: listed, then dropped."""
    real = onnxruntime.InferenceSession

    def open_without_cuda(graph, options, providers, **rest):
        return real(graph, options, providers=[CPU], **rest)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", open_without_cuda)
    monkeypatch.setattr(session, "may_have_nvidia_gpu", lambda: True)


def test_model_shows_what_it_runs_on(path: Path) -> None:
    model = load_model(path, device="cpu", threads=3)
    assert (model.device, model.providers, model.threads) == ("cpu", (CPU,), 3)
    assert repr(model) == "<audiomae on cpu, 3 threads>"


def test_threads_default_to_the_cpus_of_this_process(path: Path) -> None:
    assert load_model(path, device="cpu").threads == usable_cpus()


@without_cuda
def test_auto_is_the_cpu_where_there_is_no_gpu(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(session, "may_have_nvidia_gpu", lambda: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(path, device="auto").device == "cpu"


@without_cuda
def test_auto_warns_once_of_an_idle_gpu(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(session, "may_have_nvidia_gpu", lambda: True)
    with pytest.warns(DeviceFallbackWarning, match=r"on the CPU.*hearaudiomlp\[gpu\]"):
        load_model(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(path)


def test_auto_does_not_try_cuda_without_a_gpu(path: Path, claims_cuda: None, monkeypatch) -> None:
    monkeypatch.setattr(session, "may_have_nvidia_gpu", lambda: False)
    with pytest.warns(DeviceFallbackWarning, match="no NVIDIA GPU was found"):
        assert load_model(path).device == "cpu"


def test_auto_says_once_that_cuda_did_not_work(path: Path, claims_cuda: None) -> None:
    with pytest.warns(DeviceFallbackWarning, match="CUDAExecutionProvider can't be used"):
        assert load_model(path).device == "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(path).device == "cpu"


@without_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_that_is_not_built_in_is_an_error(path: Path, device: str) -> None:
    with pytest.raises(DeviceError, match=r"isn't in this build.*hearaudiomlp\[gpu\]"):
        load_model(path, device=device)


@pytest.fixture
def asked_of_cuda(monkeypatch) -> list[dict[str, int]]:
    """Pretend to be a build with CUDA whose sessions can't be opened; their options."""
    asked: list[dict[str, int]] = []

    def refuse(graph, options, providers, **rest):
        [(name, chosen)] = providers
        assert name == CUDA
        asked.append(chosen)
        raise RuntimeError("no GPU here")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    return asked


@pytest.mark.parametrize(("given", "expected"), [({}, 0), ({"use_tf32": 1}, 1)])
def test_cuda_computes_in_float32_unless_set_otherwise(
    path: Path, asked_of_cuda, given: dict[str, int], expected: int
) -> None:
    with pytest.raises(HearAudioMLPError):
        load_model(path, providers=[(CUDA, given)])
    assert asked_of_cuda[0]["use_tf32"] == expected


@pytest.mark.parametrize(("device", "expected"), [("cuda", None), ("cuda:0", None), ("cuda:1", 1)])
def test_only_other_gpus_than_the_first_are_named(
    path: Path, asked_of_cuda, device: str, expected: int | None
) -> None:
    """ONNX Runtime 1.31 prints a warning where device 0 is named, which is the default."""
    with pytest.raises(HearAudioMLPError):
        load_model(path, device=device)
    assert asked_of_cuda[0].get("device_id") == expected


def test_cuda_that_is_dropped_is_an_error(path: Path, claims_cuda: None) -> None:
    with pytest.raises(DeviceError, match="can't be used on this machine"):
        load_model(path, device="cuda")
    with pytest.raises(RuntimeError):
        load_model(path, providers=[CUDA, CPU])


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0", "", "CUDA"])
def test_devices_that_do_not_exist(path: Path, device: str) -> None:
    with pytest.raises(OptionError, match="device is"):
        load_model(path, device=device)


def test_providers_in_the_place_of_a_device(path: Path) -> None:
    model = load_model(path, providers=[(CPU, {})])
    assert model.providers == (CPU,)
    with pytest.raises(DeviceError, match="isn't in this build"):
        load_model(path, providers=["NoSuchExecutionProvider"])
    with pytest.raises(OptionError, match="list of names"):
        load_model(path, providers=[])
    with pytest.raises(OptionError, match="not both"):
        load_model(path, device="cpu", providers=[CPU])


@pytest.mark.parametrize("providers", [CPU, [5], [(CPU, None)], [(CPU,)], 7])
def test_providers_that_cannot_be_meant(path: Path, providers: object) -> None:
    with pytest.raises(OptionError, match="provider"):
        load_model(path, providers=providers)


@pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"),
    reason="this ONNX Runtime doesn't report which provider computes what",
)
def test_a_provider_that_gets_no_part_of_the_work_is_an_error(path: Path) -> None:
    azure = "AzureExecutionProvider"
    if azure not in onnxruntime.get_available_providers():
        pytest.skip(f"no {azure} to try with")
    with pytest.raises(DeviceError, match="gave it no part"):
        load_model(path, providers=[azure, CPU])


def test_numbers_of_numpy_are_numbers(path: Path) -> None:
    assert (
        repr(load_model(path, device="cpu", threads=np.int64(2))) == "<audiomae on cpu, 2 threads>"
    )


@pytest.mark.parametrize("threads", [np.array([1, 2]), 0, -1, True, 2.5, "2"])
def test_threads_that_cannot_be_meant(path: Path, threads: int) -> None:
    with pytest.raises(OptionError, match="at least 1"):
        load_model(path, threads=threads)


def test_results_do_not_depend_on_the_number_of_threads(path: Path, noise) -> None:
    audio = noise(3, 50_000)
    expected = load_model(path, threads=1).scene_embeddings(audio)
    for threads in (2, 3, 16):
        found = load_model(path, threads=threads).scene_embeddings(audio)
        np.testing.assert_array_equal(found, expected)


def test_two_builds_of_onnx_runtime_are_an_error(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "onnxruntime-1.32.0.dist-info").mkdir()
    assert ort.installed_builds(tmp_path) == ["onnxruntime"]
    (tmp_path / "onnxruntime_extensions-0.9.dist-info").mkdir()
    (tmp_path / "onnxruntime_gpu-1.32.0.dist-info").mkdir()
    assert ort.installed_builds(tmp_path) == ["onnxruntime", "onnxruntime-gpu"]
    fake = SimpleNamespace(__path__=[str(tmp_path / "onnxruntime")])
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    with pytest.raises(MissingPackageError) as caught:
        ort.onnxruntime()
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in str(
        caught.value
    )


def test_no_onnx_runtime_is_an_error(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hearaudiomlp\[cpu\]'"):
        ort.onnxruntime()
    with pytest.raises(ImportError):
        ort.onnxruntime()


def test_broken_onnx_runtime_is_an_error(tmp_path: Path, monkeypatch) -> None:
    """What is left where one of two builds was uninstalled: a folder without __init__.py."""
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime_gpu-1.32.0.dist-info").mkdir()
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MissingPackageError, match="--force-reinstall --no-deps onnxruntime-gpu"):
        ort.onnxruntime()


@pytest.mark.parametrize(("said", "expected"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_unless_the_user_chooses_otherwise(
    said: str | None, expected: str
) -> None:
    environment = {
        key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"
    }
    if said is not None:
        environment["ORT_DISABLE_TELEMETRY"] = said
    code = (
        "import os, hearaudiomlp, sys; assert 'onnxruntime' not in sys.modules; "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
