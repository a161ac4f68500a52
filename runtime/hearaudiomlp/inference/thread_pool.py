"""Work spread over threads.

ONNX Runtime releases Python's lock while it computes, so plain threads that share one
single-threaded session use every core and don't have to agree on anything within a block. That is
faster than one session with several threads, the more so on a busy machine.
"""

import contextlib
import itertools
import os
import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:  # it takes milliseconds to import, and one thread does without
    from concurrent.futures import Future, ThreadPoolExecutor

P = ParamSpec("P")
T = TypeVar("T")

BLOCK = 8
"""Most windows in a block: their activations fit into a core's second-level cache."""

CGROUP = "/sys/fs/cgroup"
"""Where Linux mounts the control groups."""


def cgroup_quota() -> float | None:
    """Return the CPUs that the control group grants (version 2, then 1), None for no limit.

    Examples:
        >>> quota = cgroup_quota()
        >>> quota is None or quota > 0
        True
    """

    def content(name: str) -> str:
        with open(f"{CGROUP}/{name}") as file:
            return file.read()

    try:
        quota, period = content("cpu.max").split()
    except (OSError, ValueError):
        try:
            quota = content("cpu/cpu.cfs_quota_us")
            period = content("cpu/cpu.cfs_period_us")
        except OSError:
            return None
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return share if share > 0 else None


def usable_cpus() -> int:
    """Return the number of CPUs after affinity and the container's quota, at least 1.

    Examples:
        >>> usable_cpus() >= 1
        True
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    quota = cgroup_quota()
    if quota is not None:
        count = min(count, max(1, round(quota)))
    return max(1, count)


def split(count: int, threads: int, block: int = BLOCK) -> list[tuple[int, int]]:
    """Cut ``count`` pieces of work into consecutive blocks of nearly equal size.

    There are enough blocks for every thread to have one, and none is larger than ``block``.

    Returns:
        Start and stop (exclusive) of each block.

    Examples:
        >>> split(18, threads=2)
        [(0, 4), (4, 9), (9, 13), (13, 18)]
    """
    blocks = max(-(-count // block), min(count, threads))
    # Whole rounds: with 9 blocks on 2 threads one thread would wait while the other does the last.
    blocks = min(count, -(-blocks // threads) * threads)
    edges = [count * i // blocks for i in range(blocks + 1)]
    return list(itertools.pairwise(edges))


class ThreadPool:
    """Worker threads, started when they are first needed. Many callers may share a pool.

    It works after a fork, and in threads that outlive Python's main thread.

    Examples:
        >>> pool = ThreadPool(2)
        >>> pool.submit(sum, [1, 2, 3]).result()
        6
        >>> squares = [0] * 5
        >>> def square(number):
        ...     squares[number] = number**2
        >>> pool.run(square, 5)
        >>> squares
        [0, 1, 4, 9, 16]
    """

    def __init__(self, threads: int) -> None:
        """Prepare for ``threads`` threads."""
        self.threads = threads
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0
        self._has_run = False

    def submit(self, task: Callable[P, T], *args: P.args, **options: P.kwargs) -> "Future[T]":
        """Call ``task`` on a worker thread; return the future of its result."""
        try:
            from concurrent.futures import ThreadPoolExecutor

            if self._executor is None or self._pid != os.getpid():  # threads don't survive a fork
                self._executor = ThreadPoolExecutor(self.threads, "hearaudiomlp")
                self._pid = os.getpid()
            return self._executor.submit(task, *args, **options)
        except RuntimeError:  # Python is shutting down and starts no threads
            from concurrent.futures import Future

            future: Future[T] = Future()
            future.set_result(task(*args, **options))
            return future

    def run(self, task: Callable[[int], object], count: int) -> None:
        """Call ``task`` with 0 to ``count - 1``, each once, and return when all are done.

        The caller works too, so a pool whose workers are busy elsewhere still makes progress.
        After the first exception no further call is begun, and the exception is raised here.
        """
        # A process may embed one clip of a second, which is two tasks of 1 to 2 ms, and end. To
        # import the executor, with `logging`, would take 5.
        alone = count <= 2 and not self._has_run and "concurrent.futures" not in sys.modules
        self._has_run = True
        numbers = deque(range(count))

        def work() -> None:
            try:
                while numbers:
                    try:
                        number = numbers.popleft()
                    except IndexError:  # another thread has just taken the last one
                        return
                    task(number)
            finally:
                numbers.clear()

        helpers: list[Future[None]] = []
        with contextlib.suppress(ImportError):  # Python is shutting down: the caller does it all
            wanted = 0 if alone else min(self.threads, count) - 1
            helpers += [self.submit(work) for _ in range(wanted)]
        problem: BaseException | None = None
        try:
            work()
        finally:  # after Ctrl-C, too, nothing is computed any more
            while helpers:
                helper = helpers.pop()
                if not helper.cancel():
                    problem = helper.exception() or problem
        if problem is not None:
            try:
                raise problem
            finally:
                del problem, helper  # they refer to this frame, and it to them
