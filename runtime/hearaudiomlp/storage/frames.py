"""Rows of numbers that may be more than memory holds."""

import tempfile
from collections.abc import Iterator

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

        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed with this
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, frames: Floats) -> None:
        """Add frames [shape=(..., size)] after those that are there."""
        self._file.write(np.ascontiguousarray(frames, np.float32).data)
        self._rows += frames.size // self.size

    def chunks(self, start: int, stop: int) -> Iterator[Floats]:
        """Return frames ``start`` to ``stop`` (exclusive) in pieces [shape=(n, size)].

        Raises:
            ValueError: they were released.
        """
        if self._file.closed:
            raise ValueError("these embeddings were released: read them before close()")
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> Iterator[Floats]:
        row = self.size * np.dtype(np.float32).itemsize
        most = max(1, CHUNK_BYTES // row)
        for first in range(start, stop, most):
            self._file.seek(first * row)
            data = self._file.read(min(most, stop - first) * row)
            yield np.frombuffer(data, np.float32).reshape(-1, self.size)

    def close(self) -> None:
        """Release memory or file."""
        self._file.close()

    def __del__(self) -> None:
        """Release memory or file, if close() wasn't called."""
        self.close()
