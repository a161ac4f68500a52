"""How tables are laid out, continued and refused."""

import csv
import errno
import gc
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearaudiomlp import embed
from hearaudiomlp.cli import main
from hearaudiomlp.embed import embed_files
from hearaudiomlp.errors import AudioFileNotFoundError, MissingPackageError, RunChangedError
from hearaudiomlp.storage.store import LocalStore
from hearaudiomlp.table import job
from hearaudiomlp.table.find import Skipped, find
from hearaudiomlp.table.formats import FORMATS, find_format, parquet
from hearaudiomlp.table.formats.base import RawShardWriter
from hearaudiomlp.table.listing import Listing
from hearaudiomlp.table.run import Run, this_machine

_NEEDED = {"parquet": "pyarrow", "hdf5": "h5py"}
INSTALLED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            find_spec(_NEEDED.get(name, "json")) is None, reason=f"no package for {name}"
        ),
    )
    for name in FORMATS
]


@pytest.fixture
def run_it(recordings, checkpoints, tmp_path):
    """The command on the recordings."""

    def run(out: str, *more: str, folder: Path = recordings) -> int:
        arguments = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", "-o"]
        return main(["embed", str(folder), *arguments, str(tmp_path / out), *more])

    return run


def scenes_of(path: Path) -> np.ndarray:
    match path.suffix:
        case ".npz":
            return np.load(path)["scene_embeddings"]
        case ".npy":
            return np.load(path, mmap_mode="r")
        case ".hdf5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(path) as file:
                return file["scene_embeddings"][:]
        case ".jsonl":
            lines = path.read_text().splitlines()
            return np.array([json.loads(line)["scene_embedding"] for line in lines], np.float32)
        case _:
            table = pytest.importorskip("pyarrow.parquet").read_table(path)
            return np.stack(table["scene_embedding"].to_numpy())


def frames_of(path: Path) -> np.ndarray:
    match path.suffix:
        case ".npz":
            return np.load(path)["timestamp_embeddings"]
        case ".npy":
            return np.load(path.with_suffix(".timestamps.npy"))
        case ".hdf5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(path) as file:
                return file["timestamp_embeddings"][:]
        case ".jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            return np.array([v for row in rows for v in row["timestamp_embeddings"]], np.float32)
        case _:
            pq = pytest.importorskip("pyarrow.parquet")
            table = pq.read_table(path.with_suffix(".timestamps.parquet"))
            return np.stack(table["timestamp_embedding"].to_numpy())


@pytest.mark.parametrize("name", INSTALLED)
def test_every_format_holds_what_embed_files_gives(
    name, run_it, recordings, checkpoints, tmp_path
) -> None:
    from hearaudiomlp import load_model

    model = load_model(checkpoints["audiomae"], device="cpu")
    paths = [entry.path for entry in find([str(recordings)], Skipped())]
    expected = list(embed_files(paths, model))
    out = tmp_path / f"t.{name}"
    assert run_it(out.name, "--kind", "both", "--shard-files", "2") == 0
    np.testing.assert_array_equal(scenes_of(out), [file.scene_embedding for file in expected])
    frames = np.concatenate([file.timestamp_embeddings for file in expected])
    np.testing.assert_array_equal(frames_of(out), frames)
    assert not (tmp_path / f"t.{name}.parts").exists()
    if name == "npy":
        rows = list(csv.DictReader((tmp_path / "t.files.csv").read_text().splitlines()))
        assert [row["path"] for row in rows] == [file.path for file in expected]
        assert [int(row["n_timestamps"]) for row in rows] == [f.n_timestamps for f in expected]


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("kind", ["scene", "timestamps"])
def test_one_kind_alone(name, kind, run_it, tmp_path) -> None:
    out = tmp_path / f"t.{name}"
    assert run_it(out.name, "--kind", kind) == 0
    if kind == "scene":
        assert scenes_of(out).shape == (5, 1584)
        assert {path.name for path in tmp_path.glob("t.*")} <= {
            f"t.{name}", f"t.{name}.report.json", "t.files.csv"
        }  # fmt: skip
    elif name == "npy":
        assert np.load(out).shape[1] == 8
    else:
        assert frames_of(out).shape[1] == 8
    if name == "npz":
        assert ("offsets" in np.load(out)) == (kind == "timestamps")


@pytest.mark.parametrize("name", INSTALLED)
def test_equal_runs_give_equal_bytes(name, run_it, tmp_path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        more = ("--threads", "1") if folder == "two" else ()
        assert run_it(f"{folder}/t.{name}", "--kind", "both", *more) == 0
    one, two = (
        {
            str(path.relative_to(tmp_path / folder)): path.read_bytes()
            for path in (tmp_path / folder).rglob("*.*")
            if path.is_file()
        }
        for folder in ("one", "two")
    )
    assert one == two
    assert len(one) >= 2


@pytest.mark.parametrize("name", INSTALLED)
def test_the_pieces_that_frames_come_in_leave_no_trace(name, run_it, tmp_path, monkeypatch) -> None:
    # They depend on how files fall into blocks, and so on where a run was stopped.
    for folder, size in ("one", 12), ("two", 1):
        monkeypatch.setattr(embed, "FEWEST", size)
        monkeypatch.setattr("hearaudiomlp.model.BLOCK", size)
        if name == "parquet":
            monkeypatch.setattr("hearaudiomlp.table.formats.parquet.ROWS_PER_GROUP", 150)
        (tmp_path / folder).mkdir()
        assert run_it(f"{folder}/t.{name}", "--kind", "both") == 0
    one, two = (
        [path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.*")) if path.is_file()]
        for folder in ("one", "two")
    )
    assert one == two


@pytest.mark.parametrize(("name", "package", "extra"), [
    ("parquet", "pyarrow", "parquet"), ("hdf5", "h5py", "hdf5"),
])  # fmt: skip
def test_missing_extras_are_named(  # noqa: PLR0917 - fixtures
    name, package, extra, run_it, monkeypatch, capsys
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert run_it(f"t.{name}") == 1
    assert f"pip install 'hearaudiomlp[{extra}]'" in capsys.readouterr().err


def interrupted(tmp_path: Path, recordings: Path, model, shards: int = 1, **options) -> None:
    """Leave a run that did some shards of two files and went no further."""
    listing = Listing(find([str(recordings)], Skipped()))
    options = {"format": find_format("npz"), "kind": "both", "shard_files": 2} | options
    rows = []

    def on_file(row) -> None:
        rows.append(row)
        if len(rows) > 2 * shards:
            raise KeyboardInterrupt

    with (
        Run(str(tmp_path / "t.npz"), listing, model, **options) as run,
        pytest.raises(KeyboardInterrupt),
    ):
        for _ in run.work(this_machine(model), on_file):
            pass


@pytest.fixture
def audiomae(checkpoints):
    from hearaudiomlp import load_model

    return load_model(checkpoints["audiomae"], device="cpu")


def test_an_interrupted_run_resumes(run_it, recordings, audiomae, tmp_path, capsys) -> None:
    interrupted(tmp_path, recordings, audiomae)
    assert not (tmp_path / "t.npz").exists()
    assert run_it("t.npz", "--shard-files", "2") == 0
    assert "2 of 5 files were done before" in capsys.readouterr().err
    assert run_it("u.npz") == 0
    assert (tmp_path / "t.npz").read_bytes() == (tmp_path / "u.npz").read_bytes()


class Killed(BaseException):
    """What a test kills a run with."""


@pytest.mark.parametrize("ending", ["parquet", "npz", "hdf5"])
def test_a_run_that_is_killed_while_it_cleans_up(
    ending, recordings, checkpoints, tmp_path, monkeypatch
) -> None:
    """The table is in place by then, and stays whole."""
    folder = tmp_path / "out"
    command = ["embed", str(recordings), "-o", str(folder / f"t.{ending}"), "--kind", "both"]
    command += ["--model", str(checkpoints["audiomae"]), "--device", "cpu", "--shard-files", "2"]

    def contents() -> dict[str, bytes]:
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    folder.mkdir()
    assert main(command) == 0
    expected = contents()
    for number in range(100):
        shutil.rmtree(folder)
        folder.mkdir()
        names = iter(range(number))
        whole = LocalStore.remove

        def remove(self, name, names=names, whole=whole) -> None:
            if next(names, None) is None:
                raise Killed
            whole(self, name)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "remove", remove)
            try:
                main(command)
            except Killed:
                pass
            else:
                break
        left = {path.name for path in folder.glob("*.parts/*")}
        assert "run.json" not in left or {"00000.json", "00001.json", "00002.json"} <= left
        assert main(command) == 0
        assert contents() == expected, number
    assert number > 5


def test_a_shard_that_is_lost_after_the_folder_got_its_name(
    recordings, checkpoints, tmp_path, monkeypatch
) -> None:
    """It is computed again, and the others stay in the table."""
    command = ["embed", str(recordings), "-o", str(tmp_path / "t.parquet"), "--shard-files", "2"]
    command += ["--model", str(checkpoints["audiomae"]), "--device", "cpu"]

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "remove", killed)
        with pytest.raises(Killed):
            main(command)
    parts = sorted((tmp_path / "t.parquet").glob("*.parquet"))
    assert len(parts) == 3
    before = [part.read_bytes() for part in parts]
    (tmp_path / "t.parquet.parts" / "00000.json").unlink()
    assert main(command) == 0
    assert [part.read_bytes() for part in parts] == before


def test_changed_files_and_options_are_reported_and_not_mixed(
    run_it, recordings, audiomae, tmp_path, capsys
) -> None:
    interrupted(tmp_path, recordings, audiomae)
    assert run_it("t.npz", "--shard-files", "3") == 1
    assert "shard_files was 2 and is 3" in capsys.readouterr().err
    assert run_it("t.npz", "--shard-files", "2", "--kind", "scene") == 1
    assert "kind was both and is scene" in capsys.readouterr().err
    os.utime(recordings / "b.wav", ns=(1, 1))
    soundfile.write(recordings / "new.wav", np.zeros(100), 16000)
    assert run_it("t.npz", "--shard-files", "2") == 1
    message = capsys.readouterr().err
    assert "1 new" in message
    assert "1 changed" in message
    assert "--no-resume starts over" in message
    assert not (tmp_path / "t.npz").exists()
    assert run_it("t.npz", "--shard-files", "2", "--no-resume") == 0
    assert len(np.load(tmp_path / "t.npz")["paths"]) == 6


def test_what_cannot_be_resumed_stays(recordings, audiomae, tmp_path) -> None:
    """Also if none of its shards has a number that the other run would give; as on a cluster."""
    out = str(tmp_path / "t.npz")
    options = {"format": find_format("npz"), "shard_files": 1}
    with Run(out, Listing(find([str(recordings)], Skipped())), audiomae, **options) as run:
        for _ in zip(range(3), run.work(this_machine(audiomae)), strict=False):
            pass
    parts = tmp_path / "t.npz.parts"
    (parts / "00000.json").unlink()
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    with pytest.raises(RunChangedError):
        Run(out, Listing(find([str(recordings / "b.wav")], Skipped())), audiomae, **options)
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == before


def test_a_run_that_did_nothing_leaves_nothing(run_it, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert run_it("t.npz") == 1
    assert "hearaudiomlp[audio]" in capsys.readouterr().err
    assert not list(tmp_path.glob("t.*"))


def test_another_model_is_reported(recordings, audiomae, kwmlp, tmp_path) -> None:
    interrupted(tmp_path, recordings, audiomae)
    with pytest.raises(RunChangedError, match="model was audiomae and is kwmlp"):
        interrupted(tmp_path, recordings, kwmlp)


def test_a_complete_table_is_rebuilt_when_something_changed(run_it, recordings, capsys) -> None:
    assert run_it("t.npz") == 0
    assert run_it("t.npz") == 0
    assert "nothing has changed" in capsys.readouterr().out
    soundfile.write(recordings / "b.wav", np.ones(100), 16000)
    assert run_it("t.npz") == 0
    printed = capsys.readouterr()
    assert "t.npz is rebuilt: other files" in printed.err
    assert "nothing has changed" not in printed.out


def test_two_runs_at_once_are_refused(recordings, audiomae, tmp_path) -> None:
    listing = Listing(find([str(recordings)], Skipped()))
    options = {"format": find_format("npz")}
    with (
        Run(str(tmp_path / "t.npz"), listing, audiomae, **options),
        pytest.raises(RunChangedError, match="another run is writing"),
    ):
        Run(str(tmp_path / "t.npz"), listing, audiomae, **options)


def test_a_file_that_changes_during_the_run_fails(recordings, audiomae, tmp_path) -> None:
    listing = Listing(find([str(recordings)], Skipped()))
    soundfile.write(recordings / "b.wav", np.ones(5000), 16000)  # after it was found
    with Run(str(tmp_path / "t.npz"), listing, audiomae, format=find_format("npz")) as run:
        for _ in run.work(this_machine(audiomae)):
            pass
        report = run.finish()
    [failure] = report.failed
    assert failure.error == "AudioFileChangedError"
    assert report.embedded == 4


def test_a_thread_that_cannot_start_leaves_nothing_open(
    run_it, tmp_path, capsys, monkeypatch
) -> None:
    """Parquet's writers complain of files that were closed before them."""
    pytest.importorskip("pyarrow")

    def submit(*_) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("hearaudiomlp.table.unit.ThreadPoolExecutor.submit", submit)
    assert run_it(out="t.parquet") == 1
    gc.collect()
    assert "no thread can be started" in capsys.readouterr().err
    assert not list(tmp_path.glob("*t.parquet*"))


def test_stop_at_the_first_failure(run_it, recordings, tmp_path, capsys) -> None:
    (recordings / "a.b" / "bad.wav").write_text("no sound")
    assert run_it("t.npz", "--on-error", "stop", "--shard-files", "1") == 1
    message = capsys.readouterr().err
    assert "bad.wav: not an audio file" in message
    assert "2 of 6 files are done" in message
    assert not (tmp_path / "t.npz").exists()
    assert run_it("t.npz", "--shard-files", "1") == 1  # and now skip it
    assert len(np.load(tmp_path / "t.npz")["paths"]) == 5


@pytest.mark.parametrize("name", ["npz", "parquet"])
def test_what_is_no_table_is_not_replaced(name, run_it, tmp_path, capsys) -> None:
    mine = tmp_path / f"t.{name}"
    mine.mkdir()
    (mine / "thesis.tex").touch()
    assert run_it(mine.name) == 2
    assert str(mine) in capsys.readouterr().err
    assert (mine / "thesis.tex").exists()
    assert [path.name for path in tmp_path.glob("t.*")] == [mine.name]


def test_a_full_disk_is_reported_with_what_was_done(run_it, tmp_path, monkeypatch, capsys) -> None:
    whole, added = RawShardWriter.add, []

    def add(*arguments) -> None:
        added.append(arguments)
        if len(added) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RawShardWriter, "add", add)
        assert run_it("t.npz", "--shard-files", "1") == 1
    message = capsys.readouterr().err
    assert os.strerror(errno.ENOSPC) in message
    assert "stopped; 3 of 5 files are done and stay in t.npz.parts" in message
    assert run_it("t.npz", "--shard-files", "1") == 0
    assert run_it("u.npz") == 0
    assert (tmp_path / "t.npz").read_bytes() == (tmp_path / "u.npz").read_bytes()


@pytest.mark.parametrize("name", ["=cmd|'!A1.wav", "+1.wav", "-1.wav", "@SUM(A1).wav", "\t=1.wav"])
def test_no_cell_of_the_csv_is_a_formula(name, checkpoints, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / name, np.zeros(100), 16000)
    arguments = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", "-o", "t.npy"]
    assert main(["embed", *arguments, "--", name]) == 0
    [row] = csv.DictReader((tmp_path / "t.files.csv").read_text().splitlines())
    assert row["path"] == f"./{name}"
    assert Path(row["path"]).samefile(name)


def test_no_files_at_all(run_it, tmp_path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    assert run_it("t.npz", folder=tmp_path / "empty") == 1
    assert "no audio files were found" in capsys.readouterr().err
    assert not list(tmp_path.glob("t.npz*"))


@pytest.mark.parametrize("kind", ["scene", "both"])
@pytest.mark.parametrize("name", ["npz", "parquet"])
def test_urls_in_and_out(  # noqa: PLR0917 - fixtures
    name, kind, run_it, recordings, tmp_path, checkpoints
) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.rm("/", recursive=True) if memory.ls("/") else None
    memory.put(str(recordings), "/in", recursive=True)
    model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", "--kind", kind]
    assert main(["embed", "memory://in", "-o", f"memory://out/t.{name}", *model]) == 0
    assert main(["embed", "memory://in", "-o", f"memory://out/t.{name}", *model]) == 0  # complete
    memory.get("/out", str(tmp_path / "out"), recursive=True)
    assert run_it(f"t.{name}", "--kind", kind) == 0
    remote, local = tmp_path / "out" / f"t.{name}", tmp_path / f"t.{name}"
    np.testing.assert_array_equal(scenes_of(remote), scenes_of(local))
    if kind == "both":
        np.testing.assert_array_equal(frames_of(remote), frames_of(local))
    assert not memory.exists(f"/out/t.{name}.parts")


def test_an_input_behind_a_url_is_never_the_output(checkpoints, recordings, capsys) -> None:
    fsspec = pytest.importorskip("fsspec")
    sound = (recordings / "b.wav").read_bytes()
    fsspec.filesystem("memory").pipe("/sounds/b.wav", sound)
    command = ["embed", "memory://sounds", "--model", str(checkpoints["kwmlp"]), "--device", "cpu"]
    for out in "memory://sounds/b.wav", "memory:///sounds/b.wav":
        assert main([*command, "-o", out, "--format", "npz", "--overwrite"]) == 2, out
        assert "is an input" in capsys.readouterr().err
    assert fsspec.filesystem("memory").cat("/sounds/b.wav") == sound


def test_file_urls_are_paths(run_it, recordings, tmp_path, checkpoints) -> None:
    model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    assert main(["embed", f"file://{recordings}", "-o", f"file://{tmp_path}/t.npz", *model]) == 0
    assert run_it("u.npz") == 0
    a, b = (np.load(tmp_path / f"{name}.npz")["paths"] for name in "tu")
    np.testing.assert_array_equal(a, b)


def test_a_missing_remote_file_and_package(run_it, tmp_path, checkpoints, monkeypatch) -> None:
    from hearaudiomlp.audio.files import read_audio

    pytest.importorskip("fsspec")
    with pytest.raises(AudioFileNotFoundError, match="memory://no"):
        read_audio("memory://no/such.wav")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hearaudiomlp\[remote\]'"):
        read_audio("gs://no/such.wav")


def test_extras_are_imported_where_they_are_used(recordings, checkpoints, tmp_path) -> None:
    model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    arguments = ["embed", str(recordings), "-o", str(tmp_path / "t.npz"), *model]
    script = f"""
import sys
from hearaudiomlp.cli import main
assert main({arguments!r}) == 0
print(*sorted(set(sys.modules) & {{"pyarrow", "h5py", "distributed", "fsspec", "rich"}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(("arguments", "message"), [
    (["--workers", "2", "--scheduler", "tcp://x:1"], "--workers is for a local cluster"),
    (["--shard-files", "2", "--format", "mp3"], "format is one of npz"),
])  # fmt: skip
def test_options_that_exclude_each_other(arguments, message, run_it, capsys) -> None:
    assert run_it("t.npz", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["npz", "npy", "jsonl"])
def test_rows_that_are_too_many_for_memory_give_the_same(
    run_it, tmp_path, monkeypatch, ending
) -> None:
    options = ["--shard-files", "2", "--segment", "0.3", "--kind", "scene"]
    assert run_it(f"t.{ending}", *options) == 0
    monkeypatch.setattr(job, "FEW_ROWS", 3)
    assert run_it(f"u.{ending}", *options) == 0
    assert (tmp_path / f"t.{ending}").read_bytes() == (tmp_path / f"u.{ending}").read_bytes()


def test_a_parquet_shard_of_many_segments_has_row_groups(run_it, tmp_path, monkeypatch) -> None:
    parquet_file = pytest.importorskip("pyarrow.parquet")
    options = ["--segment", "0.3", "--kind", "scene"]
    assert run_it("t.parquet", *options) == 0
    monkeypatch.setattr(parquet, "FILES_PER_GROUP", 4)
    assert run_it("u.parquet", *options) == 0
    whole, grouped = (
        parquet_file.ParquetFile(tmp_path / name / "part-00000.parquet")
        for name in ("t.parquet", "u.parquet")
    )
    sizes = [grouped.metadata.row_group(n).num_rows for n in range(grouped.num_row_groups)]
    assert len(sizes) > 1
    assert set(sizes[:-1]) == {4}
    assert whole.read().equals(grouped.read())


@pytest.mark.parametrize("name", ["a\rb.wav", "a\nb.wav", 'a"b.wav', "a,b.wav", "a\r\n.wav"])
def test_names_with_control_characters_are_quoted(checkpoints, recordings, tmp_path, name) -> None:
    shutil.copy(recordings / "b.wav", tmp_path / name)
    arguments = [str(tmp_path / name), str(recordings / "b.wav"), "-o", str(tmp_path / "t.npy")]
    assert main(["embed", *arguments, "--model", str(checkpoints["audiomae"])]) == 0
    with (tmp_path / "t.files.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(tmp_path / name), str(recordings / "b.wav")]
    assert [row["truncated"] for row in rows] == ["False", "False"]
