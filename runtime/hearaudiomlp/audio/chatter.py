"""Keeps what libmpg123 prints about odd MP3s, inside libsndfile, off standard error.

Nothing else is kept off: file descriptor 2 and ``sys.stderr`` stay as they are, and so does what
other threads write there. Only C's own ``stderr`` is another stream meanwhile, which the GNU
library and macOS allow; elsewhere nothing is done.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_lock = threading.Lock()
_depth = 0
_kept: int | None = None


@cache
def _streams() -> tuple[ctypes.c_void_p, int] | None:
    """Return C's variable ``stderr``, and a stream that goes nowhere; None where that can't be."""
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            variable = ctypes.c_void_p.in_dll(library, "__stderrp")
        elif hasattr(library, "gnu_get_libc_version"):  # elsewhere it can't be written to
            variable = ctypes.c_void_p.in_dll(library, "stderr")
        else:
            return None
        library.fopen.restype = ctypes.c_void_p
        nowhere = library.fopen(os.devnull.encode(), b"w")
    except (OSError, TypeError, ValueError, AttributeError):
        return None
    return (variable, nowhere) if nowhere else None


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let C libraries print nothing. Any number of threads may be in here at the same time.

    Examples:
        >>> with quiet_libraries():
        ...     sound = hearaudiomlp.read_audio("samples/words.flac")
    """
    global _depth, _kept  # noqa: PLW0603 - C has one variable for all threads
    streams = _streams()
    if streams is None:
        yield
        return
    variable, nowhere = streams
    with _lock:
        if not _depth:
            _kept, variable.value = variable.value, nowhere
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                variable.value = _kept
