"""FLAC (RFC 9639), WavPack and TTA: where they end, and what is behind."""

from itertools import islice
from typing import BinaryIO

from hearaudiomlp.audio.containers.frames import tag_size
from hearaudiomlp.audio.containers.structure import (
    LINKS,
    TOO_MANY_LINKS,
    Structure,
    another,
    find_all,
    find_in,
    promises,
    read_at,
    size_of,
)

_LOOK = 1 << 17
"""Bytes from the end of a FLAC in which its last frame is searched for."""

_BLOCKS = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608}
"""Samples of a frame, by the bits in its header; from 8 on, they are powers of two."""

_INITIAL = 8
"""Bit of the first of the blocks of WavPack that have the channels of the same samples."""


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (7 if crc & 0x80 else 0)) & 0xFF
    return crc


def _frame_end(head: bytes, block: int) -> int | None:
    """Return the number of the sample behind a frame of FLAC, after its header; None for others."""
    if len(head) < 16 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    width = max(1, 8 - (head[4] ^ 0xFF).bit_length())  # of a number as in UTF-8
    number = head[4] & (0x7F >> width if width > 1 else 0x7F)
    for byte in head[5 : 4 + width]:
        number = number << 6 | byte & 0x3F
    at, code = 4 + width, head[2] >> 4
    extra = {6: 1, 7: 2}.get(code, 0)
    samples = int.from_bytes(head[at : at + extra], "big") + 1 if extra else _BLOCKS.get(code)
    samples = samples or (256 << code - 8 if code >= 8 else 0)
    at += extra + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not samples or at >= len(head) or head[at] != _crc8(head[:at]):
        return None
    return (number if head[1] & 1 else number * block) + samples


def _samples_in_frames(file: BinaryIO, start: int, block: int) -> int:
    """Return the number of samples up to the last frame that is found."""
    at = max(start, size_of(file) - _LOOK)
    data = read_at(file, at, _LOOK)
    here = len(data)
    while (here := data.rfind(b"\xff", 0, here)) >= 0:
        if (end := _frame_end(data[here : here + 16].ljust(16, b"\0"), block)) is not None:
            return end
    return 0


def flac(file: BinaryIO, start: int) -> Structure:
    """Look at a FLAC file.

    libsndfile reads as many samples as the header says; where there are more, FFmpeg reads them.

    Args:
        file: an open file.
        start: where it starts: behind an ID3v2 tag.

    Raises:
        ValueError: it consists of more streams than anyone puts together.

    Examples:
        >>> with open("samples/words.flac", "rb") as file:
        ...     flac(file, 0).media
        False
    """
    length = size_of(file)
    # Others, each with the header of its first block.
    others = find_all(file, b"fLaC\0\0\0\x22", start + 4)
    starts = [start, *islice(others, LINKS)]
    if len(starts) > LINKS:
        raise ValueError(TOO_MANY_LINKS)
    totals = [int.from_bytes(read_at(file, at + 21, 5), "big") & ((1 << 36) - 1) for at in starts]
    if len(totals) > 1:
        if not all(totals):  # FFmpeg may lose a frame where the second one begins
            missing = another(length - starts[1])
            return Structure("FLAC", media=True, missing=missing, start=start)
        ends = [*starts[1:], length]
        links = tuple((at, end - at) for at, end in zip(starts, ends, strict=False))
        return Structure("FLAC", links=links)
    block = int.from_bytes(read_at(file, start + 10, 2), "big")
    longer = _samples_in_frames(file, start, block) > totals[0]
    media = longer or not totals[0]
    # libsndfile can't seek behind a tag that is longer than the rest: it gets the rest alone.
    links = ((start, length - start),) if start and not media else ()
    return Structure("FLAC", media=media, links=links, start=start)


def tta(file: BinaryIO, start: int) -> Structure:
    """Look for a second one in a TTA file, which FFmpeg would pass over.

    Examples:
        >>> import io
        >>> tta(io.BytesIO(2 * (b"TTA1" + bytes(100))), 0).missing
        'another recording of 104 bytes follows in the same file'
    """
    second = find_in(file, b"TTA1", start + 4)
    missing = another(size_of(file) - second) if second >= 0 else ""
    return Structure("TTA", media=True, missing=missing, start=start)


def wavpack(file: BinaryIO) -> Structure:
    """Go through the blocks of a WavPack file.

    Examples:
        >>> import io
        >>> wavpack(io.BytesIO(b"wvpk" + (1000).to_bytes(4, "little") + bytes(24))).missing
        'its header promises 1,008 bytes and there are 32'
    """
    length, at, missing, begun = size_of(file), 0, "", False
    while at < length and not missing:
        head = read_at(file, at, 32)
        if head[:4] != b"wvpk" or len(head) < 32:
            if size := tag_size(head, length - at):
                at += size
                continue
            if any(head):
                missing = f"its last {length - at:,} bytes are no blocks of it"
            break
        end = at + max(32, 8 + int.from_bytes(head[4:8], "little"))
        # The number of its first sample has 40 bits. Several blocks may share one, for channels.
        starts = not (head[10] or any(head[16:20])) and head[25] & _INITIAL
        has_samples = any(head[20:24])
        if starts and has_samples and begun:
            missing = another(length - at)
        elif end > length:
            missing = promises(end, length)
        begun = begun or has_samples
        at = end
    return Structure("WavPack", media=True, missing=missing)
