"""Owners get the results of their own rows, in order, whatever blocks they were in."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.inference.blocks import compute_blocks
from hearaudiomlp.inference.thread_pool import ThreadPool


class Rows:
    """Numbered rows, in pieces of some sizes."""

    def __init__(self, first: int, sizes: list[int]) -> None:
        self.first, self.sizes = first, sizes
        self.asked = 0
        self.results: list[float] = []

    def rows(self) -> Iterator[np.ndarray]:
        self.asked += 1
        first = self.first
        for size in self.sizes:
            rows = np.repeat(np.arange(first, first + size, dtype=np.float32)[:, None], 2, axis=1)
            yield rows
            rows[:] = np.nan  # what was yielded may be used again
            first += size

    def take(self, results: np.ndarray) -> None:
        self.results += results.tolist()


def some(*sizes: list[int]) -> list[Rows]:
    firsts = np.cumsum([0, *(sum(one) for one in sizes)])
    return [Rows(int(first), one) for first, one in zip(firsts, sizes, strict=False)]


@settings(deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=8),
    threads=st.integers(1, 3),
    size=st.integers(1, 7),
)
def test_every_owner_gets_its_own(sizes: list[list[int]], threads: int, size: int) -> None:
    owners, blocks = some(*sizes), []

    def compute(block: np.ndarray) -> np.ndarray:
        blocks.append(len(block))
        time.sleep(0.0001 * (len(blocks) % 3))  # so that blocks don't end in order
        return 10 * block[:, 1]

    found = list(compute_blocks(owners, compute, ThreadPool(threads), size))
    assert found == owners
    for owner in owners:
        assert owner.asked == 1
        rows = np.arange(owner.first, owner.first + sum(owner.sizes))
        assert owner.results == (10.0 * rows).tolist()
    total = sum(map(sum, sizes))
    assert sorted(blocks) == sorted([size] * (total // size) + [total % size] * (total % size > 0))


def test_owners_come_as_soon_as_they_are_complete() -> None:
    owners = some([4], [4] * 100)
    complete = compute_blocks(owners, lambda block: block, ThreadPool(1), 4)
    assert next(complete) is owners[0]
    assert len(owners[1].results) < 40
    complete.close()


def test_only_a_few_blocks_are_in_progress() -> None:
    sent = 0
    taken: list[int] = []

    class Endless(Rows):
        def rows(self) -> Iterator[np.ndarray]:
            nonlocal sent
            for _ in range(499):
                sent += 1
                yield np.zeros((5, 2), np.float32)

        def take(self, results: np.ndarray) -> None:
            taken.append(len(results))
            assert 5 * sent - sum(taken) <= 5 * (2 * 2 + 2)

    list(compute_blocks([Endless(0, [])], lambda block: block, ThreadPool(2), 5))
    assert sum(taken) == 5 * 499


@pytest.mark.parametrize("bad", [3, 40, 99])
def test_an_error_ends_it_and_nothing_is_left_in_progress(bad: int) -> None:
    running = threading.Semaphore(0)

    def compute(block: np.ndarray) -> np.ndarray:
        if bad in block:
            raise ZeroDivisionError
        running.release()
        time.sleep(0.002)
        assert running.acquire(blocking=False)
        return block

    with pytest.raises(ZeroDivisionError):
        list(compute_blocks(some([5] * 20), compute, ThreadPool(3), 4))
    assert not running.acquire(blocking=False)


def test_closing_cancels_what_has_not_begun() -> None:
    begun: list[int] = []
    pool = ThreadPool(1)

    def compute(block: np.ndarray) -> np.ndarray:
        begun.append(len(block))
        return block

    complete = compute_blocks(some(*[[1]] * 9), compute, pool, 2)
    next(complete)
    complete.close()
    n = len(begun)
    pool.submit(int).result()
    assert len(begun) == n < 5
