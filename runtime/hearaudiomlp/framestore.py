"""Frames that may be too many for memory: kept there while they are few, then on disk."""

import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from hearaudiomlp._types import Floats

IN_MEMORY = 4 << 20
"""Bytes that are kept in memory."""

_CHUNK_ROWS = 1 << 12


class FrameStore:
    """Rows of float32 that can be appended and read back in order."""

    def __init__(self, size: int) -> None:
        """Prepare for rows of ``size`` values."""
        self.size = size
        self._row = np.dtype(np.float32).itemsize * size
        self._kept: list[Floats] = []  # as they came, until there is a file
        self._file: IO[bytes] | None = None
        self._rows = 0
        self._closed = False

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: Floats) -> None:
        """Add rows [shape=(..., size)] behind those that are there. They may not change later."""
        rows = np.ascontiguousarray(rows, np.float32).reshape(-1, self.size)
        self._rows += len(rows)
        if self._file is not None:
            self._file.write(rows.data)
            return
        self._kept.append(rows)
        if self._rows * self._row > IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - ours
            for kept in self._kept:
                self._file.write(kept.data)
            self._kept.clear()

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Floats]:
        """Read rows ``start`` to ``stop`` (exclusive) in pieces [shape=(n, size)].

        Raises:
            ValueError: they were let go of.
        """
        if self._closed:
            raise ValueError("these embeddings were let go of: read them before close()")
        stop = self._rows if stop is None else stop
        return (
            self._from_memory(start, stop) if self._file is None else self._from_file(start, stop)
        )

    def _from_memory(self, start: int, stop: int) -> Iterator[Floats]:
        first = 0
        for rows in self._kept:
            behind = first + len(rows)
            if start < behind and first < stop:
                yield rows[max(start - first, 0) : stop - first]
            first = behind

    def _from_file(self, start: int, stop: int) -> Iterator[Floats]:
        assert self._file is not None
        for first in range(start, stop, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, stop - first)
            self._file.seek(first * self._row)
            data = self._file.read(count * self._row)
            self._file.seek(0, 2)
            yield np.frombuffer(data, np.float32).reshape(count, self.size)

    def read(self, start: int = 0, stop: int | None = None) -> Floats:
        """Return rows ``start`` to ``stop`` (exclusive) in memory [shape=(n, size)]."""
        empty = np.zeros((0, self.size), np.float32)
        return np.concatenate([empty, *self.chunks(start, stop)])

    def close(self) -> None:
        """Let go of memory or file."""
        self._closed = True
        self._kept.clear()
        if self._file is not None:
            self._file.close()
