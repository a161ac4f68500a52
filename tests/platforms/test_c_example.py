"""``examples/c``: files that are cut off, and outputs that can't be written, are errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "onnx_models" / "kwmlp-pipeline.onnx"

pytestmark = pytest.mark.platforms


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled example; the header is downloaded unless ``ONNXRUNTIME_INCLUDE`` names it."""
    folder = tmp_path_factory.mktemp("c")
    command = [sys.executable, str(ROOT / "examples" / "c" / "build.py"), "-o", str(folder)]
    if include := os.environ.get("ONNXRUNTIME_INCLUDE"):
        command += ["--include", include]
    subprocess.run(command, check=True, timeout=500)
    return folder / "embed"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A second of noise."""
    samples = np.random.default_rng(3).uniform(-0.1, 0.1, 16_000)
    soundfile.write(tmp_path / "sound.wav", samples, 16_000, "PCM_16")
    return tmp_path / "sound.wav"


def embed(program: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, MODEL, *arguments], stderr=subprocess.PIPE, text=True, check=False, **options
    )


def test_a_cut_off_file_is_refused(program: Path, sound: Path) -> None:
    whole = sound.read_bytes()
    for length in (20_000, 44, 40, 20, 3):
        sound.write_bytes(whole[:length])
        done = embed(program, sound, stdout=subprocess.PIPE)
        assert done.returncode == 1
        assert done.stderr.startswith(f"embed: {sound}: ")
        assert done.stdout == ""


def test_a_file_from_a_pipe_has_no_length(program: Path, sound: Path) -> None:
    whole = sound.read_bytes()
    sound.write_bytes(whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:])
    done = embed(program, sound, stdout=subprocess.PIPE)
    assert done.returncode == 0
    assert "1000 ms" in done.stdout


def test_errors_of_writing_are_noticed(program: Path, sound: Path, tmp_path: Path) -> None:
    assert embed(program, sound, "/dev/full").returncode == 1
    with Path("/dev/full").open("w") as full:
        done = embed(program, sound, stdout=full)
    assert done.returncode == 1
    assert "can't be written" in done.stderr
    assert embed(program, sound, tmp_path / "no" / "folder.f32").returncode == 1
    assert embed(program, sound, tmp_path / "out.f32").returncode == 0
