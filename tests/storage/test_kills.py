"""Runs that are killed between any two changes of the disk."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.faults

_KILLED_AT_EACH_CHANGE = """
import json, os, signal, sys
from pathlib import Path
from hearaudiomlp.cli import main

folder, step, command, earlier = sys.argv[1], int(sys.argv[2]), *map(json.loads, sys.argv[3:])
changes, at = 0, 0

def before(event, details):
    global changes
    path = str(details[0]) if details else ""
    reads = event == "open" and not (details[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event in ("open", "os.remove", "os.rmdir", "os.rename", "os.mkdir") and not reads:
        if path.startswith(folder):
            changes += 1
            if changes == at:
                os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(before)

def run(arguments, kill_at=0):
    global at, changes
    process = os.fork()
    if process == 0:
        status = 70
        try:
            at, changes = kill_at, 0
            status = main(arguments)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

def content():
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}

def clear():
    for path in sorted(Path(folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

assert run(command) == 0
whole = content()
kills = 0
for number in range(1, 1000, step):
    clear()
    assert run(earlier) == 0
    if (status := run(command, number)) == 0:
        break
    assert status == -signal.SIGKILL, status
    kills += 1
    assert run(command) == 0, f"killed before change {number}"
    assert content() == whole, f"killed before change {number}"
assert number < 1000
print(kills)
"""


@pytest.mark.parametrize("out", ["t.npz", "t.parquet", "t.h5"])
def test_a_table_survives_a_kill_anywhere(out, checkpoints, recordings, tmp_path) -> None:
    """It replaces an earlier one, and the next run of the same command completes it.

    At a HEARAUDIOMLP_FAULTS of 100, kills come before every change; at less, before some.
    """
    folder = tmp_path / "out"
    folder.mkdir()
    options = ["-o", str(folder / out), "--kind", "both", "--shard-files", "2"]
    options += ["--model", str(checkpoints["kwmlp"]), "--device", "cpu", "--threads", "1"]
    earlier, command = (["embed", str(path), *options] for path in (recordings / "a", recordings))
    step = max(1, 100 // int(os.environ.get("HEARAUDIOMLP_FAULTS", "50")))
    done = subprocess.run(
        [
            *(sys.executable, "-c", _KILLED_AT_EACH_CHANGE, str(folder), str(step)),
            *(json.dumps(command), json.dumps(earlier)),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 20 // step
