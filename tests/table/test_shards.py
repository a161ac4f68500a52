"""The same table, however its shards came about."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp.storage.store import LocalStore
from hearaudiomlp.table.find import Skipped, find
from hearaudiomlp.table.formats import arrays, find_format
from hearaudiomlp.table.listing import Listing
from hearaudiomlp.table.run import Run, Workers, this_machine

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
            yield from this_machine(model)([shard], on_file)

    return work


@pytest.fixture
def make(recordings, checkpoints, tmp_path) -> Callable[..., dict[str, bytes]]:
    """Make a table in some steps, and return the resulting files."""
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
        files = (path for path in out.parent.rglob("*") if path.is_file())
        return {str(path.relative_to(out.parent)): path.read_bytes() for path in files}

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
@pytest.mark.parametrize("last", ["before", "after"])
def test_stopped_just_before_and_after_it_gets_its_name(case, last, make, monkeypatch) -> None:
    expected = make("expected", case, (TOGETHER, ALL))
    whole = Path.replace

    def stopping(path: Path, target: Path) -> Path:
        if Path(target).name != f"t.{case[0]}":
            return whole(path, target)
        if last == "after":
            whole(path, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopping)
        with pytest.raises(KeyboardInterrupt):
            make("t", case, (TOGETHER, ALL))
    assert make("t", case, (TOGETHER, ALL)) == expected


@pytest.mark.parametrize("moves", [1, 2])
def test_stopped_after_a_folder_of_parquet_is_in_place(moves, make, monkeypatch) -> None:
    pytest.importorskip("pyarrow")
    case, moved = ("parquet", "both"), []
    whole = LocalStore.move

    def stopping(*arguments) -> None:
        whole(*arguments)
        moved.append(arguments)
        if len(moved) == moves:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "move", stopping)
        with pytest.raises(KeyboardInterrupt):
            make("t", case, (TOGETHER, ALL))
    assert make("t", case, (TOGETHER, [])) == make("expected", case, (TOGETHER, ALL))


@given(counts=st.lists(st.integers(0, 50), max_size=8), many=st.integers(1, 100))
def test_centres_of_many_files(counts: list[int], many: int) -> None:
    class CompletedShards:
        def rows(self):
            yield [SimpleNamespace(n_timestamps=n) for n in counts]

    expected = np.concatenate([np.zeros(0), *(10 * np.arange(1, n + 1) for n in counts)])
    found = [np.zeros(0), *arrays.timestamps(CompletedShards(), many)]
    assert all(piece.dtype == np.float32 for piece in found[1:])
    np.testing.assert_array_equal(np.concatenate(found), expected)
