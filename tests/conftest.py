"""Fixtures: seeded random checkpoints, and the published files where they are at hand."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, settings

import hearaudiomlp
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp_export.networks.checkpoints import random_checkpoint
from paths import SHARED

# A test that is slow on a busy machine hasn't failed.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell ignores Ctrl-C in what it runs in the background, and nohup hangups, and so would the
# commands that tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the published checkpoints and the reference arrays, or skip."""
    if not (SHARED / "reference" / "reference.npz").exists():
        pytest.skip(f"no published checkpoints and reference arrays at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of both encoders with random weights, as torch.save writes them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for name in ENCODERS:
        weights = random_checkpoint(name).weights
        state = {key: torch.from_numpy(value) for key, value in weights.items()}
        paths[name] = folder / f"{name}.pth"
        torch.save({"model_state_dict": state}, paths[name])
    return paths


@pytest.fixture(scope="session", params=list(ENCODERS))
def model(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> hearaudiomlp.Model:
    """Each encoder with random weights."""
    return hearaudiomlp.load_model(checkpoints[request.param], device="cpu")


@pytest.fixture(scope="session")
def kwmlp(checkpoints: dict[str, Path]) -> hearaudiomlp.Model:
    """KW-MLP with random weights."""
    return hearaudiomlp.load_model(checkpoints["kwmlp"], device="cpu", threads=2)


@pytest.fixture
def noise() -> Callable[..., Any]:
    """Return a function that makes seeded noise of a shape."""

    def make(*shape: int, seed: int = 0) -> Any:
        return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)

    return make


@pytest.fixture
def recordings(tmp_path, noise) -> Path:
    """Five short files in nested folders, and what is no recording among them."""
    folder = tmp_path / "in"
    for number, name in enumerate(["b.wav", "a/z.flac", "a/y.WAV", "c d/ü.wav", "a.b/x.wav"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(3000 + 9000 * number, seed=number), 16000)
    (folder / "notes.md").touch()
    (folder / ".hidden").mkdir()
    for hidden in ("._b.wav", ".hidden/h.wav"):
        (folder / hidden).touch()
    return folder
