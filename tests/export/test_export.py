"""The export command."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import hearaudiomlp
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.onnx_file import summarize
from hearaudiomlp_export.cli import main
from hearaudiomlp_export.graph.metadata import write_metadata
from hearaudiomlp_export.verify import encoder

EVIL = "a\x1b[31m\u202e"


@pytest.fixture(scope="module")
def exported(checkpoints: dict[str, Path], tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    for name, checkpoint in checkpoints.items():
        assert main([str(checkpoint), "-o", str(folder / f"{name}.onnx"), "--licence", "CC0"]) == 0
    return {name: folder / f"{name}.onnx" for name in checkpoints}


@pytest.mark.parametrize("name", list(ENCODERS))
def test_exported_model_computes_what_the_checkpoint_does(
    exported: dict[str, Path], checkpoints: dict[str, Path], name: str, noise
) -> None:
    ours = hearaudiomlp.load_model(exported[name])
    theirs = hearaudiomlp.load_model(checkpoints[name])
    audio = noise(2, 40_000)
    np.testing.assert_array_equal(ours.scene_embeddings(audio), theirs.scene_embeddings(audio))
    assert ours.metadata["licence"] == "CC0"
    assert ours.metadata["checkpoint_sha256"] == theirs.metadata["checkpoint_sha256"]


def test_exported_model_is_one_self_contained_file(exported: dict[str, Path]) -> None:
    for path in exported.values():
        assert summarize(path.read_bytes()).external == {}
        assert sorted(other.name for other in path.parent.glob(f"{path.stem}*")) == [
            path.name,
            f"{path.stem}.report.md",
        ]
        onnx.checker.check_model(path, full_check=True)


def test_report_holds_the_figures(exported: dict[str, Path]) -> None:
    report = exported["kwmlp"].with_suffix(".report.md").read_text()
    for stage in ("window", "mel matrix", "DCT matrix", "power mel", "MFCC", "frame embeddings"):
        assert f"\n| {stage} |" in report
    for sound in ("noise", "speech", "silence", "DC 0.5", "tone 440 Hz", "tiny (1e-20)"):
        assert f"| {sound} |" in report
    assert "all comparisons passed" in report


def test_exporting_twice_gives_the_same_bytes(checkpoints, exported, tmp_path) -> None:
    again = tmp_path / "again.onnx"
    assert main([str(checkpoints["audiomae"]), "-o", str(again), "--licence", "CC0"]) == 0
    assert again.read_bytes() == exported["audiomae"].read_bytes()


def test_what_is_not_verified_is_not_written(
    checkpoints, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setitem(encoder.STAGE_TOLERANCES, "power mel", (1e-30, "of the loudest band"))
    target = tmp_path / "model.onnx"
    assert main([str(checkpoints["audiomae"]), "-o", str(target)]) == 1
    assert not target.exists()
    assert "FAILED" in target.with_suffix(".failed.md").read_text()
    assert "verification failed, no model written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.failed.md"]


def test_what_the_runtime_refuses_is_not_written(
    checkpoints, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("hearaudiomlp_export.export.verify", lambda *_: [])
    monkeypatch.setattr("hearaudiomlp_export.export.describe", lambda _: {})
    assert main([str(checkpoints["audiomae"]), "-o", str(tmp_path / "model.onnx")]) == 1
    assert "metadata doesn't describe an encoder" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_graph_only_has_no_weights_and_says_so_when_loaded(tmp_path: Path) -> None:
    target = tmp_path / "graph.onnx"
    assert main(["--graph-only", "audiomae", "-o", str(target)]) == 0
    assert target.stat().st_size < 300_000
    with pytest.raises(hearaudiomlp.errors.ModelFileError, match="graph without weights"):
        hearaudiomlp.load_model(target)


def test_foreign_checkpoint_is_refused(tmp_path: Path, capsys) -> None:
    torch.save({"model_state_dict": torch.nn.Linear(2, 2).state_dict()}, tmp_path / "other.pth")
    target = tmp_path / "out.onnx"
    assert main([str(tmp_path / "other.pth"), "-o", str(target)]) == 1
    message = capsys.readouterr().err
    assert "missing (to_patch_embed.1.weight" in message
    assert "unexpected (weight, bias)" in message
    assert not target.exists()


def test_checkpoints_are_ordinary_files(tmp_path: Path, capsys) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    for path in (str(tmp_path / "pipe.pth"), "/dev/zero", str(tmp_path)):
        assert main([path, "-o", str(tmp_path / "x.onnx")]) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_names_in_errors_do_not_act_on_a_terminal(tmp_path: Path, capsys) -> None:
    for arguments in (["a\x1b[31m\n.pth"], ["train", "kwmlp", "--recordings", "a\x1b[31m\n"]):
        assert main([*arguments, "-o", str(tmp_path / "x.onnx")]) == 1
        error = capsys.readouterr().err
        assert "a\\x1b[31m\\n" in error
        assert "\x1b" not in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["x.pth", EVIL, "-o", "x.onnx"],
        ["x.pth", "-o", EVIL],
        ["x.pth", "-o", "x.onnx", f"--precision={EVIL}"],
        ["train", EVIL],
        ["train", "kwmlp", EVIL],
        ["train", "kwmlp", "-o", f"/none{EVIL}/x.pth"],
    ],
)
def test_names_in_usage_errors_do_not_act_on_a_terminal(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "\\x1b[31m" in error
    assert not {"\x1b", "\u202e"} & {*error}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the work out of an export."""

    def write(_: str, output: Path, **options: object) -> bool:
        output.write_bytes(b"a model")
        return True

    monkeypatch.setattr("hearaudiomlp_export.export.export", write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", ["x.pth -o x.onnx", "--help", "--version", "train --help"])
def test_what_nobody_can_read_is_a_failure(
    arguments: str, quick: None, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(arguments.split()) == 1
    assert capsys.readouterr().err == "hearaudiomlp-export: [Errno 28] No space left on device\n"


def test_names_that_the_terminal_cannot_show(quick: None, tmp_path: Path, monkeypatch) -> None:
    with (tmp_path / "out.txt").open("w", encoding="ascii") as out:
        monkeypatch.setattr("sys.stdout", out)
        assert main(["x.pth", "-o", str(tmp_path / "\u00e9.onnx")]) == 0
    assert "\\xe9.onnx: 7 bytes" in (tmp_path / "out.txt").read_text()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_no_temporary_file(number: int, code: int, tmp_path: Path) -> None:
    script = f"""
import time
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp_export import cli, export
def slow(*_, **options):
    with replacing({str(tmp_path / "x.onnx")!r}) as file:
        print("writing", flush=True)
        for _ in range(600):  # a signal that comes just before a call waits for its end
            time.sleep(0.1)
export.export = slow
cli.process()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, "x.pth", "-o", str(tmp_path / "x.onnx")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "writing\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["x.pth"],
        ["x.pth", "-o", "x.pth"],
        ["--graph-only", "resnet", "-o", "x.onnx"],
        ["--graph-only", "kwmlp", "-o", "x.onnx", "--licence", "CC0"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_missing_files_and_folders_are_reported(tmp_path: Path, checkpoints, capsys) -> None:
    assert main([str(tmp_path / "no.pth"), "-o", str(tmp_path / "x.onnx")]) == 1
    said = capsys.readouterr().err
    assert said == f"hearaudiomlp-export: there is no model file {tmp_path / 'no.pth'}\n"
    assert main([str(checkpoints["audiomae"]), "-o", str(tmp_path / "no/x.onnx")]) == 1
    assert (
        capsys.readouterr().err
        == f"hearaudiomlp-export: {tmp_path}/no: No such file or directory\n"
    )


@pytest.mark.parametrize("option", ["--licence", "--source"])
@pytest.mark.parametrize("text", ["\udcff", "a\nb", "\x1b[31m"])
def test_what_is_said_of_the_weights_can_be_printed(
    option: str, text: str, tmp_path: Path, checkpoints, capsys
) -> None:
    output = str(tmp_path / "x.onnx")
    assert main([str(checkpoints["audiomae"]), "-o", output, option, text]) == 1
    assert "can't be printed" in capsys.readouterr().err


def test_what_is_said_of_the_weights_is_no_markup_in_the_report() -> None:
    """An export of a model that somebody else has fitted states what that says."""
    graph = onnx.load("onnx_models/audiomae.onnx")
    card = {entry.key: entry.value for entry in graph.metadata_props}
    write_metadata(graph, card | {"licence": "</p><img src=x> |\n# \x1b[31m", "source": "[a](b)"})
    page = re.sub(r"\\.", "", encoder.report(graph, []))  # what is behind a backslash is no markup
    assert not {"<", "[", "\x1b"} & {*page}
    assert "\n# " not in page[1:]
