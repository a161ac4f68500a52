"""Formats without a table of contents: MP3 (and layers I and II), AAC in ADTS, AC-3, AMR.

Such files are frames, end to end, and each frame's header gives its size (ISO 11172-3, 13818-3 and
13818-7; RFC 4867). So the only reliable length is a count of the frames. Decoders estimate it from
the first frame's bit rate or take the word of an optional Xing, Info or VBRI header.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from hearaudiomlp.audio.containers.frames import (
    Frame,
    ac3_frame,
    adts_frame,
    mp3_frame,
    tag_size,
)
from hearaudiomlp.audio.containers.structure import Structure, another, parts, read_at, size_of

_AMR_SIZES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 6, 6, 6, 1, 1, 1, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 6, 1, 1, 1, 1, 1),
}
"""Bytes of a frame, by the four bits of its mode."""

_BUFFER = 1 << 16

_SEARCH = 1 << 22
"""Bytes between two frames that are searched for the second one."""

_STRANGE = 1 << 24
"""Bytes between frames after which no more are searched for: by then much is missing."""


@dataclass
class _Walk:
    """What was found from the first frame to the last."""

    first: Frame | None = None
    frames: int = 0
    start: int = 0
    """Where the first frame is."""
    strange: int = 0
    """Bytes between frames that are neither of a tag nor 0."""
    zeros: int = 0
    """Bytes between frames, or a mark of those behind them, that are 0."""
    cut: str = ""
    change: str = ""
    tags: list[tuple[int, int]] = field(default_factory=list)
    """Where tags between frames begin and end: the file is several ones, put together."""


def _same(one: Frame, other: Frame) -> bool:
    return (one.sample_rate, one.channels, one.codec) == (
        other.sample_rate,
        other.channels,
        other.codec,
    )


def _next_frame(
    file: BinaryIO, at: int, length: int, parse: Callable[[bytes], Frame | None]
) -> int | None:
    """Search for the next place where two frames follow each other, or one ends the file."""
    end, length = length, min(length, at + _SEARCH)
    while at < length:
        data = read_at(file, at, _BUFFER)
        for match in re.finditer(b"\xff|\x0b\x77", data):
            here = at + match.start()
            frame = parse(read_at(file, here, 7))
            if frame is None:
                continue
            behind = here + frame.size
            following = parse(read_at(file, behind, 7))
            if behind == end or (following is not None and _same(frame, following)):
                return here
        at += len(data)
    return None


def _walk(  # noqa: C901, PLR0912 - a parser
    file: BinaryIO, at: int, parse: Callable[[bytes], Frame | None]
) -> _Walk:
    """Go from frame to frame."""
    length = size_of(file)
    found = _Walk()
    tags = parts("tags")
    while at < length and found.strange < _STRANGE:
        head = read_at(file, at, 16)
        frame = parse(head)
        if frame is not None and found.first is None:
            rest = read_at(file, at + frame.size, 16)
            following = parse(rest)
            if not (following and _same(frame, following)) and not tag_size(rest, 128):
                frame = frame if at + frame.size == length else None
        elif frame is not None and found.first is not None and not _same(found.first, frame):
            following = parse(read_at(file, at + frame.size, 7))
            if following is not None and _same(frame, following):
                found.change = found.change or (
                    f"{found.first.sample_rate} Hz, {found.first.channels} channels, then "
                    f"{frame.sample_rate} Hz, {frame.channels} channels"
                )
            else:
                frame = None
        if frame is not None:
            if at + frame.size > length:
                found.cut = f"its last frame has {length - at:,} of {frame.size:,} bytes"
            if found.first is None:
                found.first, found.start = frame, at
            found.frames += not found.cut
            at += frame.size
        elif size := tag_size(head, length - at):
            if at + size < length:
                found.tags.append((at, at + size))
            at += size
            next(tags)
        elif found.first is not None and length - at < 7 and head[:1] in (b"\xff", b"\x0b"):
            found.cut = f"its last frame has {length - at} bytes"
            break
        else:
            behind = _next_frame(file, at + 1, length, parse)
            if behind is None:
                found.zeros += not any(read_at(file, at, _BUFFER))
                break
            between = read_at(file, at, behind - at)
            if not any(between):
                found.zeros += len(between)
            elif found.first is not None:
                found.strange += len(between)
            at = behind
    return found


def _promised_frames(data: bytes) -> int | None:
    """Return the number of frames in a Xing, Info or VBRI header, if the frame is one."""
    for offset in (36, 21, 13, 23, 15):  # side information of stereo and mono, with or without CRC
        if data[offset : offset + 4] in (b"Xing", b"Info") and data[offset + 7] & 1:
            return int.from_bytes(data[offset + 8 : offset + 12], "big")
    if data[36:40] == b"VBRI":
        return int.from_bytes(data[50:54], "big")
    return None


def _strange(walk: _Walk) -> str:
    return f"{walk.strange:,} bytes between its frames are damaged, or no sound"


def mp3(file: BinaryIO, start: int) -> Structure | None:
    """Count the frames of an MP3; None, if it is none.

    Args:
        file: an open file.
        start: where the first frame may be: behind an ID3v2 tag.

    Examples:
        >>> import io
        >>> frame = bytes.fromhex("fffb9064") + bytes(413)
        >>> mp3(io.BytesIO(3 * frame), 0).samples
        3456
    """
    walk = _walk(file, start, mp3_frame)
    if walk.first is None:
        return None
    head = read_at(file, walk.start, 64)
    promised = _promised_frames(head.ljust(64, b"\0"))
    frames = walk.frames
    missing = walk.cut
    if promised is not None:
        frames -= 1  # that of the header has no sound
        if frames + 2 < promised:
            missing = f"its header promises {promised:,} frames and there are {frames:,}"
    elif walk.strange:
        missing = missing or _strange(walk)
    return Structure(
        walk.first.codec,
        start=start,
        media=bool(walk.tags or walk.strange or walk.zeros),
        missing=missing,
        note=_strange(walk) if walk.strange and not missing else "",
        change=walk.change,
        samples=frames * walk.first.samples,
        exact=promised is not None,
    )


def adts(file: BinaryIO, start: int) -> Structure | None:
    """Look at AAC in ADTS: see :func:`mp3`.

    Examples:
        >>> import io
        >>> frame = bytes.fromhex("fff15080043ffc") + bytes(26)
        >>> adts(io.BytesIO((3 * frame)[:-1]), 0).missing
        'its last frame has 32 of 33 bytes'
    """
    walk = _walk(file, start, adts_frame)
    if walk.first is None:
        return None
    missing = walk.cut or (_strange(walk) if walk.strange else "")
    return Structure(
        "AAC",
        media=True,
        missing=missing,
        change=walk.change,
        start=start,
        tags=tuple(walk.tags),
    )


def ac3(file: BinaryIO, start: int) -> Structure:
    """Look at AC-3 or E-AC-3: see :func:`mp3`.

    Examples:
        >>> import io
        >>> frame = bytes.fromhex("0b770000144040") + bytes(761)
        >>> ac3(io.BytesIO((3 * frame)[:-1]), 0).missing
        'its last frame has 767 of 768 bytes'
    """
    walk = _walk(file, start, ac3_frame)
    missing = walk.cut or (_strange(walk) if walk.strange else "")
    return Structure("AC-3", media=True, missing=missing, start=start)


def amr(file: BinaryIO) -> Structure:
    r"""Look at AMR, narrow or wide band.

    Examples:
        >>> import io
        >>> amr(io.BytesIO(b"#!AMR\n" + b"\x3c" + bytes(20))).missing
        'its last frame has 21 of 32 bytes'
    """
    length = size_of(file)
    magic = read_at(file, 0, 9)
    magic = magic if magic in _AMR_SIZES else magic[:6]
    sizes = [_AMR_SIZES[magic][byte >> 3 & 15] for byte in range(256)]
    at, size = len(magic), 0
    while at < length:
        data = read_at(file, at, _BUFFER + len(magic))
        here, end = 0, min(_BUFFER, len(data))
        while here < end:  # frames may have a byte each, so this is quick
            head = data[here]
            if head == magic[0] and data.startswith(magic, here):
                return Structure("AMR", media=True, missing=another(length - at - here))
            size = sizes[head]
            here += size
        at += here
    missing = f"its last frame has {length - at + size} of {size} bytes" if at > length else ""
    return Structure("AMR", media=True, missing=missing)
