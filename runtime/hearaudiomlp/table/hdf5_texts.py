"""Texts in HDF5, which are looked at before HDF5 reads them: it trusts their sizes."""

import math
import os
import struct
import sys
from typing import IO, Any

import numpy as np

_REFERENCE = 16  # bytes that stand for a text of any length; its length is the first four
_DAMAGED = "its texts can't be read: they are damaged"


class TextHeaps:
    """Where an HDF5 file keeps texts of any length: its global heaps.

    Their layout is in the HDF5 File Format Specification, section III.E.

    Examples:
        >>> import h5py
        >>> with h5py.File("birds.h5", "w") as table:
        ...     table["path"] = ["a.wav", "b.wav"]
        >>> with h5py.File("birds.h5") as table, open("birds.h5", "rb") as file:
        ...     TextHeaps(file).check(table["path"], start=0, count=2, longest=100)
        True
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Look at no heap yet.

        Args:
            file: the HDF5 file.
        """
        self._file = file
        self._left = file.seek(0, os.SEEK_END)  # bytes that other heaps may have
        self._seen = {0}  # nothing is nowhere

    def check(self, texts: Any, start: int, count: int, longest: int) -> bool:
        """Look at the lengths of texts first: one of megabytes may stand for all rows.

        Args:
            texts: a dataset of h5py.
            start: number of the first text.
            count: of texts.
            longest: bytes that a text may have.

        Returns:
            True, so that it can be a condition.

        Raises:
            ValueError: one is too long, or HDF5 would never get to its end.
        """
        offset, size = texts.id.get_offset(), texts.dtype.itemsize
        if size > longest:
            raise ValueError(f"has texts of {size:,} bytes")
        if texts.dtype.kind == "O" and offset is not None:  # of any length
            if texts.id.get_storage_size() != _REFERENCE * math.prod(texts.shape):
                raise ValueError(_DAMAGED)
            self._file.seek(offset + _REFERENCE * start)
            references = self._file.read(_REFERENCE * count)
            lengths = np.frombuffer(references, "<u4")[:: _REFERENCE // 4]
            if len(lengths) != count or lengths.max() > longest:
                raise ValueError(f"has texts of {lengths.max(initial=0):,} bytes")
            for at in range(4, len(references), _REFERENCE):
                self._walk(int.from_bytes(references[at : at + 8], "little"))
        return True

    def _walk(self, address: int) -> None:
        """Go from each text of a heap to the next as HDF5 does: without end, where one has no size.

        A size of none, one behind the heap, and heaps that are larger than the file, and so in one
        another, are errors.
        """
        if address in self._seen:
            return
        self._seen.add(address)
        self._file.seek(min(address, sys.maxsize))
        head = self._file.read(_REFERENCE)
        size = int.from_bytes(head[8:], "little") if head.startswith(b"GCOL") else 0
        self._left -= size
        if not size or self._left < 0:
            raise ValueError(_DAMAGED)
        texts, at = self._file.read(max(0, size - _REFERENCE)), 0
        while at + _REFERENCE <= len(texts):
            number, length = struct.unpack_from("<H6xQ", texts, at)
            step = _REFERENCE + length + -length % 8 if number else length
            if not _REFERENCE <= step <= len(texts) - at:
                raise ValueError(_DAMAGED)
            at += step
