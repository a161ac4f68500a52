"""Tensors of other frameworks."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hearaudiomlp.errors import AudioTypeError
from hearaudiomlp.signal import arrays


def test_torch_in_torch_out(model, noise) -> None:
    audio = noise(2, 20_000)
    embeddings, timestamps = model.timestamp_embeddings(torch.from_numpy(audio))
    scene = model.scene_embeddings(torch.from_numpy(audio))
    expected = model.embeddings(audio)
    for found, wanted in (
        (embeddings, expected.timestamp_embeddings),
        (timestamps, expected.timestamps),
        (scene, expected.scene_embeddings),
    ):
        assert isinstance(found, torch.Tensor)
        assert found.dtype == torch.float32
        assert found.device == torch.device("cpu")
        assert found.is_contiguous()
        np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_torch_dtypes(model, noise, dtype: torch.dtype) -> None:
    audio = torch.from_numpy(noise(1, 20_000)).to(dtype)
    found = model.scene_embeddings(audio)
    assert found.dtype == torch.float32
    assert torch.equal(found, model.scene_embeddings(audio.float()))


def test_torch_tensor_that_wants_a_gradient(model, noise) -> None:
    audio = torch.from_numpy(noise(1, 20_000)).requires_grad_()
    assert not model.scene_embeddings(audio).requires_grad


def test_torch_views_that_are_computed_when_they_are_read(model, noise) -> None:
    audio = torch.from_numpy(noise(1, 20_000))
    negated = torch.complex(audio, audio).conj().imag  # carries a sign that isn't in memory
    assert torch.equal(model.scene_embeddings(negated), model.scene_embeddings(-audio))


def test_everything_in_one_pass_keeps_the_kind_too(model, noise) -> None:
    audio = torch.from_numpy(noise(1, 20_000))
    found = model.embeddings(audio)
    assert torch.equal(found.timestamp_embeddings, model.timestamp_embeddings(audio)[0])
    assert torch.equal(found.timestamps, model.timestamp_embeddings(audio)[1])
    assert torch.equal(found.scene_embeddings, model.scene_embeddings(audio))


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_results_can_be_written_to(model, noise, convert) -> None:
    # torch only warns once of an array that is read-only, and writes to it all the same: so look
    # at what was written, and whether a cache was changed.
    audio = convert(noise(2, 20_000))
    results = model.embeddings(audio)
    expected = [np.asarray(values).copy() for values in results]
    for values in results:
        assert np.asarray(values).flags.writeable
        values[:, 0] = 7
        assert (np.asarray(values)[:, 1] != 7).any()
    for values, wanted in zip(model.embeddings(audio), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(values), wanted)


class FakeArray:
    """An array of a framework that follows the array API standard, on a device of its own."""

    def __init__(self, values: np.ndarray, device: str = "fake:0") -> None:
        self.values, self.device = values, device

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def __array_namespace__(self, api_version=None):
        return SimpleNamespace(asarray=lambda values: FakeArray(values, "cpu"))

    def to_device(self, device: str) -> "FakeArray":
        return FakeArray(self.values, device)


class FakeDeviceArray(FakeArray):
    """One that, like CuPy's, doesn't leave its device unasked."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion is not allowed")

    def __dlpack__(self, **options):
        return self.values.__dlpack__()

    def __dlpack_device__(self):
        return (2, 0)


@pytest.mark.parametrize("kind", [FakeArray, FakeDeviceArray])
def test_array_api_in_array_api_out_on_the_same_device(model, noise, kind) -> None:
    audio = noise(1, 20_000)
    if kind is FakeDeviceArray and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        with pytest.raises(AudioTypeError, match="NumPy copies from devices"):
            model.timestamp_embeddings(kind(audio))
        return
    embeddings, timestamps = model.timestamp_embeddings(kind(audio))
    assert isinstance(embeddings, FakeArray)
    assert embeddings.device == timestamps.device == "fake:0"
    np.testing.assert_array_equal(embeddings.values, model.timestamp_embeddings(audio)[0])


def test_only_dlpack(model, noise) -> None:
    audio = noise(1, 20_000)
    exporter = SimpleNamespace(
        __dlpack__=audio.__dlpack__, __dlpack_device__=audio.__dlpack_device__
    )
    bare = type("Bare", (), {
        "__dlpack__": lambda self, **options: exporter.__dlpack__(**options),
        "__dlpack_device__": lambda self: exporter.__dlpack_device__(),
    })()  # fmt: skip
    np.testing.assert_array_equal(model.scene_embeddings(bare), model.scene_embeddings(audio))


def test_tensorflow_in_tensorflow_out(monkeypatch, noise) -> None:
    """With a stand-in for TensorFlow, of which only these five names are used."""

    class Tensor:
        dtype = SimpleNamespace(is_floating=True)
        device = "/device:GPU:0"

        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def numpy(self) -> np.ndarray:
            return self.values

    entered: list[str] = []

    class Device:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            entered.append(self.name)

        def __exit__(self, *_) -> None:
            pass

    fake = SimpleNamespace(
        is_tensor=lambda value: isinstance(value, Tensor),
        float32="float32",
        cast=lambda tensor, dtype: tensor,
        device=Device,
        convert_to_tensor=Tensor,
    )
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    array, restore = arrays.validate_audio(Tensor(noise(1, 160)))
    assert array.shape == (1, 160)
    assert isinstance(restore(array), Tensor)
    assert entered == ["/device:GPU:0"]


def test_nothing_is_imported_that_the_caller_has_not_imported(checkpoints) -> None:
    code = f"""
import sys
import numpy as np
from hearaudiomlp.kwmlp import load_model, get_timestamp_embeddings, get_scene_embeddings
model = load_model({str(checkpoints["kwmlp"])!r})
audio = np.zeros((2, 20000), np.float32)
get_timestamp_embeddings(audio, model)
get_scene_embeddings(audio, model)
heavy = {{"torch", "onnx", "librosa", "scipy", "soundfile", "soxr", "tensorflow", "jax", "numba"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
