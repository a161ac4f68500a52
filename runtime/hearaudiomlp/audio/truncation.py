"""Whether a sound file was cut off: its header promises more than there is.

libsndfile reads what is left of such a file and says nothing, so the first minutes of an
interrupted copy would pass for the whole recording. Sizes are looked up where the formats keep
them: RIFF and RF64 (EBU Tech 3306), AIFF, Sun AU; Ogg (RFC 3533) marks its last page instead.
"""

import errno
import os
import stat
import struct
from typing import BinaryIO

_UNKNOWN = 0x7FFFF000
"""Sizes from here on stand for "unknown" in files that were written to a pipe."""

_TAIL = 1 << 17  # an Ogg page has 65,307 bytes at most
_LAST_PAGE = 4


def _chunks_end(file: BinaryIO, wanted: bytes, order: str) -> int:
    """Return where the chunk ``wanted`` should end, or 0 where that can't be told."""
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int(struct.unpack(f"{order}I", head[4:])[0])
        if name == b"ds64":
            data_size = int.from_bytes(file.read(16)[8:], "little")
            file.seek(size - 16, os.SEEK_CUR)
            _find_chunk(file, b"data")
            return file.tell() + data_size
        if name == wanted:
            return 0 if size >= _UNKNOWN else file.tell() + size
        file.seek(size + size % 2, os.SEEK_CUR)
    return 0


def _find_chunk(file: BinaryIO, wanted: bytes) -> None:
    """Go to the content of the chunk ``wanted`` of a little-endian file."""
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == wanted:
            return
        file.seek(size + size % 2, os.SEEK_CUR)


def _ogg_ends(file: BinaryIO, length: int) -> bool:
    """Whether the last page of an Ogg file is whole and says that it is the last one."""
    file.seek(max(0, length - _TAIL))
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    segments = tail[at + 26]
    table = tail[at + 27 : at + 27 + segments]
    whole = len(table) == segments and len(tail) >= at + 27 + segments + sum(table)
    return whole and bool(tail[at + 5] & _LAST_PAGE)


def find_truncation(file: BinaryIO) -> str | None:
    """Tell what is missing at the end of a sound file, or None where nothing is known to be.

    Args:
        file: an open file, at its beginning.

    Returns:
        Words for an error message; None for whole files and for formats that keep no size.

    Raises:
        OSError: it can't be read, or isn't a regular file.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ESPIPE, "a pipe or device: write it to a file first")
    length = status.st_size
    head = file.read(12)
    end = 0
    match head[:4]:
        case b"RIFF" | b"RF64":
            end = _chunks_end(file, b"data", "<")
        case b"RIFX":
            end = _chunks_end(file, b"data", ">")
        case b"FORM":
            end = _chunks_end(file, b"SSND", ">")
        case b".snd" if len(head) == 12:
            offset, size = struct.unpack(">II", head[4:])
            end = 0 if size >= _UNKNOWN else offset + size
        case b"OggS":
            return None if _ogg_ends(file, length) else "its last page is missing"
    if end > length:
        return f"its header promises {end:,} bytes and there are {length:,}"
    return None
