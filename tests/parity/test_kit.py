"""Parity of this repository's own weights with the published system in PyTorch, on any clone."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import hearaudiomlp
from paths import ROOT
from tests.parity.make_kit import CASES, CHECKPOINTS, KIT, Floats, make_audio

FILES = {
    name: [
        CHECKPOINTS[name],
        ROOT / "onnx_models" / f"{name}.onnx",
        ROOT / "onnx_models" / f"{name}-pipeline.onnx",
    ]
    for name in CHECKPOINTS
}


@pytest.fixture(scope="module")
def kit() -> dict[str, np.ndarray]:
    with np.load(KIT) as stored:
        return dict(stored)


def allowed(name: str, output: str, wanted: Floats) -> float:
    """Return the tolerance: that of the published arrays, or less."""
    if output == "timestamps":
        return 0.0
    largest = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    return {"keyword_logits": 1e-3}.get(output, 1.5e-4 if name == "kwmlp" else 1e-5 * largest)


def outputs_of(model: hearaudiomlp.Model, audio) -> Iterator[tuple[str, Floats]]:
    found = model.embeddings(audio)
    for output, values in found._asdict().items():
        yield output, np.asarray(values)
    if model.labels and audio.shape[1] <= 16_000:
        yield "keyword_logits", np.asarray(model.keyword_logits(audio))


def errors(kit, model: hearaudiomlp.Model, convert=np.asarray) -> Iterator[tuple[str, float]]:
    """Give every output of every case, and its error as a multiple of the tolerance."""
    for case, sizes in CASES.items():
        audio = make_audio(kit["recording"], sizes)
        for output, found in outputs_of(model, convert(audio)):
            wanted = kit.get(f"{model.name}/{case}/{output}")
            if wanted is None:
                assert output.startswith("timestamp")
                continue
            assert found.shape == wanted.shape
            assert found.dtype == np.float32
            error = float(np.abs(found - wanted).max(initial=0.0))
            yield f"{case} {output}", error / (allowed(model.name, output, wanted) or 1e-30)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_kit_is_of_the_weights_that_are_here(kit, name: str) -> None:
    known = json.loads(str(kit["meta"]))["checkpoint_sha256"][name]
    assert hashlib.sha256(CHECKPOINTS[name].read_bytes()).hexdigest() == known, (
        "other weights: run scripts/regenerate"
    )
    for path in FILES[name][1:]:
        assert hearaudiomlp.load_model(path).metadata["checkpoint_sha256"] == known, path


@pytest.mark.parametrize(
    "path", [path for paths in FILES.values() for path in paths], ids=lambda path: path.name
)
def test_models_agree_with_pytorch(kit, path: Path) -> None:
    model = hearaudiomlp.load_model(path, device="cpu")
    found = list(errors(kit, model))
    assert len(found) >= len(CASES) + 10
    assert [(output, error) for output, error in found if not error <= 1] == []


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_bundled_weights_and_tensors_agree_with_pytorch(kit, name: str) -> None:
    model = hearaudiomlp.load_model(name=name, device="cpu")
    found = errors(kit, model, torch.from_numpy)
    assert [(output, error) for output, error in found if not error <= 1] == []


def test_one_weight_that_is_off_is_noticed(kit, tmp_path: Path) -> None:
    checkpoint = torch.load(CHECKPOINTS["kwmlp"], weights_only=True)
    checkpoint["model_state_dict"]["layers.5.fn.fn.sgu.proj.weight"][50, 50] += 0.01
    torch.save(checkpoint, tmp_path / "off.pth")
    found = errors(kit, hearaudiomlp.load_model(tmp_path / "off.pth", device="cpu"))
    assert [output for output, error in found if error > 1]
