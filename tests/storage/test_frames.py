"""Rows of a frame store come back, from memory and from disk."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp.storage import frames


@given(
    lengths=st.lists(st.integers(0, 9), max_size=9),
    in_memory=st.sampled_from([0, 100, 10_000]),
    chunk=st.integers(1, 20),
    data=st.data(),
)
def test_any_rows_come_back(lengths, in_memory, chunk, data) -> None:
    rows = np.arange(3 * sum(lengths), dtype=np.float32).reshape(-1, 3)
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "IN_MEMORY", in_memory)
        patch.setattr(frames, "CHUNK_BYTES", 5 * chunk)
        store = frames.FrameStore(3)
        for piece in np.split(rows, np.cumsum(lengths)[:-1]) if lengths else []:
            store.append(piece)
        assert len(store) == len(rows)
        empty = np.zeros((0, 3), np.float32)
        found = np.concatenate([empty, *store.chunks(start, stop)])
        np.testing.assert_array_equal(found, rows[start:stop])
        store.close()


def test_rows_of_any_layout_are_taken() -> None:
    store = frames.FrameStore(2)
    store.append(np.arange(8.0).reshape(2, 2, 2).transpose(1, 0, 2))
    assert np.concatenate(list(store.chunks(0, 4))).ravel().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_nothing_can_be_read_once_it_is_closed() -> None:
    store = frames.FrameStore(2)
    store.append(np.ones((1, 2), np.float32))
    store.close()
    with pytest.raises(ValueError, match="released"):
        store.chunks(0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_an_error_of_what_writes_or_reads_and_not_of_what_cleans_up(
    monkeypatch,
) -> None:
    monkeypatch.setattr(frames, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("r+b"))  # noqa: SIM115
    for last in ("close", "__del__"):  # an error of the latter is a warning, and so an error here
        store = frames.FrameStore(2)
        store.append(np.ones((1, 2), np.float32))  # it is in Python's buffer
        with pytest.raises(OSError, match="No space left"):
            list(store.chunks(0, 1))
        if last == "close":
            store.close()
        del store
