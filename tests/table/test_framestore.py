"""Frames are given back as they were appended, from memory and from disk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp import framestore
from hearaudiomlp.framestore import FrameStore


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
        patch.setattr(framestore, "IN_MEMORY", in_memory)
        patch.setattr(framestore, "_CHUNK_ROWS", chunk)
        store = FrameStore(3)
        for piece in np.split(rows, np.cumsum(lengths)[:-1]) if lengths else []:
            store.append(piece)
            np.testing.assert_array_equal(store.read(), rows[: len(store)])  # reading amid writing
        assert len(store) == len(rows)
        np.testing.assert_array_equal(store.read(start, stop), rows[start:stop])
        store.close()


def test_rows_of_any_layout_are_taken() -> None:
    store = FrameStore(2)
    store.append(np.arange(8.0).reshape(2, 2, 2).transpose(1, 0, 2))
    assert store.read().ravel().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_nothing_can_be_read_once_it_is_closed() -> None:
    store = FrameStore(2)
    store.append(np.ones((1, 2), np.float32))
    store.close()
    with pytest.raises(ValueError, match="let go of"):
        store.read()
