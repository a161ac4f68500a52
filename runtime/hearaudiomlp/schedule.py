"""Blocks of work over threads.

ONNX Runtime lets go of Python's lock while it computes, so plain threads that share one
single-threaded session use every core, and need no agreement between them in the middle of a
block. That is faster than one session with several threads, the more so on a busy machine.
"""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported where it is used: it takes a third of the time of all this package
    from concurrent.futures import Future, ThreadPoolExecutor

BLOCK = 8
"""Windows in a block, at most: their activations fit into a core's second-level cache."""


def split(count: int, threads: int, block: int = BLOCK) -> list[tuple[int, int]]:
    """Cut ``count`` pieces of work into consecutive blocks of nearly equal size.

    There are enough blocks for every thread to have one, and none is larger than ``block``.

    Returns:
        Start and stop (exclusive) of each block.
    """
    blocks = max(-(-count // block), min(count, threads))
    # Whole rounds: with 9 blocks on 2 threads one thread would wait while the other does the last.
    blocks = min(count, -(-blocks // threads) * threads)
    edges = [count * i // blocks for i in range(blocks + 1)]
    return list(itertools.pairwise(edges))


class Team:
    """A caller and its helper threads. Many callers may use one team at once."""

    def __init__(self, threads: int) -> None:
        """Prepare for ``threads`` threads, the caller among them; helpers start when needed."""
        self.threads = threads
        self._helpers: ThreadPoolExecutor | None = None
        self._pid = os.getpid()

    def _pool(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor

        if self._helpers is None or self._pid != os.getpid():  # threads don't survive a fork
            self._helpers = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="hearaudiomlp")
            self._pid = os.getpid()
        return self._helpers

    def run(self, task: Callable[[int], None], count: int) -> None:
        """Call ``task`` with 0 to ``count - 1``, each once, and return when all are done.

        The caller works too, so a team whose helpers are busy elsewhere still gets on. After the
        first exception nothing new is begun, and the exception is raised here.
        """
        numbers = iter(range(count))
        lock = threading.Lock()
        stopped = False

        def work() -> None:
            nonlocal stopped
            while not stopped:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    task(number)
                except BaseException:
                    stopped = True
                    raise

        helpers: list[Future[None]] = []
        # Once the main thread has ended, Python starts no threads: then the caller does it all.
        with contextlib.suppress(RuntimeError):
            while len(helpers) < min(self.threads, count) - 1:
                helpers.append(self._pool().submit(work))
        try:
            work()
        except BaseException:  # KeyboardInterrupt too can come between two blocks
            stopped = True
            raise
        finally:
            for helper in helpers:
                if not helper.cancel() and (problem := helper.exception()) is not None:
                    raise problem
