"""Temporary files and folders: their names, and their modes under any umask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hearaudiomlp.storage.atomic import replacing


@pytest.mark.parametrize("name", ["漢" * 80 + ".png", "a" * 255, os.fsdecode(b"\xe9" * 255)])
def test_any_name_that_a_file_can_have(name, tmp_path: Path) -> None:
    with replacing(tmp_path / name) as file:
        file.write(b"marvin")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_any_name_where_names_are_ascii(tmp_path: Path) -> None:
    """Python has the bytes of other letters as half characters there."""
    code = "import sys; from hearaudiomlp.storage.atomic import replacing\n"
    code += "with replacing(sys.argv[1]) as file: file.write(b'marvin')"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, tmp_path / "wörter.txt"]
    subprocess.run(command, env=os.environ | ascii_only, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["wörter.txt"]


_CLAIMED = """
import os, sys
os.umask(int(sys.argv[1], 8))
os.chdir(sys.argv[2])
from hearaudiomlp.storage.parts import PartsFolder
from hearaudiomlp.storage.store import open_store
store = open_store("t.npz")[0]
parts = PartsFolder(store, "t.npz.parts", lambda name: True)
parts.claim()
print(*(oct(os.stat(name).st_mode) for name in ("t.npz.parts", "t.npz.parts/.hearaudiomlp.json")))
with store.writing("t.npz.parts/run.json") as file:
    file.write(b"{}")
print(os.listdir("."), oct(os.stat("t.npz.parts/run.json").st_mode))
parts.remove()
"""


@pytest.mark.parametrize(("umask", "folder"), [("0777", "700"), ("0700", "777"), ("0022", "755")])
def test_whatever_the_umask_a_run_can_use_its_folder(umask, folder, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CLAIMED, umask, str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    file = oct(0o100666 & int(folder, 8) | 0o100000)
    assert done.stdout.splitlines() == [f"0o40{folder} {file}", f"['t.npz.parts'] {file}"]
    assert not list(tmp_path.iterdir())
