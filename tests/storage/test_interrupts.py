"""Signals at any moment: the exit code of the signal, no traceback, and nothing left behind."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hearaudiomlp
from hearaudiomlp.cli import main
from paths import ROOT

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

SLOW = """
import os, sys, time
from hearaudiomlp.table.formats import base
whole = base.RawShardWriter.add
def add(*arguments):
    whole(*arguments)
    print("added", flush=True)
    time.sleep({pause})
base.RawShardWriter.add = add
from hearaudiomlp.cli import process
process()
"""


def start(*arguments: str, pause: float = 0.0, **options) -> subprocess.Popen:
    code = SLOW.format(pause=pause)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.fixture
def embedding(recordings, checkpoints, tmp_path) -> list[str]:
    model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", "--threads", "1"]
    return ["embed", str(recordings), "-o", str(tmp_path / "t.npz"), "--shard-files", "2", *model]


def wait_for(process: subprocess.Popen, files: int) -> None:
    """Wait until a number of files has been embedded."""
    added = 0
    for line in process.stdout:
        added += line == "added\n"
        if added == files:
            return
    raise AssertionError(process.stderr.read())


def finish(process: subprocess.Popen) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err
    assert "Exception ignored" not in out + err
    return process.returncode, err


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("files", [1, 4])
def test_a_signal_while_files_are_embedded(number, files, embedding, tmp_path) -> None:
    process = start(*embedding, pause=0.5)
    wait_for(process, files)
    process.send_signal(number)
    status, err = finish(process)
    assert status == 128 + number
    left = sorted(path.name for path in tmp_path.glob("*t.npz*"))
    if files == 1:
        assert "nothing was written" in err
        assert left == []
    else:
        assert "2 of 5 files are done and stay in t.npz.parts: the same command resumes" in err
        assert left == ["t.npz.parts"]
        assert not list((tmp_path / "t.npz.parts").rglob("*.tmp"))
        assert main(embedding) == 0
        assert sorted(path.name for path in tmp_path.glob("*t.npz*")) == [
            "t.npz", "t.npz.report.json"
        ]  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_when_another_folder_has_replaced_the_parts(number, embedding, tmp_path) -> None:
    parts = tmp_path / "t.npz.parts"
    process = start(*embedding, pause=2)
    wait_for(process, 1)
    parts.rename(tmp_path / "moved")
    parts.mkdir()
    names = ["00001.scenes", "files.jsonl", "run.json", "thesis.txt"]
    for name in names:
        (parts / name).write_text("precious")
    process.send_signal(number)
    status, err = finish(process)
    assert status == 128 + number
    assert "t.npz.parts isn't the folder that this command made" in err
    assert sorted(path.name for path in parts.iterdir()) == names


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_a_signal_while_a_cluster_works(send, number, checkpoints, tmp_path) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "in").mkdir()
    for file in range(60):
        (tmp_path / "in" / f"{file}.flac").symlink_to(ROOT / "samples" / "words.flac")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", "--cluster"]
    process = start(
        *("embed", str(tmp_path / "in"), "-o", str(tmp_path / "t.npz"), *model),
        *("--shard-files", "2", "--workers", "2"),
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    parts = tmp_path / "t.npz.parts"
    while not (parts / "00000.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)
    send(process.pid, number)
    status, err = finish(process)
    assert status == 128 + number
    assert "the same command resumes" in err
    assert "resource_tracker" not in err
    assert not list(parts.glob(".*.tmp"))
    assert list(temporary.iterdir()) == []


def _workers(parent: int) -> list[int]:
    children = [
        int(child)
        for thread in Path(f"/proc/{parent}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return [
        child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for the workers in /proc")
def test_ctrl_c_of_a_terminal_while_the_workers_of_a_cluster_start(recordings, tmp_path) -> None:
    pytest.importorskip("distributed")
    process = start(
        *("embed", str(recordings), "-o", str(tmp_path / "t.npz"), "--cluster", "--workers", "2"),
        start_new_session=True,
    )
    while not (workers := _workers(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)  # they import
    for worker in workers:  # which would get it a moment before the command in a few of ten cases
        os.kill(worker, signal.SIGINT)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    status, err = finish(process)
    assert status == 130
    assert "nothing was written" in err


def test_a_signal_twice(embedding, tmp_path) -> None:
    process = start(*embedding, pause=0.5)
    wait_for(process, 1)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    status, _ = finish(process)
    assert status == 130
    assert not list(tmp_path.glob(".t.npz*"))


def test_a_signal_that_is_ignored_stays_ignored(embedding, tmp_path) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start(*embedding, pause=0.1, preexec_fn=nohup)
    wait_for(process, 1)
    process.send_signal(signal.SIGHUP)
    assert finish(process)[0] == 0
    assert (tmp_path / "t.npz").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="it fills a pipe in a way of Linux")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_nobody_reads_what_is_printed(number, embedding, tmp_path) -> None:
    read, write = os.pipe()
    command = [sys.executable, "-c", SLOW.format(pause=0.5), *embedding]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=write, text=True)
    wait_for(process, 1)
    own = os.open(f"/proc/self/fd/{write}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(own, b"x"):
            pass
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not list(tmp_path.glob("*t.npz*"))
    assert os.get_blocking(write)
    for descriptor in (read, write, own):
        os.close(descriptor)


def test_signals_are_handled_before_anything_else_is_imported() -> None:
    """Until then, Ctrl-C is Python's: it prints a traceback."""
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
from hearaudiomlp.cli import process
from hearaudiomlp.cli import interrupts
print(*sorted(set(sys.modules) - before))
"""
    runtime = Path(hearaudiomlp.__file__).parents[1]
    done = subprocess.run(  # without site, which may import more than os
        [sys.executable, "-S", "-c", code, runtime], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "hearaudiomlp", "hearaudiomlp.cli", "hearaudiomlp.cli.interrupts"
    ]  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["hearaudiomlp.cli.command", "argparse", "numpy"])
def test_a_signal_while_everything_is_imported(number, module, embedding, tmp_path) -> None:
    code = f"""
import sys, importlib.abc
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            print("importing", flush=True)
            import time
            time.sleep(5)
sys.meta_path.insert(0, Slow())
from hearaudiomlp.cli import process
process()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *embedding],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    status, _ = finish(process)
    assert status == 128 + number
    assert not list(tmp_path.glob("*t.npz*"))


def test_a_signal_while_a_picture_is_written(recordings, tmp_path) -> None:
    code = f"""
import time
from matplotlib.figure import Figure
whole = Figure.savefig
def savefig(self, file, **options):
    file.write(b"half a picture")
    file.flush()
    print("writing", flush=True)
    time.sleep(5)
Figure.savefig = savefig
import sys
sys.argv[1:] = ["plot", {str(recordings / "b.wav")!r}, "-o", {str(tmp_path / "p.png")!r}]
from hearaudiomlp.cli import process
process()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "writing\n"
    assert list(tmp_path.glob(".p.png.*"))
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert not list(tmp_path.glob("*p.png*"))


def wait_for_handlers(process: subprocess.Popen) -> None:
    """Wait until the command handles signals: Python itself has no handler of SIGTERM."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = re.search(r"SigCgt:\s*(\w+)", status.read_text())
        if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.faults
@pytest.mark.parametrize("out", ["t.npz", "t.parquet"])
def test_a_hundred_kills_and_two_hundred_interrupts(out, checkpoints, tmp_path) -> None:
    """Whatever stops a run and however often, the table comes out as if nothing had.

    HEARAUDIOMLP_FAULTS is the number of kills for each format; there are twice as many interrupts.
    """
    source = ROOT / "samples" / "words.flac"
    recordings = tmp_path / "in"
    recordings.mkdir()
    for number in range(24):
        shutil.copy(source, recordings / f"{number:02}.flac")
    model = ["--model", str(checkpoints["kwmlp"]), "--device", "cpu", "--shard-files", "2"]

    def command(folder: Path) -> list[str]:
        return ["embed", str(recordings), "-o", str(folder / out), "--kind", "both", *model]

    whole = tmp_path / "whole"
    whole.mkdir()
    begin = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-m", "hearaudiomlp", *command(whole)], check=True, capture_output=True
    )
    took = time.monotonic() - begin
    expected = contents(whole)
    rounds = int(os.environ.get("HEARAUDIOMLP_FAULTS", "50"))
    plans = [[signal.SIGKILL]] * rounds + [[signal.SIGINT]] * rounds
    plans += [[signal.SIGINT] * 2] * (rounds // 2)
    plans += [[signal.SIGTERM]] * (rounds // 4) + [[signal.SIGHUP]] * (rounds // 4)
    chance = random.Random(0)
    chance.shuffle(plans)
    out_folder = tmp_path / "out"
    out_folder.mkdir()
    stopped = tables = 0
    while plans:
        before = set(out_folder.rglob("*.tmp"))  # of a run that was killed
        process = subprocess.Popen(
            [sys.executable, "-m", "hearaudiomlp", *command(out_folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        numbers = plans.pop()
        wait_for_handlers(process)
        time.sleep(chance.random() * took)
        for number in numbers:
            process.send_signal(number)
            time.sleep(chance.random() * 0.1)
        _, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        assert "Exception ignored" not in err, err
        if process.returncode:
            stopped += 1
            killed = numbers[0] == signal.SIGKILL
            assert process.returncode == (-9 if killed else 128 + numbers[0]), (numbers, err)
        else:
            tables += 1
            assert contents(out_folder) == expected
            shutil.rmtree(out_folder)
            out_folder.mkdir()
        if numbers != [signal.SIGKILL]:
            assert set(out_folder.rglob("*.tmp")) <= before
    while subprocess.run(
        [sys.executable, "-m", "hearaudiomlp", *command(out_folder)], check=False
    ).returncode:
        pass
    assert contents(out_folder) == expected
    print(f"{out}: stopped {stopped} times, {tables + 1} tables, all of the same bytes")
