"""Ogg (RFC 3533): pages with numbers and checksums, in one or several logical streams.

libsndfile ends with the first of chained streams, and libogg drops damaged pages silently. So all
pages are looked at, which takes a hundredth of the time of decoding them.
"""

import zlib
from dataclasses import dataclass, field
from typing import BinaryIO

from hearaudiomlp.audio.containers.structure import (
    LINKS,
    TOO_MANY_LINKS,
    Structure,
    read_at,
    size_of,
)

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_DAMAGED = 10_000
"""Pages that may be damaged before no more are looked at: by then much is missing."""
_SEARCHED = 1 << 13
"""Bytes that are read at a time where the next page is searched for."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> int:
    """Return Ogg's CRC of a page: zlib's polynomial with the bits the other way round, from 0."""
    page = page[:22] + bytes(4) + page[26:]
    backwards = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{backwards:032b}"[::-1], 2)


def _codec(packet: bytes) -> tuple[str, int, int]:
    """Return name, channels and sample rate of a stream, after its first packet."""
    if packet[:7] == b"\x01vorbis" and len(packet) >= 16:
        return "Vorbis", packet[11], int.from_bytes(packet[12:16], "little")
    if packet[:8] == b"OpusHead" and len(packet) >= 10:
        return "Opus", packet[9], 48000
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 30:
        bits = int.from_bytes(packet[27:31], "big")
        return "FLAC", (bits >> 9 & 7) + 1, bits >> 12
    if packet[:8] == b"Speex   " and len(packet) >= 52:
        return (
            "Speex",
            int.from_bytes(packet[48:52], "little"),
            int.from_bytes(packet[36:40], "little"),
        )
    return "", 0, 0


def _opus_samples(page: bytes) -> int:
    """Return the samples at 48 kHz in the packets that start in a page of Opus (RFC 6716, 3.1)."""
    total, at, starts = 0, 27 + page[26], not page[5] & _CONTINUED
    for size in page[27 : 27 + page[26]]:
        if starts and size:
            config, code = page[at] >> 3, page[at] & 3
            if config < 12:
                frame = (480, 960, 1920, 2880)[config & 3]
            else:
                frame = (480, 960)[config & 1] if config < 16 else 120 << (config & 3)
            count = (1, 2, 2, page[at + 1] & 63 if size > 1 else 0)[code]
            total += count * frame
        at += size
        starts = size < 255
    return total


@dataclass
class _Streams:
    """The state of the logical streams after the pages so far."""

    links: list[tuple[str, int, int]] = field(default_factory=list)
    """Name, channels and sample rate of each stream of sound."""
    starts: list[int] = field(default_factory=list)
    """Where each of them begins."""
    opus_rates: set[bytes] = field(default_factory=set)
    """Sample rates in the headers of Opus, one of which libsndfile takes for its output."""
    numbers: dict[int, int] = field(default_factory=dict)
    """Number of the next page of each stream."""
    going_on: set[int] = field(default_factory=set)
    """Streams without an end mark so far."""
    others: bool = False
    """Whether streams are side by side, or have something else than sound."""
    late: bool = False
    """Whether a stream of Opus counts its samples from a place before the file, as radio does."""
    damaged: int = 0
    change: str = ""
    _unplaced: int = -1
    """Samples of Opus since the headers; negative, where the place of one of them is known."""

    def add(self, at: int, page: bytes) -> None:
        """Take a whole page."""
        flags, serial = page[5], int.from_bytes(page[14:18], "little")
        number = int.from_bytes(page[18:22], "little")
        if flags & _FIRST:
            self._begin(at, page[27 + page[26] :])
        elif self.numbers.get(serial, number) != number:
            self.damaged += 1  # a page is gone
        if self._unplaced >= 0 and number > 1:
            place = int.from_bytes(page[6:14], "little", signed=True)
            self._unplaced += _opus_samples(page)
            if place >= 0:
                self.late = self.late or place > self._unplaced
                self._unplaced = -1
        if flags & _FIRST or serial not in self.numbers:
            self.going_on.add(serial)
        if flags & _LAST:
            self.going_on.discard(serial)
        self.numbers[serial] = number + 1
        if max(len(self.numbers), len(self.links)) > LINKS:
            raise ValueError(TOO_MANY_LINKS)

    def _begin(self, at: int, packet: bytes) -> None:
        link = _codec(packet)
        beside = bool(self.going_on)
        self.others = self.others or beside or not link[0]
        if not link[0]:
            return
        if self.links and link[1:] != self.links[-1][1:] and not (self.change or beside):
            self.change = "{2} Hz, {1} channels, then ".format(*self.links[-1])
            self.change += "{2} Hz, {1} channels".format(*link)
        if link[0] == "Opus":
            self.opus_rates.add(packet[12:16])
            self._unplaced = 0
        self.links.append(link)
        self.starts.append(at)


def ogg(file: BinaryIO) -> Structure:
    """Look at all pages of an Ogg file.

    Raises:
        ValueError: it consists of more streams than anyone puts together.

    Examples:
        >>> import io
        >>> ogg(io.BytesIO(b"OggS" + bytes(20))).missing
        "its last page isn't whole"
    """
    length, at = size_of(file), 0
    streams = _Streams()
    missing = ""
    while at < length and streams.damaged < _DAMAGED:
        head = read_at(file, at, 27)
        if head.startswith(b"OggS") and len(head) == 27:
            size = 27 + head[26] + sum(read_at(file, at + 27, head[26]))
            if at + size > length:
                missing = f"its last page has {length - at:,} of {size:,} bytes"
                break
            page = read_at(file, at, size)
            if int.from_bytes(head[22:26], "little") == _checksum(page):
                streams.add(at, page)
                at += size
                continue
        elif b"OggS".startswith(head[:4]):
            missing = "its last page isn't whole"
            break
        behind = _next_page(file, at + 4, length)
        if behind is None:
            if any(read_at(file, at, 1 << 16)):  # a tag, or zeros, may be behind the last page
                missing = _rest(file, at, length)
            break
        streams.damaged += 1
        at = behind
    if streams.damaged:
        least = "at least " if streams.damaged >= _DAMAGED else ""
        missing = f"{least}{streams.damaged:,} of its pages are damaged or missing"
    note = ""
    if not missing and streams.going_on:
        note = "its last page has no end mark: whether something is missing behind it isn't known"
    names = {link[0] for link in streams.links}
    ends = [*streams.starts[1:], length]
    links = [(start, end - start) for start, end in zip(streams.starts, ends, strict=False)]
    return Structure(
        " ".join(["Ogg", *sorted(names)]),
        media=(
            streams.others
            or streams.late
            or len(streams.opus_rates) > 1
            or not names
            or not names <= {"Vorbis", "Opus"}
        ),
        missing=missing,
        note=note,
        change=streams.change,
        links=tuple(links) if len(links) > 1 else (),
    )


def _rest(file: BinaryIO, at: int, length: int) -> str:
    if read_at(file, at, 3) in (b"TAG", b"ID3", b"APE"):
        return ""
    return f"its last {length - at:,} bytes are no Ogg pages"


def _next_page(file: BinaryIO, at: int, length: int) -> int | None:
    """Search for the beginning of the next page."""
    while at < length:
        data = read_at(file, at, _SEARCHED)
        found = data.find(b"OggS")
        if found >= 0:
            return at + found
        at += max(1, len(data) - 3)
    return None
