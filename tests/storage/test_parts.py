"""The folder of a table in the making, while others write beside it and in it."""

from pathlib import Path

import pytest

from hearaudiomlp.storage import stopping
from hearaudiomlp.storage.ownership import MARK_FILE
from hearaudiomlp.storage.parts import PartsFolder
from hearaudiomlp.storage.store import LocalStore, open_store


def claimed(folder: Path) -> PartsFolder:
    store, name = open_store(str(folder / "t.npz"))
    parts = PartsFolder(store, f"{name}.parts", lambda _: True)
    parts.claim()
    return parts


@pytest.mark.parametrize("what", ["another folder", "a signal"])
def test_a_file_that_appears_while_the_folder_is_removed_stays(what, tmp_path, monkeypatch) -> None:
    parts = claimed(tmp_path)
    remove_folder = LocalStore.remove_folder

    def appear(self: LocalStore, name: str) -> bool:
        """By a process that works in this folder, whatever its name is now."""
        (tmp_path / name / "thesis.txt").write_text("precious")
        if what == "a signal":
            stopping.remove_temporaries()
        else:  # takes its name
            (tmp_path / "t.npz.parts").mkdir()
            (tmp_path / "t.npz.parts" / "notes.txt").touch()
        return remove_folder(self, name)

    monkeypatch.setattr(LocalStore, "remove_folder", appear)
    if what == "a signal":
        parts.remove()
    else:
        with pytest.raises(OSError, match="not empty"):
            parts.remove()
    parts.close()
    (found,) = tmp_path.rglob("thesis.txt")
    assert found.read_text() == "precious"


def test_another_run_that_gives_up_its_folder_meanwhile_is_no_error(tmp_path, monkeypatch) -> None:
    other = tmp_path / ".t.npz.parts.0123456789abcdef.tmp"
    other.mkdir()
    lstat = Path.lstat

    def vanish(self: Path):
        if self == other:
            other.rmdir()
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", vanish)
    parts = claimed(tmp_path)
    assert (tmp_path / "t.npz.parts" / MARK_FILE).exists()
    assert parts.remove() == []
    parts.close()
