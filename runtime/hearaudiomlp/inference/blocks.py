"""Rows of many owners, computed in full blocks by a pool of threads.

A block may have rows of several owners in it: short ones cost no more than their rows do. Only a
few blocks are in progress at a time, so neither the number of owners nor their length costs memory.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import AudioValueError
from hearaudiomlp.inference.thread_pool import ThreadPool

if TYPE_CHECKING:
    from concurrent.futures import Future

FEWEST = 12
"""Windows in a block of several files, at least. After each block its thread waits for Python's
lock, which the thread that decodes often holds; and with many files it matters little that threads
end at another time."""

_AHEAD = 2
"""Blocks in progress for each thread."""


class RowOwner(Protocol):
    """What has rows to compute and takes their results."""

    def rows(self) -> Iterator[Floats]:
        """Yield the rows in pieces [shape=(n, ...)], all of the same shape but for n."""

    def take(self, results: Floats, /) -> None:
        """Take the results of the next rows [shape=(n, ...)]."""


Owner = TypeVar("Owner", bound=RowOwner)


@dataclass
class _Waiting(Generic[Owner]):
    """An owner whose results haven't all come."""

    owner: Owner
    pending: int = 0
    sent: bool = False

    @property
    def complete(self) -> bool:
        return self.sent and not self.pending


class _Queue(Generic[Owner]):
    """Blocks: filled, computed by a pool, and their results handed out in order."""

    def __init__(self, compute: Callable[[Floats], Floats], pool: ThreadPool, size: int) -> None:
        self._compute, self._pool, self._size = compute, pool, size
        self._free: list[Floats] = []  # blocks that were computed: memory to be used again
        self._in_progress: deque[
            tuple[Future[Floats], Floats, list[tuple[_Waiting[Owner], int]]]
        ] = deque()
        self._block: Floats | None = None
        self._filled = 0
        self._parts: list[tuple[_Waiting[Owner], int]] = []  # how many rows are whose

    def put(self, waiting: _Waiting[Owner], rows: Floats) -> None:
        """Copy rows into blocks; wait if too many blocks are in progress."""
        waiting.pending += len(rows)
        while len(rows):
            if self._block is None:
                fresh = (self._size, *rows.shape[1:])
                self._block = self._free.pop() if self._free else np.empty(fresh, rows.dtype)
            count = min(len(rows), self._size - self._filled)
            self._block[self._filled : self._filled + count] = rows[:count]
            self._filled += count
            before = 0
            if self._parts and self._parts[-1][0] is waiting:  # it takes them together
                _, before = self._parts.pop()
            self._parts.append((waiting, before + count))
            rows = rows[count:]
            if self._filled == self._size:
                self._send()
                self._settle(_AHEAD * self._pool.threads)

    def finish(self) -> None:
        """Compute what is left, and wait for everything."""
        self._send()
        self._settle(0)

    def close(self) -> None:
        """Compute no more; wait for what has begun."""
        futures = [future for future, _, _ in self._in_progress]
        for future in [future for future in futures if not future.cancel()]:
            future.exception()

    def _send(self) -> None:
        if self._block is not None:
            future = self._pool.submit(self._compute, self._block[: self._filled])
            self._in_progress.append((future, self._block, self._parts))
        self._block, self._filled, self._parts = None, 0, []

    def _settle(self, allowed: int) -> None:
        while len(self._in_progress) > allowed:
            future, block, parts = self._in_progress[0]
            results, first = future.result(), 0
            self._in_progress.popleft()
            self._free.append(block)
            for waiting, count in parts:
                waiting.owner.take(results[first : first + count])
                waiting.pending -= count
                first += count


def compute_blocks(
    owners: Iterable[Owner], compute: Callable[[Floats], Floats], pool: ThreadPool, size: int
) -> Generator[Owner, None, None]:
    """Compute the rows of many owners in full blocks.

    The calling thread iterates over the rows, and the pool's threads compute meanwhile.

    Args:
        owners: their ``rows`` are iterated over one after the other, once each.
        compute: computes a block: rows [shape=(n, ...)] to results [shape=(n, ...)]. It is called
            on the pool's threads, and the memory of a block is used again after that.
        pool: the threads.
        size: rows in a block; the last one may have fewer.

    Yields:
        The owners, in order, each when it has taken all its results. Closing the generator cancels
        what is in progress.

    Raises:
        Exception: what ``compute`` or an owner raises.

    Examples:
        >>> class Numbers:
        ...     def __init__(self, *numbers):
        ...         self.numbers, self.squares = numbers, []
        ...     def rows(self):
        ...         yield np.array(self.numbers, np.float32)
        ...     def take(self, results):
        ...         self.squares += results.tolist()
        >>> owners = [Numbers(1, 2, 3), Numbers(), Numbers(4, 5)]
        >>> for owner in compute_blocks(owners, np.square, ThreadPool(2), size=4):
        ...     print(owner.squares)
        [1.0, 4.0, 9.0]
        []
        [16.0, 25.0]
    """
    queue: _Queue[Owner] = _Queue(compute, pool, size)
    line: deque[_Waiting[Owner]] = deque()
    try:
        for owner in owners:
            last = _Waiting(owner)
            line.append(last)
            for rows in owner.rows():
                queue.put(last, rows)
                while line[0].complete:
                    yield line.popleft().owner
            last.sent = True
            while line and line[0].complete:
                yield line.popleft().owner
        queue.finish()
        while line:
            yield line.popleft().owner
    finally:
        queue.close()


def finite_or_nan(
    compute: Callable[[Floats], Floats], block: Floats, shape: tuple[int, ...]
) -> Floats:
    """Compute a block of windows; NaN for those that are so loud that float32 overflows.

    Args:
        compute: raises an AudioValueError if one of the windows is too loud.
        block: the windows [shape=(n, 16000)].
        shape: that of the result of one window.

    Examples:
        >>> def compute(block):
        ...     if block.max() > 1e18:
        ...         raise AudioValueError("too loud")
        ...     return block.mean(axis=1, keepdims=True)
        >>> finite_or_nan(compute, np.array([[1.0, 3.0], [1e30, 0.0]]), (1,)).tolist()
        [[2.0], [nan]]
    """
    try:
        return compute(block)
    except AudioValueError:  # find out which it is
        if len(block) == 1:
            return np.full((1, *shape), np.nan, np.float32)
        return np.concatenate([finite_or_nan(compute, window[None], shape) for window in block])
