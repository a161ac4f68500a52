"""The conformance kit: made, run in engines, noticed when something is off; other platforms."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from conformance import cases, make_kit, run_engine, sounds, wav, write_results
from conformance.results import add_results, read_results
from hearaudiomlp_export.cli import main as export_main
from hearaudiomlp_export.graph.metadata import describe, write_metadata
from hearaudiomlp_export.graph.pipeline import pipeline_graph
from hearaudiomlp_export.graph.trace import embed_weights, trace
from hearaudiomlp_export.networks.checkpoints import random_checkpoint
from paths import ROOT, SHARED


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A whole-pipeline file with random weights."""
    traced, weights = trace("kwmlp"), random_checkpoint("kwmlp")
    encoder = embed_weights(traced, weights.weights)
    provenance = {"checkpoint_sha256": "none", "licence": "CC0", "source": "random numbers"}
    write_metadata(encoder, describe(traced) | {"interface": "pipeline"} | provenance)
    path = tmp_path_factory.mktemp("model") / "kwmlp.onnx"
    onnx.save(pipeline_graph(encoder), path)
    return path


@pytest.fixture(scope="module")
def kit(model: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "kit"
    make_kit.make([model], folder)
    return folder


@pytest.fixture
def model_and_kit(model, kit) -> tuple[Path, Path]:
    return model, kit


@pytest.fixture
def ran(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Return a function that runs run_engine; it returns the exit code and the output."""

    def call(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["run_engine", *map(str, arguments)])
        code = run_engine.main()
        return code, capsys.readouterr().out

    return call


def test_graph_passes_its_kit(model, kit, tmp_path, ran) -> None:
    figures = tmp_path / "results.jsonl"
    code, printed = ran(model, "--kit", kit, "--results", figures)
    assert (code, f"{len(sounds.sounds())} of {len(sounds.sounds())} cases" in printed) == (0, True)
    page = write_results.table(read_results(figures))
    assert "| onnxruntime " in page
    assert "8 of 8" in page


@pytest.mark.parametrize("output", ["timestamps", "scene_embeddings", "keyword_logits"])
def test_a_wrong_value_is_noticed(model, kit, tmp_path, ran, output: str) -> None:
    wrong = tmp_path / "kit"
    subprocess.run(["cp", "-r", kit, wrong], check=True)
    path = wrong / "expected" / "kwmlp-float32" / f"chirp.{output}.f32"
    values = np.fromfile(path, "<f4")
    values[-1] += 2e-3
    values.tofile(path)
    code, printed = ran(model, "--kit", wrong, "--only", "chirp")
    assert code == 1
    assert "0 of 1 cases" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.onnx"], "no.onnx: No such file"),
        (["samples/words.flac"], "samples/words.flac: not an ONNX file"),
        (["onnx_models/kwmlp.onnx"], "wasn't exported with hearaudiomlp-export --interface pipe"),
        (["MODEL", "--kit", "docs"], "there is no kit in docs"),
        (["MODEL", "--engine", "c"], "the engine c needs --program"),
        (["MODEL", "--reference", "docs"], "docs/reference.npz: No such file"),
        (["MODEL", "--only", "whale"], "no case has 'whale' in its name"),
    ],
)
def test_wrong_arguments_get_a_sentence(
    model_and_kit, monkeypatch, capsys, arguments: list[str], message: str
) -> None:
    model, kit = model_and_kit
    monkeypatch.chdir(ROOT)
    named = [str(model) if one == "MODEL" else one for one in arguments]
    if "--kit" not in named:
        named += ["--kit", str(kit)]
    monkeypatch.setattr(sys, "argv", ["run_engine", *named])
    assert run_engine.main() == 2
    printed = capsys.readouterr().err
    assert printed.startswith("run_engine: ")
    assert message in printed


def test_a_newer_run_replaces_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    run = {"set": "kit", "model": "kwmlp", "precision": "float32", "platform": "x86_64 Linux"}
    add_results([run | {"engine": "engine 1.0, CPU"}, run | {"engine": "other 1.0"}], path)
    add_results([run | {"engine": "engine 1.1, CPU"}], path)
    assert [one["engine"] for one in read_results(path)] == ["engine 1.1, CPU", "other 1.0"]
    path.write_text('{"set": "kit"}\n')
    with pytest.raises(ValueError, match="line 1: not the figures of a run"):
        read_results(path)


def test_committed_results_make_the_committed_page() -> None:
    page = (ROOT / "conformance" / "RESULTS.md").read_text()
    assert write_results.table(read_results()) == page


def test_nan_and_wrong_shapes_are_noticed() -> None:
    expected = np.zeros((1, 3), np.float32)
    case = cases.Case("x", expected, {"out": expected}, {"out": 1.0})
    for wrong in (expected * np.nan, expected[:, :2], expected.astype(np.float64)):
        [(_, error, _)] = run_engine.compare(case, lambda _, wrong=wrong: {"out": wrong})
        assert error == np.inf


def test_kit_of_other_weights_is_refused(kit) -> None:
    with pytest.raises(ValueError, match="this kit isn't of kwmlp with float16 weights"):
        list(cases.read_kit(kit, "kwmlp", "float16", "none"))
    with pytest.raises(ValueError, match="make one with"):
        list(cases.read_kit(kit, "kwmlp", "float32", "0" * 64))


def test_kit_holds_what_its_list_says(kit) -> None:
    listed = json.loads((kit / "kit.json").read_text())
    for sound in listed["sounds"]:
        samples, rate = soundfile.read(kit / sound["wav"], dtype="float32", always_2d=True)
        assert rate == 16_000
        assert samples.T.shape == (sound["n_sounds"], sound["n_samples"] // sound["repeat"])
        np.testing.assert_array_equal(wav.read_wav(kit / sound["wav"]), samples.T)
    [entry] = listed["models"]
    for one in entry["expected"]:
        assert (kit / one["file"]).stat().st_size == 4 * np.prod(one["shape"])
    assert sum(path.stat().st_size for path in kit.rglob("*") if path.is_file()) < 600_000


@pytest.fixture(scope="module")
def arrays(tmp_path_factory, checkpoints) -> Path:
    """Inputs as in the published system's reference arrays, fewer; what random weights give."""
    source = tmp_path_factory.mktemp("reference")
    folder = source / "own"
    rng = np.random.default_rng(7)
    inputs = {
        f"in/n{size}": 0.1 * rng.standard_normal((2, size)) for size in (0, 100, 15_681, 50_000)
    }
    stored = {name: audio.astype(np.float32) for name, audio in inputs.items()}
    meta = json.dumps({"cases": [name[3:] for name in stored], "noise": {}})
    np.savez(source / "reference.npz", meta=meta, **stored)
    windows = rng.standard_normal((3, 16_000)).astype(np.float32)
    np.savez(source / "keywords.npz", windows=windows, logits=np.zeros((3, 35), np.float32))
    # Stands in for the comparison that comes with the published arrays.
    (source / "compare.py").write_text(
        'OUTPUTS = ("timestamps", "timestamp_embeddings", "scene_embeddings")\n'
        "def allowed(kind, case, output, noise, size):\n"
        '    return 0.0 if output == "timestamps" else 1.5e-4\n'
    )
    script = [sys.executable, "-m", "conformance.compute_reference", source, folder]
    subprocess.run([*script, checkpoints["kwmlp"]], check=True, cwd=ROOT)
    return folder


def test_other_weights_are_held_against_pytorch(arrays, checkpoints, tmp_path, ran) -> None:
    path, figures = tmp_path / "own.onnx", tmp_path / "figures.jsonl"
    assert export_main([str(checkpoints["kwmlp"]), "-o", str(path), "--interface", "pipeline"]) == 0
    code, printed = ran(path, "--reference", arrays, "--results", figures)
    assert (code, "5 of 5 cases" in printed) == (0, True), printed
    [one] = read_results(figures)
    assert one["set"] == "own-reference"
    assert "own weights" in write_results.table([one])


def test_arrays_of_other_weights_are_refused(arrays, model, ran) -> None:
    assert ran(model, "--reference", arrays)[0] == 2


def test_float_wav_keeps_every_bit(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).standard_normal((3, 501)).astype(np.float32) * 1e6
    wav.write_wav(tmp_path / "x.wav", audio)
    np.testing.assert_array_equal(wav.read_wav(tmp_path / "x.wav"), audio)
    samples, _ = soundfile.read(tmp_path / "x.wav", dtype="float32")
    np.testing.assert_array_equal(samples.T, audio)


# ---- platforms: compilers, emulators, downloads ----


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The C example; CONFORMANCE_BUILD names a folder that keeps what was downloaded."""
    folder = os.environ.get("CONFORMANCE_BUILD") or tmp_path_factory.mktemp("build")
    build = [sys.executable, str(ROOT / "examples" / "c" / "build.py"), "-o", str(folder)]
    done = subprocess.run(build, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


@pytest.mark.platforms
def test_c_program_passes_the_kit(model, kit, program, ran) -> None:
    arguments = (model, "--kit", kit, "--engine", "c", "--program", program)
    assert ran(*arguments)[0] == 0


@pytest.mark.platforms
def test_c_program_prints_embeddings_and_says_what_is_wrong(
    model, kit, program, tmp_path: Path
) -> None:
    def embed(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    lines = embed(model, kit / "sounds" / "two.wav").stdout.splitlines()
    assert [len(line.split()) for line in lines if line.startswith("scene ")] == [1025, 1025]
    assert sum(" ms " in line for line in lines) == 200
    assert sum(line.startswith("second 0: ") for line in lines) == 2
    soundfile.write(tmp_path / "8k.wav", np.zeros(800), 8_000)
    for wrong, message in (
        (tmp_path / "no.wav", "can't be opened"),
        (tmp_path / "8k.wav", "16000 samples per second"),
        (model, "is no WAV file"),
    ):
        done = embed(model, wrong)
        assert done.returncode == 1
        assert message in done.stderr
    assert embed().returncode == 2
    whole = (kit / "sounds" / "two.wav").read_bytes()
    for cut in range(0, 44, 3):
        (tmp_path / "cut.wav").write_bytes(whole[:cut])
        assert embed(model, tmp_path / "cut.wav").returncode == 1


@pytest.mark.platforms
def test_emulated_arm_passes_the_kit(model, kit, tmp_path: Path) -> None:
    folder = Path(os.environ.get("CONFORMANCE_BUILD") or tmp_path) / "arm64"
    arm = [sys.executable, str(ROOT / "tests" / "platforms" / "arm64.py"), str(folder)]
    for engine in ("onnxruntime", "hearaudiomlp"):
        command = [*arm, "-m", "conformance.run_engine", str(model), "--kit", str(kit)]
        figures = tmp_path / f"{engine}.jsonl"
        command += ["--engine", engine, "--results", str(figures)]
        subprocess.run(command, check=True, cwd=ROOT)
        assert read_results(figures)[0]["platform"].startswith("aarch64")


@pytest.mark.platforms
@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", ["kwmlp", "audiomae"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "reference", "c"])
def test_engines_agree_with_the_published_system(
    program, tmp_path, ran, engine: str, name: str
) -> None:
    path = tmp_path / "model.onnx"
    checkpoint = str(SHARED / "checkpoints" / f"{name}.pth")
    assert export_main([checkpoint, "-o", str(path), "--interface", "pipeline"]) == 0
    arguments = (path, "--engine", engine, "--program", program)
    code, printed = ran(*arguments, "--reference", SHARED / "reference")
    total = {"kwmlp": 77, "audiomae": 76}[name]
    assert (code, f"{total} of {total} cases" in printed) == (0, True)
