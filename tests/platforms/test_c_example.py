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


def embed(
    program: Path, *arguments: object, model: Path = MODEL, **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, model, *arguments], stderr=subprocess.PIPE, text=True, check=False, **options
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
    before = sound.read_bytes()
    assert embed(program, sound, sound).returncode == 1
    assert sound.read_bytes() == before
    with Path("/dev/full").open("w") as full:
        assert subprocess.run([program, "--version"], stdout=full, check=False).returncode == 1


def test_files_that_it_does_not_read(program: Path, sound: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(3).uniform(-0.1, 0.1, 16_000)
    refused = {
        "16000 samples per second": {"samplerate": 8_000},
        "16-bit PCM or 32-bit float": {"subtype": "PCM_24"},
        "is no WAV file": {"format": "RF64"},
    }
    files = {}
    for i, (reason, kind) in enumerate(refused.items()):
        files[tmp_path / f"{i}.wav"] = reason
        options = {"samplerate": 16_000, "subtype": "PCM_16", "format": "WAV"} | kind
        soundfile.write(tmp_path / f"{i}.wav", samples, **options)
    files[tmp_path / "nan.wav"] = "NaN or infinity"
    soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan, np.inf]), 16_000, "FLOAT")
    whole = sound.read_bytes()
    for name, at, value in (("step", 32, 4), ("channels", 22, 0), ("depth", 34, 12)):
        path = tmp_path / f"{name}.wav"
        path.write_bytes(whole[:at] + value.to_bytes(2, "little") + whole[at + 2 :])
        files[path] = {"step": "impossible", "channels": "no channels", "depth": "16-bit"}[name]
    files |= {tmp_path: "can't be read", tmp_path / "no.wav": "can't be opened"}
    for path, reason in files.items():
        done = embed(program, path, stdout=subprocess.PIPE)
        assert done.returncode == 1, path
        assert done.stderr.startswith(f"embed: {path}: ")
        assert reason in done.stderr
        assert done.stdout == ""


def test_models_that_it_does_not_run(program: Path, sound: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(MODEL.read_bytes()[:100_000])
    empty = tmp_path / "empty.onnx"
    empty.touch()
    windows = MODEL.with_name("kwmlp.onnx")
    for model in (cut, empty, tmp_path, tmp_path / "no.onnx", windows):
        done = embed(program, sound, model=model, stdout=subprocess.PIPE)
        assert done.returncode == 1, model
        assert done.stderr.startswith(f"embed: {model}: ")
        assert done.stdout == ""
        assert model != windows or "--interface pipeline" in done.stderr
