"""Frames that may be too many for memory: kept there while they are few, then on disk."""

import tempfile
from collections.abc import Iterator
from typing import IO

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
        self._folder = folder
        self._held: list[Floats] = []  # while there is no file
        self._file: IO[bytes] | None = None
        self._rows = 0
        self._closed = False

    def __len__(self) -> int:
        return self._rows

    @property
    def _row(self) -> int:
        return 4 * self.size

    def append(self, rows: Floats) -> None:
        """Add rows [shape=(..., size)] behind those that are there."""
        self._check_open()
        # A copy, because the caller may use the array for something else.
        rows = np.array(rows, np.float32, order="C").reshape(-1, self.size)
        self._rows += len(rows)
        if self._file is not None:
            self._file.write(rows.data)
            return
        self._held.append(rows)
        if self._rows * self._row > IN_MEMORY:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - ours
            for piece in self._held:
                self._file.write(piece.data)
            self._held.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the frames have been let go of")

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Floats]:
        """Read rows ``start`` to ``stop`` (exclusive) in pieces [shape=(n, size)]."""
        self._check_open()
        stop = self._rows if stop is None else stop
        if self._file is None and len(self._held) > 1:
            self._held[:] = [np.concatenate(self._held)]
        for first in range(start, stop, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, stop - first)
            if self._file is None:
                piece = self._held[0][first : first + count]
                piece.flags.writeable = False
                yield piece
                continue
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
        self._held.clear()
        if self._file is not None:
            self._file.close()
