"""``hearaudiomlp embed``: tables, failures and interruptions."""

import gc
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile

from badfiles import bad_files
from hearaudiomlp.audio import read_audio
from hearaudiomlp.cli import main
from hearaudiomlp.table.formats import arrays
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def test_embed_writes_what_the_model_computes(model, checkpoints, tmp_path, capsys) -> None:
    soundfile.write(tmp_path / "short.wav", tone(8000, 0.3), 8000)
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16000)
    files = [str(SAMPLE), str(tmp_path / "short.wav"), str(tmp_path / "nothing.wav")]
    out = tmp_path / "out.npz"
    checkpoint = str(checkpoints[model.name])
    assert main(["embed", *files, "--model", checkpoint, "-o", str(out), "--device", "cpu"]) == 0
    with np.load(out, allow_pickle=False) as table:
        assert table["paths"].tolist() == files
        assert table["sample_rates"].tolist() == [44100, 8000, 16000]
        assert table["channels"].tolist() == [2, 1, 1]
        assert table["model"] == model.name
        assert table["checkpoint_sha256"] == model.metadata["checkpoint_sha256"]
        assert table["scene_embeddings"].shape == (3, model.scene_embedding_size)
        for i, path in enumerate(files):
            expected = model.embeddings(read_audio(path).samples[None])
            rows = slice(*table["offsets"][i : i + 2])
            np.testing.assert_array_equal(
                table["timestamp_embeddings"][rows], expected.timestamp_embeddings[0]
            )
            np.testing.assert_array_equal(table["timestamps"][rows], expected.timestamps[0])
            np.testing.assert_array_equal(
                table["scene_embeddings"][i], expected.scene_embeddings[0]
            )
    assert "3 files" in capsys.readouterr().out


def test_garbage_made_before_a_run_is_freed(tmp_path) -> None:
    """A process that runs the command again and again keeps nothing of the runs before."""

    class Parser:
        """It refers to itself, as those of argparse do."""

    for number in range(25):  # so many that the run keeps what there is from being scanned
        soundfile.write(tmp_path / f"{number}.wav", tone(16000, 0.01), 16000)
    gc.disable()
    try:
        parser = Parser()
        parser.itself = parser
        garbage = weakref.ref(parser)
        del parser
        assert main(["embed", str(tmp_path), "-o", str(tmp_path / "out.npz")]) == 0
    finally:
        gc.enable()
    assert garbage() is None
    assert gc.get_freeze_count() == 0


HEAPS = """
import ctypes, os, threading
from hearaudiomlp.cli import main
assert main(["embed", "in", "-o", "out.npz", "--threads", "4"]) == 0
at_work = threading.Barrier(9)
for _ in range(8):
    threading.Thread(target=lambda: (bytes(1000), at_work.wait())).start()
at_work.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info(0, stream := ctypes.c_void_p(libc.fopen(b"heaps.xml", b"w")))
libc.fclose(stream)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps are those of glibc")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer has heaps of its own")
@pytest.mark.parametrize("more", [{}, {"MALLOC_ARENA_MAX": "4"}])
def test_threads_share_heaps(more: dict[str, str], tmp_path: Path) -> None:
    """A process that runs the command for months doesn't grow with the threads that it has had."""
    (tmp_path / "in").mkdir()
    for number in range(8):
        soundfile.write(tmp_path / "in" / f"{number}.wav", tone(16000, 3), 16000)
    command = [sys.executable, "-c", HEAPS]
    subprocess.run(command, cwd=tmp_path, env=os.environ | more, check=True)
    heaps = (tmp_path / "heaps.xml").read_text().count("<heap nr=")
    assert heaps == int(more.get("MALLOC_ARENA_MAX", 2))


def test_bad_files_are_reported_and_the_others_embedded(checkpoints, tmp_path, capsys) -> None:
    bad = bad_files(tmp_path)
    bad.pop("folder").rmdir()  # a folder is no failure: what is in it is embedded
    out = tmp_path / "out.npz"
    files = [*map(str, bad.values()), str(SAMPLE)]
    assert main(["embed", *files, "--model", str(checkpoints["audiomae"]), "-o", str(out)]) == 1
    with np.load(out) as table:
        assert table["paths"].tolist() == [str(SAMPLE)]
    message = capsys.readouterr().err
    assert f"{len(bad)} of {len(files)} files failed" in message
    for path in bad.values():
        assert str(path) in message


def test_names_that_are_no_text(checkpoints, tmp_path) -> None:
    odd = tmp_path / os.fsdecode(b"w\xe9.flac")
    shutil.copy(SAMPLE, odd)
    out = tmp_path / "out.npz"
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
    command = [sys.executable, "-m", "hearaudiomlp", "embed", odd, *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(out) as table:
        assert table["paths"][0].endswith("w\\xe9.flac")


def test_a_reader_that_goes_away_does_not_stop_the_work(checkpoints, tmp_path) -> None:
    out = tmp_path / "out.npz"
    files = [str(SAMPLE)] * 3
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
    command = [sys.executable, "-m", "hearaudiomlp", "embed", *files, *arguments]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(out) as table:
        assert len(table["paths"]) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_messages_that_cannot_be_printed_do_not_stop_the_work(checkpoints, tmp_path) -> None:
    out = tmp_path / "out.npz"
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
    command = [sys.executable, "-m", "hearaudiomlp", "embed", "none.wav", str(SAMPLE), *arguments]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 1
        with np.load(out) as table:
            assert len(table["paths"]) == 1
        out.write_bytes(b"precious")
        assert subprocess.run(command, stderr=full, check=False).returncode == 2
    assert out.read_bytes() == b"precious"


def test_output_that_is_a_folder_is_refused_before_the_work(checkpoints, tmp_path, capsys) -> None:
    (tmp_path / "d.npz").mkdir()
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(tmp_path / "d.npz")]
    assert main(["embed", str(SAMPLE), *arguments]) == 2
    assert "is a folder, and would become a file: remove it first" in capsys.readouterr().err


def test_nothing_is_written_where_nothing_could_be_read(checkpoints, tmp_path, capsys) -> None:
    out = tmp_path / "out.npz"
    arguments = [str(tmp_path / "no.wav"), "--model", str(checkpoints["audiomae"]), "-o", str(out)]
    assert main(["embed", *arguments]) == 1
    assert not out.exists()
    assert f"{out} was not written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "a.wav", "--model", "m.pth", "-o", "o.npz", "--threads", "0"], "at least 1"),
        (["embed", "--model", "m.pth", "-o", "o.npz"], "PATH"),
        (["embed", "a.wav", "-o", "o.npz", "--encoder", "no"], "--encoder"),
        ([], "COMMAND"),
        (["sing"], "invalid choice"),
    ],
)
def test_wrong_usage(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"--model": "no.pth"}, 1, "there is no model file no.pth"),
        ({"--device": "tpu"}, 1, "device is"),
        ({"-o": "no/out.npz"}, 2, "there is no folder no"),
        ({"-o": "out.txt"}, 2, "has to end in .npz"),
    ],
)
def test_options_that_cannot_be_used(  # noqa: PLR0917 - fixtures
    checkpoints, tmp_path, capsys, change, status, message
) -> None:
    options = {"--model": str(checkpoints["audiomae"]), "-o": str(tmp_path / "o.npz")} | change
    pairs = [part for pair in options.items() for part in pair]
    assert main(["embed", str(SAMPLE), *pairs]) == status
    assert message in capsys.readouterr().err


def test_a_failed_write_leaves_the_old_file(checkpoints, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out.npz"
    soundfile.write(tmp_path / "a.wav", tone(16000, 0.5), 16000)
    model = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
    assert main(["embed", str(tmp_path / "a.wav"), *model]) == 0
    old = out.read_bytes()

    def fail(done) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(arrays, "members", fail)
    arguments = ["embed", str(SAMPLE), *model]
    assert main(arguments) == 130
    assert "1 of 1 files are done and stay in out.npz.parts" in capsys.readouterr().err
    assert out.read_bytes() == old
    left = {"a.wav", "out.npz", "out.npz.parts", "out.npz.report.json"}
    assert {path.name for path in tmp_path.iterdir()} == left
    monkeypatch.undo()
    assert main(arguments) == 0
    with np.load(out) as table:
        assert table["paths"].tolist() == [str(SAMPLE)]


def test_two_runs_write_the_same_bytes(checkpoints, tmp_path) -> None:
    outs = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for out in outs:
        arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
        assert main(["embed", str(SAMPLE), *arguments]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_ctrl_c_ends_cleanly_and_what_was_done_stays(checkpoints, tmp_path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(16000 * 60), 16000)
    command = [
        sys.executable, "-m", "hearaudiomlp", "embed", *[str(tmp_path / "long.wav")] * 500,
        "--model", str(checkpoints["kwmlp"]), "-o", str(tmp_path / "out.npz"), "--shard-files", "2",
    ]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "out.npz.parts" / "00000.json").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert (running.returncode, printed) == (130, "")
    assert re.fullmatch(
        r"(?:hearaudiomlp: \d+ of 500 files, .* left\n)*"  # after ten seconds
        r"hearaudiomlp: interrupted\nhearaudiomlp: \d+ of 500 files are done and stay in "
        r"out.npz.parts: the same command resumes there\n",
        errors,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"long.wav", "out.npz.parts"}
    hidden = {path.name for path in (tmp_path / "out.npz.parts").glob(".*")}
    assert hidden == {".hearaudiomlp.json"}  # whose folder it is, and nothing half written
