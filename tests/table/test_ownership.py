"""A run creates, replaces and removes only what is provably its own."""

import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hearaudiomlp.cli import main
from hearaudiomlp.storage.ownership import MARK, MARK_FILE, seal, unseal
from hearaudiomlp.table.find import Skipped, find
from hearaudiomlp.table.formats import find_format
from hearaudiomlp.table.formats.heareval import HearevalTask
from hearaudiomlp.table.listing import Listing
from hearaudiomlp.table.outputs import Outputs
from hearaudiomlp.table.run import Run, this_machine
from heartasks import make_task, whistle
from paths import ROOT


@pytest.fixture
def embed(recordings, checkpoints, tmp_path) -> Callable[..., int]:
    def run(out: str | Path, *more: str, source: Path = recordings) -> int:
        arguments = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", *more]
        return main(["embed", str(source), "-o", str(tmp_path / out), *arguments])

    return run


def everything(folder: Path) -> dict[str, bytes | str]:
    """What is in a folder, links and folders too."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else stat.filemode(path.lstat().st_mode)
        )
        for path in folder.rglob("*")
    }


FOREIGN_FILES = [
    ("t.npz", "t.npz"), ("t.npz", "t.npz.report.json"), ("t.npz", "t.npz.parts"),
    ("t.npy", "t.files.csv"), ("t.npy", "t.timestamps.npy"), ("t.npy", "t.npy"),
    ("t.jsonl", "t.jsonl"), ("t.hdf5", "t.hdf5"),
]  # fmt: skip


@pytest.mark.parametrize(("out", "foreign"), FOREIGN_FILES)
def test_a_foreign_file_is_refused(out, foreign, embed, tmp_path, capsys) -> None:
    (tmp_path / foreign).write_bytes(b'{"precious": 1}')
    before = everything(tmp_path)
    assert embed(out, "--kind", "both") == 2
    assert str(tmp_path / foreign) in capsys.readouterr().err
    assert everything(tmp_path) == before


@pytest.mark.parametrize(("out", "foreign"), FOREIGN_FILES)
def test_overwrite_replaces_files_but_not_parts(out, foreign, embed, tmp_path) -> None:
    (tmp_path / foreign).write_bytes(b"precious")
    expected = 2 if foreign.endswith(".parts") else 0
    assert embed(out, "--kind", "both", "--overwrite") == expected
    assert ((tmp_path / foreign).read_bytes() == b"precious") == bool(expected)


def test_a_foreign_npz_is_refused_however_much_it_looks_like_ours(embed, tmp_path) -> None:
    assert embed("t.npz") == 0
    with np.load(tmp_path / "t.npz") as table:
        arrays = dict(table)
    (tmp_path / "t.npz.report.json").unlink()
    np.savez(tmp_path / "t.npz", **arrays, labels=np.arange(5))
    before = everything(tmp_path)
    assert embed("t.npz") == 2
    assert everything(tmp_path) == before


@pytest.mark.parametrize("out", ["t.npz", "t.hdf5", "t.parquet"])
def test_without_its_report_a_table_is_known_by_its_mark(out, embed, tmp_path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("h5py")
    assert embed(out) == 0
    before = everything(tmp_path)
    (tmp_path / f"{out}.report.json").unlink()
    assert embed(out) == 0
    assert everything(tmp_path) == before


KINDS = ["link to a file", "link to nothing", "pipe", "folder"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["t.npy", "t.files.csv", "t.npy.report.json", "t.npy.parts"])
@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_what_is_no_file_is_refused(  # noqa: PLR0917 - fixtures
    kind, name, more, embed, tmp_path, capsys
) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
        if kind == "link to a file":
            (tmp_path / "elsewhere").write_text("precious")
    before = everything(tmp_path)
    assert embed("t.npy", *more) == 2
    assert str(path) in capsys.readouterr().err
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["stdout", "null"])
def test_devices_are_refused(name, embed, capsys) -> None:
    assert embed(f"/dev/{name}", "--format", "npz", "--overwrite") == 2
    assert f"/dev/{name} is a" in capsys.readouterr().err
    assert not list(Path("/dev").glob(f"*{name}.*"))


@pytest.mark.parametrize("link", [False, True])
def test_foreign_parts_are_refused(link, embed, tmp_path) -> None:
    mine = tmp_path / ("victim" if link else "t.npz.parts")
    (mine / "sub").mkdir(parents=True)
    (mine / "thesis.txt").write_text("precious")
    (mine / "00000.json").write_text("{}")
    (mine / "sub" / ".a.0123456789abcdef.tmp").write_text("precious")
    if link:
        (tmp_path / "t.npz.parts").symlink_to(mine)
    (tmp_path / ".t.npz.mine.tmp").write_text("precious")
    (tmp_path / ".t.npz.parts.0123456789abcdef.tmp").mkdir()
    (tmp_path / ".t.npz.parts.0123456789abcdef.tmp" / "x").write_text("precious")
    before = everything(tmp_path)
    for more in (), ("--no-resume",), ("--overwrite",):
        assert embed("t.npz", *more) == 2
        assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["notes.txt", "task/thesis.txt"])
def test_foreign_files_in_our_parts_stay(  # noqa: PLR0917 - fixtures
    name, embed, recordings, checkpoints, tmp_path, capsys
) -> None:
    parts = partly(recordings, checkpoints, tmp_path)
    (parts / name).parent.mkdir(exist_ok=True)
    (parts / name).write_text("precious")
    assert embed("t.npz", "--shard-files", "2") == 0
    assert name in capsys.readouterr().err
    assert (parts / name).read_text() == "precious"
    left = {path.relative_to(parts).as_posix() for path in parts.rglob("*") if path.is_file()}
    assert left == {MARK_FILE, name}


def test_foreign_files_where_a_task_is_laid_out_stay(embed, tmp_path, capsys, monkeypatch) -> None:
    task = make_task(tmp_path / "tasks", "scene", 1, whistle)
    note = tmp_path / "out.parts" / "task" / "thesis.txt"
    whole = HearevalTask.publish

    def publish(*arguments) -> None:
        note.parent.mkdir()
        note.write_text("precious")
        whole(*arguments)

    monkeypatch.setattr(HearevalTask, "publish", publish)
    assert embed("out", "--layout", "heareval", source=task) == 2
    assert "thesis.txt isn't a file that this command wrote" in capsys.readouterr().err
    assert note.read_text() == "precious"
    note.unlink()
    monkeypatch.undo()
    assert embed("out", "--layout", "heareval", source=task) == 0


def test_a_folder_that_takes_the_place_of_parts_while_a_task_is_laid_out_stays(
    embed, tmp_path, monkeypatch
) -> None:
    task = make_task(tmp_path / "tasks", "scene", 1, whistle)
    mine = tmp_path / "out.parts" / "task" / "task_metadata.json"
    whole = Outputs.clear_folder

    def clear_folder(*arguments) -> None:
        whole(*arguments)
        (tmp_path / "out.parts").rename(tmp_path / "moved")
        mine.parent.mkdir(parents=True)
        mine.write_text("precious")

    monkeypatch.setattr(Outputs, "clear_folder", clear_folder)
    assert embed("out", "--layout", "heareval", source=task) == 2
    assert [path.name for path in (tmp_path / "out.parts").rglob("*")] == ["task", mine.name]
    assert mine.read_text() == "precious"


def test_what_another_run_left_before_it_had_parts_is_removed(embed, tmp_path) -> None:
    assert embed("u.npz") == 0
    abandoned = tmp_path / ".t.npz.parts.0123456789abcdef.tmp"
    abandoned.mkdir()
    (abandoned / MARK_FILE).write_bytes(seal({"parts_of": "t.npz.parts"}))
    assert embed("t.npz") == 0
    assert not abandoned.exists()


def test_a_recording_is_never_the_output(embed, recordings, capsys) -> None:
    before = everything(recordings)
    for name in "b.wav", "c d/ü.wav":
        for more in (), ("--overwrite",):
            assert embed(recordings / name, "--format", "npz", *more) == 2
            assert str(recordings / name) in capsys.readouterr().err
    hard = recordings.parent / "t.npz"
    hard.hardlink_to(recordings / "b.wav")
    assert embed(hard, "--overwrite") == 2
    assert everything(recordings) == before


def test_a_recording_with_our_mark_in_it_is_an_input(embed, recordings, capsys) -> None:
    sound = recordings / "b.wav"
    sound.write_bytes(sound.read_bytes() + MARK.encode())
    before = everything(recordings)
    assert embed(sound, "--format", "npz") == 2
    assert f"{sound} is an input" in capsys.readouterr().err
    assert everything(recordings) == before


@pytest.mark.parametrize("kind", ["pth", "onnx", "list"])
def test_what_a_run_reads_beside_recordings_stays(
    kind, recordings, checkpoints, tmp_path, capsys
) -> None:
    """A model file may be marked as ours; it is an input all the same."""
    read = tmp_path / f"read.{kind}"
    source, model = recordings, ROOT / "onnx_models" / "kwmlp.onnx"
    if kind == "list":
        source = read = read.with_suffix(".txt")
        read.write_text(str(recordings / "b.wav"))
    else:
        shutil.copy(model if kind == "onnx" else checkpoints["kwmlp"], read)
        model = read
    before = read.read_bytes()
    link = tmp_path / "t.npz"
    link.hardlink_to(read)
    command = ["embed", str(source), "--format", "npz", "--model", str(model), "--device", "cpu"]
    for out in read, link:
        for more in (), ("--overwrite",):
            assert main([*command, "-o", str(out), *more]) == 2
            assert f"{out} is an input" in capsys.readouterr().err
    assert read.read_bytes() == before


def test_a_changed_table_is_refused(embed, tmp_path, capsys) -> None:
    for out in "t.npy", "t.npz", "t.jsonl":
        assert embed(out) == 0
        path = tmp_path / out
        path.write_bytes(path.read_bytes() + b"\0")
        before = everything(tmp_path)
        assert embed(out) == 2
        assert "has changed since this command wrote it" in capsys.readouterr().err
        assert everything(tmp_path) == before
        assert embed(out, "--overwrite") == 0
        assert embed(out) == 0
        assert "already complete" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["t.parquet", "t.timestamps.parquet"])
def test_a_folder_of_parquet_is_ours_if_nothing_else_is_in_it(name, embed, tmp_path) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / name
    assert embed("t.parquet", "--kind", "both") == 0
    (folder / "thesis.txt").write_text("precious")
    os.utime(tmp_path / "in" / "b.wav", ns=(1, 1))  # the table has to be rebuilt
    before = everything(tmp_path)
    for more in (), ("--overwrite",), ("--no-resume",):
        assert embed("t.parquet", "--kind", "both", *more) == 2
        assert everything(tmp_path) == before
    (folder / "thesis.txt").unlink()
    (folder / "part-00000.parquet").write_bytes(b"edited")
    assert embed("t.parquet", "--kind", "both") == 2
    assert (folder / "part-00000.parquet").read_bytes() == b"edited"
    assert embed("t.parquet", "--kind", "both", "--overwrite") == 0
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "part-00000.parquet").write_bytes(b"somebody else's")
    assert embed("t.parquet", "--kind", "both", "--overwrite", "--no-resume") == 2
    assert (folder / "part-00000.parquet").read_bytes() == b"somebody else's"


def test_a_file_that_appears_in_a_folder_just_before_it_is_replaced_stays(
    embed, tmp_path, monkeypatch
) -> None:
    pytest.importorskip("pyarrow")
    from hearaudiomlp.storage.store import LocalStore

    assert embed("t.parquet") == 0
    os.utime(tmp_path / "in" / "b.wav", ns=(1, 1))  # the table has to be rebuilt
    folder, note = tmp_path / "t.parquet", tmp_path / "t.parquet" / "thesis.txt"
    before = everything(folder)
    whole = LocalStore.matches

    def matches(self: LocalStore, name: str, records) -> bool:
        made = tmp_path / "t.parquet.parts" / "files" / MARK_FILE
        if name.startswith("t.parquet/part-") and made.exists():
            note.write_text("precious")  # after the folder was listed, to be compared
        return whole(self, name, records)

    monkeypatch.setattr(LocalStore, "matches", matches)
    assert embed("t.parquet") == 2
    assert note.read_text() == "precious"
    note.unlink()
    assert everything(folder) == before
    monkeypatch.undo()
    assert embed("t.parquet") == 0


def test_what_is_in_a_folder_that_cannot_be_read_stays(
    embed, recordings, tmp_path, monkeypatch, capsys
) -> None:
    pytest.importorskip("pyarrow")
    assert embed("t.parquet") == 0
    hidden = tmp_path / "t.parquet" / "private" / "thesis.txt"
    hidden.parent.mkdir()
    hidden.write_text("precious")
    before, whole = everything(tmp_path / "t.parquet"), os.scandir

    def scandir(path):
        if str(path) == str(hidden.parent):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert embed("t.parquet", source=recordings / "b.wav") == 1
    assert "private" in capsys.readouterr().err
    monkeypatch.undo()
    assert everything(tmp_path / "t.parquet") == before


def test_what_is_deep_in_a_folder_of_ours_stays(embed, recordings, tmp_path, capsys) -> None:
    """Deeper than Python's calls."""
    pytest.importorskip("pyarrow")
    assert embed("t.parquet") == 0
    hidden = tmp_path / "t.parquet"
    for _ in range(sys.getrecursionlimit() + 200):
        hidden /= "d"
        hidden.mkdir()
    hidden /= "thesis.txt"
    hidden.write_text("precious")
    try:
        assert embed("t.parquet", source=recordings / "b.wav") == 2
        assert "has a file that this command didn't write" in capsys.readouterr().err
        assert hidden.read_text() == "precious"
    finally:  # shutil.rmtree, by which pytest removes folders, goes no deeper than Python's calls
        subprocess.run(["rm", "-rf", tmp_path / "t.parquet" / "d"], check=True)


def test_a_file_that_appears_during_the_run_stays(recordings, checkpoints, tmp_path) -> None:
    from hearaudiomlp import load_model
    from hearaudiomlp.errors import OutputExistsError

    model = load_model(checkpoints["audiomae"], device="cpu")
    listing = Listing(find([str(recordings)], Skipped()))
    with Run(str(tmp_path / "t.npz"), listing, model, format=find_format("npz")) as run:
        for _ in run.work(this_machine(model)):
            pass
        (tmp_path / "t.npz").write_text("precious")
        with pytest.raises(OutputExistsError, match=r"t\.npz exists"):
            run.finish()
    assert (tmp_path / "t.npz").read_text() == "precious"


def partly(recordings, checkpoints, tmp_path) -> Path:
    """Leave a run that did the first two shards of two files; return its parts."""
    from hearaudiomlp import load_model

    model = load_model(checkpoints["audiomae"], device="cpu")
    listing = Listing(find([str(recordings)], Skipped()))
    form = find_format("npz")
    options = {"format": form, "shard_files": 2, "kind": "both"}
    with Run(str(tmp_path / "t.npz"), listing, model, **options) as run:
        for _ in zip(range(2), run.work(this_machine(model)), strict=False):
            pass
    return tmp_path / "t.npz.parts"


@pytest.mark.parametrize("when", ["during a shard", "after a shard", "at the end"])
@pytest.mark.parametrize("link", [False, True])
def test_a_folder_that_takes_the_place_of_parts_stays(
    link, when, recordings, checkpoints, tmp_path
) -> None:
    from hearaudiomlp import load_model
    from hearaudiomlp.errors import OutputExistsError

    model = load_model(checkpoints["audiomae"], device="cpu")
    listing = Listing(find([str(recordings)], Skipped()))
    parts, mine = tmp_path / "t.npz.parts", tmp_path / "mine"
    before = {}

    def swap(_: object = None) -> None:
        if not before:
            parts.rename(tmp_path / "moved")
            mine.mkdir()
            for name in ("00000.json", "00001.scenes", "00001.rows", "run.json", "outputs.json",
                         "files.jsonl", ".x.0123456789abcdef.tmp", "thesis.txt"):  # fmt: skip
                (mine / name).write_text("precious")
            before.update(everything(mine))
            parts.symlink_to(mine) if link else mine.rename(parts)

    def work(run: Run) -> None:
        on_file = swap if when == "during a shard" else lambda _: None
        for _ in run.work(this_machine(model), on_file):
            if when == "after a shard":
                swap()
        swap()
        run.finish()

    options = {"format": find_format("npz"), "shard_files": 2}
    with Run(str(tmp_path / "t.npz"), listing, model, **options) as run:
        with pytest.raises((OutputExistsError, FileNotFoundError)):
            work(run)
        with pytest.raises(OutputExistsError, match=r"t\.npz\.parts is"):
            run.count_done()
    assert everything(parts) == before
    assert not (tmp_path / "t.npz").exists()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _edit(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"a", b"o", 1) if b"a" in data else b"1" + data[1:])


def _link(path: Path) -> None:
    copy = path.parent.parent / "elsewhere"
    copy.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(copy)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a bit flipped": _flip,
    "edited": _edit,
    "gone": Path.unlink,
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "a link": _link,
    "a pipe": _pipe,
}


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    return {}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["run.json", "files.jsonl", "00000.json", "00001.scenes",
                                  "00000.frames"])  # fmt: skip
def test_damage_to_parts_is_noticed(  # noqa: PLR0917 - fixtures
    name, damage, embed, recordings, checkpoints, tmp_path, expected
) -> None:
    parts = partly(recordings, checkpoints, tmp_path)
    DAMAGE[damage](parts / name)
    assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 0
    if not expected:
        assert embed("u.npz", "--kind", "both") == 0
        expected["u"] = (tmp_path / "u.npz").read_bytes().replace(str(tmp_path).encode(), b"")
    with np.load(tmp_path / "t.npz") as table:
        assert len(table["paths"]) == 5
        assert np.isfinite(table["timestamp_embeddings"]).all()
        assert np.isfinite(table["scene_embeddings"]).all()
    found = (tmp_path / "t.npz").read_bytes()
    assert embed("t.npz", "--kind", "both", "--shard-files", "2", "--no-resume") == 0
    assert (tmp_path / "t.npz").read_bytes() == found
    assert not parts.exists()


def sealed(inside: bytes) -> bytes:
    """Seal anything, as anybody can."""
    body = b'{"made_by": "%s", %s' % (MARK.encode(), inside)
    return body + b', "sha256": "%s"}\n' % hashlib.sha256(body).hexdigest().encode()


NO_JSON = [
    sealed(b'"x": ' + b"[" * 100_000 + b"]" * 100_000),
    sealed(b'"x": ' + b"[" * 900 + b"]" * 900),
    *map(sealed, (b"xx", b'"x": "\xff"', b'"files": ' + b"9" * 6000)),
]
RECORDS = [
    None, 5, "x", [], [1], {"t.npz": 5}, {"t.npz": None}, {"t.npz": [[1], "a"]},
    {"t.npz": [-1, ""]}, {"t.npz": [1e400, ""]}, {"t.npz": [1, "a"]}, {"t.npz": [True, ""]},
    {"t.npz": [1]},
    *({name: [1, ""]} for name in ("../x", "/etc/passwd", "a\0b", "", ".", "a//b", "\ud800")),
]  # fmt: skip
FAILURES = [None, 5, "x", ["abcd"], [5], [[]], [{"x": 1}], [[1, 2, 3, 4]], [["x", "", "", ""]],
            [{"file": "x", "path": "", "error": "", "problem": ""}]]  # fmt: skip
HOSTILE = {
    "t.npz.report.json": {
        "outputs": RECORDS, "failed": FAILURES, "files": ["x", -1, 1e400], "embedded": [None, {}],
        "seconds": ["x", None], "format": [[[[]]]], "cut": [{"segment": [[]]}],
    },
    "t.npz.parts/run.json": {"format": ["\x1b[31m", [[]]], "cut": [5, {"segment": [[]]}]},
    "t.npz.parts/outputs.json": {"t.npz": [5, [], ["x", ""], [1, 5]], "../x": [[1, ""]]},
    "t.npz.parts/00000.json": {
        "files": [*RECORDS, {}, {"../../x": [1, ""]}, {"task/../../x": [1, ""]}],
        "failed": FAILURES, "embedded": ["x", None, -1, 1e400],
    },
    "t.parquet/.hearaudiomlp.json": {
        "files": [*RECORDS, {"part-00000.parquet/x": [1, ""]}, {"a" * 300: [1, ""]}],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_anybody_can_seal_is_not_trusted(name, embed, tmp_path, capsys, monkeypatch) -> None:
    pytest.importorskip("pyarrow")
    out = name.partition("/")[0].removesuffix(".parts").removesuffix(".report.json")
    if ".parts" in name:  # all but the report is there
        monkeypatch.setattr(Run, "finish", lambda *_: (_ for _ in ()).throw(OSError("stop")))
    command = [out, "--shard-files", "2", "--kind", "scene"]
    embed(*command)
    monkeypatch.undo()
    if name.endswith("outputs.json"):
        (tmp_path / name).write_bytes(seal({}))
    good = unseal((tmp_path / name).read_bytes())
    before = everything(tmp_path)
    hostile = [
        seal(good | {key: value}) for key, values in HOSTILE[name].items() for value in values
    ]
    for data in NO_JSON + hostile:
        for path in tmp_path.glob("t.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path, content in before.items():
            if path.startswith("t."):
                (tmp_path / path).parent.mkdir(exist_ok=True)
                if isinstance(content, bytes):
                    (tmp_path / path).write_bytes(content)
        (tmp_path / name).write_bytes(data)
        status = embed(*command)
        err = capsys.readouterr().err
        if name.endswith("run.json") and "can't be resumed" in err:
            status = embed(*command, "--no-resume")
        if out == "t.parquet":
            assert status == 2, data
            assert "that this command didn't" in err
        else:
            assert status == 0, (data, err)
            assert len(np.load(tmp_path / out)["paths"]) == 5


def seal_part(parts: Path, name: str, data: bytes) -> None:
    """Replace a file of the first shard, and put its size and digest into the manifest."""
    (parts / name).write_bytes(data)
    manifest = unseal((parts / "00000.json").read_bytes())
    manifest["files"][name] = [len(data), hashlib.sha256(data).hexdigest()]
    (parts / "00000.json").write_bytes(seal(manifest))


HOSTILE_ROWS = [
    *((5, value) for value in (0, -5, 10**6, 10**12, 1 << 63, True)),
    *((2, value) for value in (float("nan"), float("inf"), -1.0)),
    *((place, value) for place in (0, 3, 4, 7) for value in (-1, 1 << 70)),
    *((1, value) for value in ("evil.wav", "\ud800", "a\0")),
]


@pytest.mark.parametrize("what", ["rows", "scenes", "frames"])
def test_rows_that_anybody_can_seal_are_not_trusted(  # noqa: PLR0917 - fixtures
    what, embed, recordings, checkpoints, tmp_path, capsys
) -> None:
    parts = partly(recordings, checkpoints, tmp_path)
    before, name = everything(parts), f"00000.{what}"
    good = (parts / name).read_bytes()
    hostile = [b"", good + good, good[:-4], good + b"\0"]
    if what == "rows":
        rows = [json.loads(line) for line in good.splitlines()]
        changed = [
            [[*rows[0][:at], value, *rows[0][at + 1 :]], *rows[1:]] for at, value in HOSTILE_ROWS
        ]
        hostile += [
            b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            for rows in (*changed, rows[::-1], rows[:1])
        ]
    for data in hostile:
        parts.mkdir(exist_ok=True)
        for path, content in before.items():
            (parts / path).write_bytes(content)
        (tmp_path / "t.npz").unlink(missing_ok=True)
        seal_part(parts, name, data)
        assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 0
        assert "shard 0 in t.npz.parts is damaged" in capsys.readouterr().err, data
        assert len(np.load(tmp_path / "t.npz")["paths"]) == 5


def test_a_shard_of_another_run_is_none_of_this_one(
    embed, recordings, checkpoints, tmp_path, capsys
) -> None:
    """Its files have the same names: folders get mixed, and workers of a cluster live on."""
    parts = partly(recordings, checkpoints, tmp_path)
    other = parts.rename(tmp_path / "other")
    os.utime(recordings / "b.wav", ns=(0, 1))
    parts = partly(recordings, checkpoints, tmp_path)
    for path in other.glob("00000.*"):
        shutil.copy(path, parts)
    assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 0
    assert "shard 0 in t.npz.parts is damaged" in capsys.readouterr().err


def test_files_of_another_size_are_not_read(
    embed, recordings, checkpoints, tmp_path, capsys
) -> None:
    """Empty terabytes take a minute a hundred gigabytes."""
    parts = partly(recordings, checkpoints, tmp_path)
    os.truncate(parts / "00000.scenes", 1 << 42)
    assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 0
    assert "shard 0 in t.npz.parts is damaged" in capsys.readouterr().err
    os.truncate(tmp_path / "t.npz", 1 << 42)
    assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 2
    (tmp_path / "t.npz").unlink()
    assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 0
    os.truncate(tmp_path / "t.npz.report.json", 1 << 42)
    assert embed("t.npz", "--kind", "both", "--shard-files", "2") == 0


def test_a_listing_is_only_read_if_it_is_the_one_of_its_run(
    embed, recordings, checkpoints, tmp_path, capsys
) -> None:
    parts = partly(recordings, checkpoints, tmp_path)
    os.utime(recordings / "b.wav", ns=(0, 1))
    command = ("t.npz", "--kind", "both", "--shard-files", "2")
    assert embed(*command) == 1
    assert "b.wav" in capsys.readouterr().err
    for damage in (_edit, _flip, lambda path: os.truncate(path, 1 << 42)):
        before = (parts / "files.jsonl").read_bytes()
        damage(parts / "files.jsonl")
        assert embed(*command) == 1
        assert "other files: added, gone or changed;" in capsys.readouterr().err
        (parts / "files.jsonl").write_bytes(before)


@pytest.mark.parametrize("damage", [
    "truncated", "a bit flipped", "edited", "gone", b"null", b"[]", b"{}", b"[" * 100_000,
])  # fmt: skip
def test_a_damaged_report_is_noticed(damage, embed, tmp_path, capsys) -> None:
    assert embed("t.npz") == 0
    report = tmp_path / "t.npz.report.json"
    good = report.read_bytes()
    if isinstance(damage, bytes):
        report.write_bytes(damage)
        assert embed("t.npz") == 2  # it isn't ours any more
        assert report.read_bytes() == damage
        assert embed("t.npz", "--overwrite") == 0
    else:
        DAMAGE[damage](report)
        assert embed("t.npz") == 0
        assert "already complete" not in capsys.readouterr().out
    assert report.read_bytes() == good


def test_the_report_lists_what_is_there(embed, tmp_path) -> None:
    assert embed("t.npy", "--kind", "both") == 0
    report = json.loads((tmp_path / "t.npy.report.json").read_text())
    assert {name: size for name, (size, _) in report["outputs"].items()} == {
        name: (tmp_path / name).stat().st_size for name in ("t.npy", "t.timestamps.npy",
                                                            "t.files.csv")
    }  # fmt: skip


@pytest.mark.parametrize("place", ["itself", "inside", "above", "through a link", "another task",
                                   "a folder with a task_metadata.json"])  # fmt: skip
def test_heareval_keeps_away_from_tasks(place, embed, tmp_path) -> None:
    task = make_task(tmp_path / "tasks", "scene", 1, whistle)
    other = make_task(tmp_path / "others", "scene", 1, whistle)
    (tmp_path / "link").symlink_to(task.parent)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "task_metadata.json").write_text("{}")
    out = {
        "itself": task,
        "inside": task / "out",
        "above": task.parent,
        "through a link": tmp_path / "link" / task.name / "out",
        "another task": other,
        "a folder with a task_metadata.json": folder,
    }[place]
    before = everything(tmp_path)
    for more in (), ("--overwrite", "--no-resume"):
        assert embed(out, "--layout", "heareval", *more, source=task) == 2
        assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["../../../out.wav", "/tmp/out.wav", "a/../../b.wav", "", ".",
                                  "./a.wav", "a//b.wav", "x\0.wav", "..", "a\\..\\b",
                                  "\ud800.wav"])  # fmt: skip
@pytest.mark.parametrize("what", ["file", "split"])
def test_names_in_a_task_stay_inside(name, what, embed, tmp_path, capsys) -> None:
    task = make_task(tmp_path / "tasks", "scene", 1, whistle)
    if what == "file":
        (task / "test.json").write_text(json.dumps({name: ["yes"]}))
    else:
        metadata = json.loads((task / "task_metadata.json").read_text())
        (task / "task_metadata.json").write_text(json.dumps(metadata | {"splits": [name]}))
    before = everything(tmp_path)
    assert embed("out", "--layout", "heareval", source=task) == 1
    assert "inside the task" in capsys.readouterr().err
    assert everything(tmp_path) == before


@pytest.mark.parametrize("out", ["t.npz", "t.npy", "t.jsonl", "t.hdf5", "t.parquet"])
def test_results_are_on_disk_before_they_have_their_names(
    out, embed, tmp_path, monkeypatch
) -> None:
    """A power cut leaves a name with the whole content, or no name."""
    synced, sync = set(), os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert embed(out, "--kind", "both", "--shard-files", "1") == 0
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "t." in str(path)]
    assert len(written) >= 2
    assert [path for path in written if path.stat().st_ino not in synced] == []
