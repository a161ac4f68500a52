"""Frames that may be too many for memory: kept there while they are few, then on disk."""

import tempfile
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

IN_MEMORY = 4 << 20
"""Bytes that are kept in memory."""

_CHUNK_ROWS = 1 << 12


class FrameStore:
    """Rows of float32 that can be appended and read back in order."""

    def __init__(self, size: int, folder: str | None = None) -> None:
        """Prepare for rows of ``size`` values; ``folder`` is where the file would be."""
        self.size = size
        self._row = np.dtype(np.float32).itemsize * size
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder)  # noqa: SIM115 - ours
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: Floats) -> None:
        """Add rows [shape=(..., size)] behind those that are there."""
        self._file.write(np.ascontiguousarray(rows, np.float32).data)
        self._rows += rows.size // self.size

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Floats]:
        """Read rows ``start`` to ``stop`` (exclusive) in pieces [shape=(n, size)]."""
        stop = self._rows if stop is None else stop
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
        self._file.close()
