"""The network of phonemes in files that fit writes: the same as PyTorch's."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

import hearaudiomlp
from hearaudiomlp.fitting.onnx_head import Head, write_model
from hearaudiomlp.fitting.phonemes import STEPS, count_phonemes, phonemes_sha256
from hearaudiomlp.fitting.taps import STRETCHES, Taps
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import ModelFile, read_model_file
from hearaudiomlp_export.graph.macs import count_macs
from hearaudiomlp_export.networks.phonemes import load_phoneme_network


@pytest.fixture(scope="module")
def source() -> ModelFile:
    return read_model_file(locate(None).read())


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    sound = hearaudiomlp.read_audio("samples/sentence.flac").samples
    return np.stack([sound[:16_000], sound[8_000:24_000]])


def test_phonemes_are_those_of_pytorch(source: ModelFile, windows: np.ndarray) -> None:
    mfcc = hearaudiomlp.load_model(device="cpu").encode(windows, ("mfcc",))["mfcc"]
    with torch.inference_mode():
        heard = 6 * load_phoneme_network()(torch.from_numpy(mfcc)).numpy()
    expected = heard.reshape(len(windows), STRETCHES, STEPS // STRETCHES, -1).mean(axis=2)
    means = Taps(source, 1, phonemes=True).summarize(windows)
    assert means.shape[2] == Taps(source, 1).summarize(windows).shape[2] + count_phonemes()[0]
    np.testing.assert_allclose(means[..., -heard.shape[2] :], expected, atol=1e-4)


def test_a_file_with_phonemes_runs_everywhere(
    source: ModelFile, windows: np.ndarray, tmp_path: Path
) -> None:
    """In the runtime, which checks its operators, and in the reference implementation of ONNX."""
    means = Taps(source, 1, phonemes=True).summarize(windows)
    rng = np.random.default_rng(3)
    weights = rng.normal(0, 0.01, (3, 2, *means.shape[1:])).astype(np.float32)
    bias = np.array([[0.5, 0.4], [-0.5, 0.5], [0.0, -100.0]], np.float32)
    path = tmp_path / "mine.onnx"
    path.write_bytes(
        write_model(source, Head(("no", "so", "other"), "other", weights, bias, phonemes=True))
    )
    model = hearaudiomlp.load_model(path, device="cpu", threads=1)
    logits = model.encode(windows)["keyword_logits"]
    aligned = np.tensordot(means, weights, ((1, 2), (2, 3))) + bias
    assert len({*aligned.argmax(axis=2).ravel()}) == 2
    np.testing.assert_allclose(logits, aligned.max(axis=2), atol=1e-3)
    written = onnx.load(path)
    [again] = ReferenceEvaluator(written).run(["keyword_logits"], {"windows": windows})
    np.testing.assert_allclose(logits, again, atol=2e-3)
    assert int(model.metadata["macs_per_window"]) == count_macs(written)


def test_negatives_were_heard_by_the_network_in_the_package() -> None:
    """`scripts/make_negatives.py` has to run again after `scripts/make_phonemes.py`."""
    path = Path(hearaudiomlp.__file__).parent / "data" / "negatives-kwmlp.npz"
    with np.load(path) as stored:
        assert stored["projection_phonemes"] > 0
        assert stored["phonemes_sha256"] == phonemes_sha256()
