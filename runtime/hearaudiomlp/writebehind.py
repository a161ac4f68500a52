"""Writing that goes on while the next piece is made.

A table of many megabytes is read from its parts, summed up and written; then its end waits for the
disk. Here another thread writes, and tells the system early to begin with the disk.
"""

import io
import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PIECES = 8
"""Pieces that may wait to be written."""

_EARLY = 8 << 20
"""Bytes after which the system is asked to begin to put them on disk."""


class _Behind(io.BufferedIOBase):
    """What :func:`write_behind` gives."""

    def __init__(self, file: IO[bytes], thread: ThreadPoolExecutor) -> None:
        self._file, self._thread = file, thread
        self._waiting: deque[Future[None]] = deque()
        self._asked = file.tell()  # up to where the system was asked

    def _write(self, data: "ReadableBuffer") -> None:
        self._file.write(data)
        at = self._file.tell()
        if at - self._asked >= _EARLY and sys.platform == "linux":
            self._file.flush()
            # On Linux this begins to write what is dirty in the range, and doesn't wait for it.
            os.posix_fadvise(
                self._file.fileno(), self._asked, at - self._asked, os.POSIX_FADV_DONTNEED
            )
            self._asked = at

    def settle(self, allowed: int = 0) -> None:
        """Wait until no more than ``allowed`` pieces wait; raise what went wrong with one."""
        while len(self._waiting) > allowed:
            self._waiting.popleft().result()

    def write(self, data: "ReadableBuffer", /) -> int:
        self.settle(_PIECES)
        self._waiting.append(self._thread.submit(self._write, data))
        return memoryview(data).nbytes

    def tell(self) -> int:
        self.settle()
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.settle()
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        self.settle()
        self._file.flush()


@contextmanager
def write_behind(file: IO[bytes]) -> Iterator[io.BufferedIOBase]:
    """Give a file whose ``write`` returns before the data is in ``file``.

    Data that was handed over may not change any more. Leaving the context waits for all of it.

    Raises:
        OSError: something couldn't be written; by a later call, or on leaving.
    """
    with ThreadPoolExecutor(1) as thread:
        behind = _Behind(file, thread)
        yield behind
        behind.settle()
