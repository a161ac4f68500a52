"""Blocks of work over threads.

ONNX Runtime lets go of Python's lock while it computes, so plain threads that share one
single-threaded session use every core, and need no agreement between them in the middle of a
block. That is faster than one session with several threads, the more so on a busy machine.
"""

import atexit
import contextlib
import itertools
import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

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


class _Round:
    """One piece of work for a team: numbers to be taken, and how far they have got."""

    def __init__(self, task: Callable[[int], None], count: int) -> None:
        self._task, self._count = task, count
        self._next = self._working = 0
        self._problem: BaseException | None = None
        self._lock = threading.Lock()
        self._idle: threading.Lock | None = None  # released by the last one who stops working

    def work(self) -> None:
        """Take numbers until there are none, or something failed. Many threads may."""
        with self._lock:
            self._working += 1
            number = self._next
            self._next += 1
        try:
            while number < self._count:
                self._task(number)
                with self._lock:
                    number = self._next
                    self._next += 1
        except BaseException as problem:  # KeyboardInterrupt too can come between two blocks
            with self._lock:
                self._next = self._count
                self._problem = self._problem or problem
        finally:
            with self._lock:
                self._working -= 1
                if self._working == 0 and self._idle is not None:
                    self._idle.release()
                    self._idle = None  # helpers that come later have nobody to tell

    def finish(self) -> None:
        """Wait for those who are still working; raise the first exception."""
        idle = threading.Lock()
        try:
            with self._lock:
                self._next = self._count  # for helpers that come too late
                if self._working:
                    idle.acquire()
                    self._idle = idle
            idle.acquire()
            if self._problem is not None:
                raise self._problem
        finally:
            self._problem = None  # it refers to this frame, and this frame to it


def _help(rounds: "SimpleQueue[_Round | None]") -> None:
    while (work := rounds.get()) is not None:
        work.work()
        del work  # it holds on to somebody's audio


_PATIENCE = 10.0
"""Seconds to wait at the end of the process for a helper that is in the middle of a block."""

_teams: "weakref.WeakSet[ThreadPool]" = weakref.WeakSet()
_threads: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()
"""Helpers, of teams that are no more as well."""


@atexit.register
def _rest() -> None:
    # Python ends its threads when they ask for its lock. One that comes back from ONNX Runtime
    # then, because Ctrl-C left its round, would end the process with an abort.
    for team in list(_teams):
        team.dismiss()
    for thread in list(_threads):
        thread.join(_PATIENCE)


class ThreadPool:
    """A caller and its helper threads. Many callers may use one team at once.

    The standard library's pool would do, but takes as long to import as most of this package.
    """

    def __init__(self, threads: int) -> None:
        """Prepare for ``threads`` threads, the caller among them; helpers start when needed."""
        self.threads = threads
        self._lock = threading.Lock()
        self._forget_helpers()
        _teams.add(self)

    def _forget_helpers(self) -> None:
        self._rounds: SimpleQueue[_Round | None] = SimpleQueue()
        self._helpers = 0
        self._pid = os.getpid()

    def __del__(self) -> None:
        """Send the helpers home."""
        self.dismiss()

    def dismiss(self) -> None:
        """Send the helpers home, when they have done what they are at."""
        for _ in range(self._helpers):
            self._rounds.put(None)
        self._helpers = 0

    def _start_helpers(self, count: int) -> None:
        if self._pid != os.getpid():  # threads don't survive a fork, and locks may be held
            self._lock = threading.Lock()
            self._forget_helpers()
        with self._lock:
            while self._helpers < count:
                helper = threading.Thread(
                    target=_help, args=(self._rounds,), name="hearaudiomlp", daemon=True
                )
                helper.start()
                _threads.add(helper)
                self._helpers += 1

    def run(self, task: Callable[[int], None], count: int) -> None:
        """Call ``task`` with 0 to ``count - 1``, each once, and return when all are done.

        The caller works too, so a team whose helpers are busy elsewhere still gets on. After the
        first exception nothing new is begun, and the exception is raised here.
        """
        helpers = min(self.threads, count) - 1
        work = _Round(task, count)
        if helpers > 0:
            # Once the main thread has ended, Python starts no threads: then the caller does it all.
            with contextlib.suppress(RuntimeError):
                self._start_helpers(helpers)
            for _ in range(min(helpers, self._helpers)):
                self._rounds.put(work)
        work.work()
        work.finish()
