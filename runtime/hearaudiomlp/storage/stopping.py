"""What has to happen on disk before a process may exit in the middle of its work.

A signal's handler calls :func:`stop`. From then on no file is created and none gets its name, in
any thread; temporary files are removed. The process can then exit without waiting for its threads.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_changing = threading.RLock()  # a handler may run inside it, in the same thread
_stopped = False
_temporaries: dict[str, str | None] = {}
_callbacks: list[Callable[[], None]] = []


@contextmanager
def changing() -> Iterator[None]:
    """Create or rename a file inside this: it happens before everything is stopped or not at all.

    Raises:
        InterruptedError: everything is stopped.

    Examples:
        >>> with changing():
        ...     Path("new").mkdir()
    """
    with _changing:
        if _stopped:
            raise InterruptedError("this process is about to exit")
        yield


@contextmanager
def noted(temporary: Path, only: str | None = None) -> Iterator[None]:
    """Remove a temporary file or folder when the body ends or the process is stopped.

    It is noted before it is created, and its name is unique.

    Args:
        temporary: the file, or a folder without folders in it.
        only: name of the one file that is removed with a folder; all are, if not given.

    Examples:
        >>> with noted(Path("unfinished.txt")):
        ...     _ = Path("unfinished.txt").write_text("marvin")
        >>> Path("unfinished.txt").exists()
        False
    """
    _temporaries[str(temporary)] = only
    try:
        yield
    finally:
        _remove(temporary, only)
        _temporaries.pop(str(temporary))


def _remove(path: Path, only: str | None) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            for inside in path.iterdir():
                if only in {None, inside.name}:
                    inside.unlink()
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


@contextmanager
def when_stopped(callback: Callable[[], None]) -> Iterator[None]:
    """Call something if everything is stopped during the body; the last one first.

    Examples:
        >>> with when_stopped(lambda: print("interrupted")):
        ...     pass  # long work: nothing is printed unless it is stopped
    """
    _callbacks.append(callback)
    try:
        yield
    finally:
        _callbacks.remove(callback)


@contextmanager
def blocking(number: signal.Signals) -> Iterator[None]:
    """Keep a signal from the threads and processes that are started in the body.

    A terminal sends Ctrl-C to all processes of a command, and a Python that is still starting
    prints a traceback. So it's blocked in them for good: this process ends them.

    Examples:
        >>> with blocking(signal.SIGINT):
        ...     pass  # start processes
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_tracker() -> None:
    """Start the process that counts multiprocessing's semaphores, before others are started.

    A terminal's end must not end it before this one: it would be started again, and print that it
    doesn't know them. It ignores other signals itself.

    Examples:
        >>> start_tracker()
    """
    from multiprocessing import resource_tracker

    if hasattr(signal, "SIGHUP"):  # not on Windows
        with blocking(signal.SIGHUP):
            resource_tracker.ensure_running()


def stop() -> None:
    """Stop all writing, clean up, and remove the temporary files of this process."""
    global _stopped  # noqa: PLW0603 - it is the process that exits
    with _changing:
        _stopped = True
    for callback in reversed(_callbacks):
        with suppress(Exception):
            callback()
    remove_temporaries()


def remove_temporaries() -> None:
    """Remove the temporary files of this process.

    Examples:
        >>> with noted(Path("unfinished.txt")):
        ...     _ = Path("unfinished.txt").write_text("marvin")
        ...     remove_temporaries()
        ...     Path("unfinished.txt").exists()
        False
    """
    for name, only in tuple(_temporaries.items()):
        _remove(Path(name), only)
