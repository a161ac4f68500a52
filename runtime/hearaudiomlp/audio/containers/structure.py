"""What the bytes of a sound file say about it before anything is decoded."""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

LINKS = 10_000
"""Recordings that may follow one another in a file: three weeks of a station, song by song."""

MOST_PARTS = 100_000
"""Chunks, objects or tags that a file may have, and boxes with next to nothing in them."""

TOO_MANY_LINKS = f"it consists of over {LINKS:,} recordings, one behind the other"


@dataclass(frozen=True, slots=True)
class RawPcm:
    """Samples that a header describes wrongly, so that they are read without it.

    Examples:
        >>> RawPcm(44, 1000, 16_000, 1, "PCM_16").big_endian
        False
    """

    offset: int
    """Where they start, in bytes."""

    size: int
    """Bytes of them."""

    sample_rate: int
    channels: int

    subtype: str
    """As libsndfile calls it: ``PCM_16``, ``FLOAT`` ..."""

    big_endian: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """The facts that choose a decoder and say whether a file is whole.

    Examples:
        >>> Structure("WAV", missing=promises(1000, 500)).missing
        'its header promises 1,000 bytes and there are 500'
    """

    kind: str
    """Name of the format, for messages."""

    media: bool = False
    """Whether libsndfile would read it wrongly, or only in part: it is FFmpeg's then."""

    missing: str = ""
    """What is known to be gone, in words; nothing, where nothing is."""

    note: str = ""
    """What the reader of a whole file should know, in words."""

    change: str = ""
    """How the sample rate or the number of channels changes in mid-file."""

    samples: int | None = None
    """Samples per channel, counted in the file where its header can't be trusted with it."""

    raw: RawPcm | None = None
    """Where the samples are, if the header is wrong about it."""

    links: tuple[tuple[int, int], ...] = ()
    """Offset and size of the streams that follow one another, if there are several."""

    start: int = 0
    """Where it begins: behind a tag in front of it."""

    tags: tuple[tuple[int, int], ...] = ()
    """Where tags between its frames begin and end: FFmpeg would unfold the pictures in them."""

    open_end: bool = False
    """Whether its header leaves its length open, so that FFmpeg takes its last packets for cut."""

    exact: bool = True
    """Whether libsndfile knows the number of samples exactly."""


def size_of(file: BinaryIO) -> int:
    """Return the length of an open file in bytes.

    Examples:
        >>> size_of(io.BytesIO(b"RIFF"))
        4
    """
    return file.seek(0, io.SEEK_END)


def read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    """Read ``count`` bytes, or those that there are, from ``offset`` on.

    Examples:
        >>> read_at(io.BytesIO(b"RIFF....WAVE"), 8, 4)
        b'WAVE'
    """
    if offset > sys.maxsize:  # a header may promise more than any file has
        return b""
    file.seek(offset)
    return file.read(count)


def promises(promised: int, there: int) -> str:
    """Say that a header promises bytes that aren't there.

    Examples:
        >>> promises(1000, 500)
        'its header promises 1,000 bytes and there are 500'
    """
    return f"its header promises {promised:,} bytes and there are {there:,}"


def another(count: int) -> str:
    """Say that bytes of another recording follow, which decoders would pass over.

    Examples:
        >>> another(1000)
        'another recording of 1,000 bytes follows in the same file'
    """
    return f"another recording of {count:,} bytes follows in the same file"


def undescribed(count: int) -> str:
    """Say that a header doesn't cover all that is in the file.

    Examples:
        >>> undescribed(1000)
        "its header doesn't describe the 1,000 bytes behind its samples"
    """
    return f"its header doesn't describe the {count:,} bytes behind its samples"


def parts(what: str) -> Iterator[int]:
    """Count parts that may be next to empty, so that looking at them all would take minutes.

    Raises:
        ValueError: there are more of them than anything writes.

    Examples:
        >>> next(parts("chunks"))
        0
    """
    yield from range(MOST_PARTS)
    raise ValueError(f"it consists of over {MOST_PARTS:,} {what}")


def find_all(file: BinaryIO, wanted: bytes, start: int) -> Iterator[int]:
    """Give all places where some bytes are, from ``start`` on. There are two or more of them.

    Examples:
        >>> list(find_all(io.BytesIO(b"..TTA1..TTA1"), b"TTA1", 0))
        [2, 8]
    """
    before = b""
    while data := read_at(file, start + len(before), 1 << 20):
        data = before + data
        at = -1
        while (at := data.find(wanted, at + 1)) >= 0:
            yield start + at
        before = data[1 - len(wanted) :]
        start += len(data) - len(before)


def find_in(file: BinaryIO, wanted: bytes, start: int) -> int:
    """Return where some bytes are, from ``start`` on; -1, if they aren't.

    Examples:
        >>> find_in(io.BytesIO(b"....fLaC"), b"fLaC", 0)
        4
    """
    return next(find_all(file, wanted, start), -1)
