"""Frames that stay where they were written: the same table, however its units came about."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp.errors import RunChangedError
from hearaudiomlp.table.body import Around
from hearaudiomlp.table.find import Skipped, find
from hearaudiomlp.table.formats import arrays, find_format
from hearaudiomlp.table.formats.npz import Npz
from hearaudiomlp.table.listing import Listing
from hearaudiomlp.table.run import Run, Workers, this_machine
from hearaudiomlp.table.unit import embed_shard

ALL = range(5)
CASES = [("npz", "both"), ("npz", "timestamps"), ("npy", "both"), ("npy", "timestamps")]
TOGETHER, APART = "one after the other", "on their own"


def workers(model, way: str, wanted: Sequence[int]) -> Workers:
    """Return workers that do some of the units; on their own, as those of a cluster do."""

    def work(shards, on_file):
        some = [shard for shard in shards if shard.index in wanted]
        if way == TOGETHER:
            yield from this_machine(model)(some, on_file)
            return
        for shard in some:
            yield shard.index, embed_shard(shard, model, on_file)

    return work


@pytest.fixture
def make(recordings, checkpoints, tmp_path) -> Callable[..., dict[str, bytes]]:
    """Make a table in some steps, and return the files that came of it."""
    from hearaudiomlp import load_model

    model = load_model(checkpoints["audiomae"], device="cpu")

    def run(name: str, case: tuple[str, str], *steps: tuple[str, Sequence[int]]):
        out = tmp_path / name / f"t.{case[0]}"
        out.parent.mkdir(exist_ok=True)
        for way, wanted in steps:
            listing = Listing(find([str(recordings)], Skipped()))
            options = {"format": find_format(case[0]), "kind": case[1], "shard_files": 1}
            with Run(str(out), listing, model, **options) as going:
                for _ in going.work(workers(model, way, wanted)):
                    pass
                if going.done == set(ALL):
                    going.finish()
        return {path.name: path.read_bytes() for path in out.parent.iterdir() if path.is_file()}

    return run


@pytest.mark.parametrize("case", CASES)
def test_equal_however_the_units_were_done(case, make) -> None:
    expected = make("apart", case, (APART, ALL))
    assert len(expected) >= 2
    for number, steps in enumerate([
        [(TOGETHER, ALL)],
        [(TOGETHER, [0, 1]), (TOGETHER, ALL)],
        [(TOGETHER, [0, 1]), (APART, ALL)],
        [(TOGETHER, [0, 1]), (APART, [3]), (TOGETHER, ALL)],
        [(APART, [0]), (TOGETHER, ALL)],
        [(APART, [1, 3]), (TOGETHER, ALL)],
        [(TOGETHER, [2]), (TOGETHER, ALL)],
    ]):  # fmt: skip
        assert make(str(number), case, *steps) == expected, steps


@pytest.mark.parametrize("case", CASES)
def test_frames_are_written_once(case, make, tmp_path) -> None:
    make("t", case, (TOGETHER, [0, 1, 2]))
    parts = tmp_path / "t" / f"t.{case[0]}.parts"
    assert not list(parts.glob("*.frames"))
    inode = (parts / "frames").stat().st_ino
    make("t", case, (TOGETHER, ALL))
    assert inode in {path.stat().st_ino for path in parts.parent.iterdir()}


def test_what_is_left_of_a_unit_that_was_not_finished_is_cut_off(make, tmp_path) -> None:
    expected = make("expected", CASES[0], (TOGETHER, ALL))
    make("t", CASES[0], (TOGETHER, [0, 1]))
    with (tmp_path / "t" / "t.npz.parts" / "frames").open("ab") as file:
        file.write(bytes(10**7))
    assert make("t", CASES[0], (TOGETHER, ALL)) == expected


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("last", ["before", "after"])
def test_stopped_just_before_and_after_it_gets_its_name(case, last, make, monkeypatch) -> None:
    expected = make("expected", case, (TOGETHER, ALL))
    whole = Path.replace

    def stopping(path: Path, target: Path) -> Path:
        if path.name != "frames":
            return whole(path, target)
        if last == "after":
            whole(path, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopping)
        with pytest.raises(KeyboardInterrupt):
            make("t", case, (TOGETHER, ALL))
    assert make("t", case, (TOGETHER, ALL)) == expected


def test_lost_frames_are_told(make, tmp_path, monkeypatch) -> None:
    def stopping(*_: object) -> None:
        raise KeyboardInterrupt

    for left, message in ([0, 1], "t.npz.parts.frames"), (ALL, "is gone: --no-resume"):
        with monkeypatch.context() as patch:
            patch.setattr(Npz, "publish", stopping)
            if left == ALL:
                with pytest.raises(KeyboardInterrupt):
                    make("t", CASES[0], (TOGETHER, left))
            else:
                make("t", CASES[0], (TOGETHER, left))
        (tmp_path / "t" / "t.npz.parts" / "frames").unlink()
        with pytest.raises(FileNotFoundError, match=message):
            make("t", CASES[0], (TOGETHER, ALL))
        for path in (tmp_path / "t" / "t.npz.parts").iterdir():
            path.unlink()


def test_frames_that_begin_elsewhere_are_not_continued(make, monkeypatch) -> None:
    make("t", CASES[0], (TOGETHER, [0]))
    monkeypatch.setattr(Npz, "head", lambda *_: 1000)
    with pytest.raises(RunChangedError, match=r"head was \d+ and is 1000"):
        make("t", CASES[0], (TOGETHER, ALL))


@given(
    start=st.integers(0, 20),
    size=st.integers(0, 20),
    pieces=st.lists(st.integers(0, 9), max_size=9),
)
def test_around_a_stretch(start: int, size: int, pieces: list[int]) -> None:
    stop = start + size
    before = bytes(start) + bytes(range(100, 100 + size))
    file = io.BytesIO(before)
    around = Around(file, start, stop)
    expected, at = bytearray(before), 0
    for count in pieces:  # of those, what is wholly in the stretch is left alone
        around.write(bytes([1]) * count)
        if not (start <= at and at + count <= stop):
            expected[at : at + count] = bytes([1]) * count
        at += count
        assert around.tell() == at
    assert file.getvalue() == expected
    assert around.end == at


@given(counts=st.lists(st.integers(0, 50), max_size=8), many=st.integers(1, 100))
def test_centres_of_many_files(counts: list[int], many: int) -> None:
    class CompletedShards:
        def rows(self):
            yield [type("Row", (), {"n_timestamps": n}) for n in counts]

    expected = np.concatenate([np.zeros(0), *(10 * np.arange(1, n + 1) for n in counts)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "_MANY_ROWS", many)
        found = [np.zeros(0), *arrays._timestamps(CompletedShards())]
    assert all(piece.dtype == np.float32 for piece in found[1:])
    np.testing.assert_array_equal(np.concatenate(found), expected)
