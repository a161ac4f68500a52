"""Threads that are inside ONNX Runtime when Python ends.

Python ends a daemon thread when it asks for the interpreter's lock after the end. Inside a call of
ONNX Runtime that unwinds C++ frames, and the process aborts.
"""

import atexit
import os
import threading

_PATIENCE_S = 10.0
"""Longest wait at the end of the process for calls that are in progress."""


class _Calls:
    """Calls in progress, as a context manager around each; many threads may share it."""

    def __init__(self) -> None:
        self._start()
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):  # the threads of the parent aren't in the child
            os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._changed = threading.Condition()
        self._count, self._ending = 0, False

    def _end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: not self._count, _PATIENCE_S)

    def __enter__(self) -> None:
        with self._changed:
            late = self._ending and threading.current_thread() is not threading.main_thread()
            self._count += not late
        if late:  # a thread that waits for Python's own lock is left alone until the process ends
            threading.Event().wait()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()


native_call = _Calls()
"""Held around every call of ONNX Runtime that releases Python's lock.

Examples:
    >>> with native_call:
    ...     pass
"""
