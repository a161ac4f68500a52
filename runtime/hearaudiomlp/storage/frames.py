"""Rows of numbers that may be more than memory holds."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import numpy as np

from hearaudiomlp._types import Floats

IN_MEMORY = 4 << 20
"""Bytes of a file's frames that are kept in memory; more of them are in a temporary file."""

CHUNK_BYTES = 1 << 20
"""Bytes that are read back at a time."""


class FrameStore:
    """Frames of a sound: in memory while they are few, then on disk.

    Examples:
        >>> store = FrameStore(size=2)
        >>> store.append(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
        >>> [chunk.tolist() for chunk in store.chunks(1, 3)]
        [[[3.0, 4.0], [5.0, 6.0]]]
    """

    def __init__(self, size: int) -> None:
        """Prepare for frames of ``size`` values."""
        self.size = size
        """Values in a frame."""

        self._kept: list[Floats] = []  # as they came, until there is a file
        self._file: IO[bytes] | None = None
        self._rows = 0
        self._closed = False

    def __len__(self) -> int:
        return self._rows

    def append(self, frames: Floats) -> None:
        """Add frames [shape=(..., size)] after those that are there. They may not change later."""
        rows = np.ascontiguousarray(frames, np.float32).reshape(-1, self.size)
        rows.flags.writeable = False  # of this view alone
        self._rows += len(rows)
        self._kept.append(rows)
        if self._file is None and self._rows * self._row > IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        if self._file is not None:
            for kept in self._kept:
                self._file.write(kept.data)
            self._kept.clear()

    @property
    def _row(self) -> int:
        return self.size * np.dtype(np.float32).itemsize

    @property
    def _most(self) -> int:
        return max(1, CHUNK_BYTES // self._row)

    def chunks(self, start: int, stop: int) -> Iterator[Floats]:
        """Return frames ``start`` to ``stop`` (exclusive) in pieces [shape=(n, size)].

        Raises:
            ValueError: they were released.
        """
        if self._closed:
            raise ValueError("these embeddings were released: read them before close()")
        if self._file is None:
            return self._from_memory(start, stop)
        return self._from_file(self._file, start, stop)

    def _from_memory(self, start: int, stop: int) -> Iterator[Floats]:
        if len(self._kept) > 1:
            self._kept = [np.concatenate(self._kept)]
            self._kept[0].flags.writeable = False
        for first in range(start, stop, self._most):
            yield self._kept[0][first : min(first + self._most, stop)]

    def _from_file(self, file: IO[bytes], start: int, stop: int) -> Iterator[Floats]:
        for first in range(start, stop, self._most):
            file.seek(first * self._row)
            data = file.read(min(self._most, stop - first) * self._row)
            yield np.frombuffer(data, np.float32).reshape(-1, self.size)

    def close(self) -> None:
        """Release memory or file."""
        self._closed = True
        self._kept.clear()
        if self._file is not None:
            with suppress(OSError):  # a full disk: whoever wrote or read got the error
                self._file.close()

    def __del__(self) -> None:
        """Release memory or file, if close() wasn't called."""
        self.close()
