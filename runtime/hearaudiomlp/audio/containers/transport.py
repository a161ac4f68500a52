"""MPEG transport streams: packets of 188 bytes, in which longer packets of sound are wrapped.

FFmpeg passes over what was cut off at the end. Source: ISO 13818-1.
"""

from collections.abc import Iterator
from typing import BinaryIO

from hearaudiomlp.audio.containers.structure import Structure, read_at, size_of

_PACKET = 188
_SYNC = 0x47

_LOOK = 1 << 20
"""Bytes at the end that are looked at: a packet of sound has 64 KB at most."""

HEAD = 1 << 16
"""Bytes at the beginning in which such a stream is recognized."""

_SOUND = (*range(0xC0, 0xE0), 0xBD)
"""Stream numbers of MPEG audio, and of AC-3 and others."""


def sync_step(head: bytes) -> int | None:
    """Return the bytes from one sync byte to the next; None, if three aren't equally far apart.

    Examples:
        >>> sync_step(5000 * b"G")
        188
    """
    for step in (_PACKET, _PACKET + 4):
        if head[step - _PACKET : 3 * step : step] == bytes([_SYNC] * 3):
            return step
    return None


def packet_step(head: bytes) -> int | None:
    r"""Return the bytes from one packet to the next; None, if it is no transport stream.

    Text and samples may have the sync byte, a "G", at equal distances. But a stream also has
    packets in which its table of contents, or a piece of sound or film, begins.

    Examples:
        >>> packet = b"\x47\x40\0\x10" + bytes(184)
        >>> packet_step(3 * packet)
        188
        >>> packet_step(3 * (bytes(4) + packet))  # with time codes, of a camera
        192
        >>> packet_step(5000 * b"G") is None
        True
    """
    step = sync_step(head)
    if step is None or not any(map(_begins, _packets(head[step - _PACKET :], step))):
        return None
    return step


def _content(packet: bytes) -> bytes:
    if not packet[3] & 0x10:
        return b""
    return packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]


def _begins(packet: bytes) -> bool:
    if len(packet) < _PACKET or not packet[1] & 0x40:
        return False
    return packet[1:3] == b"\x40\0" or _content(packet).startswith(b"\0\0\1")


def _packets(data: bytes, step: int) -> Iterator[bytes]:
    """Yield packets, the last one as far as it is there; what is between them is passed over."""
    at, expected = 0, -1
    while at < len(data):
        if data[at] == _SYNC and (at == expected or data[at + step : at + step + 1] == b"\x47"):
            yield data[at : at + _PACKET]
            at += step
            expected = at
        else:
            at += 1


def transport(file: BinaryIO) -> Structure:
    r"""Look whether the last packets of sound are whole.

    Examples:
        >>> import io
        >>> transport(io.BytesIO(3 * (b"\x47\x40\0\x10" + bytes(184)) + b"\x47")).missing
        'its last packet has 1 of 188 bytes'
    """
    length = size_of(file)
    step = packet_step(read_at(file, 0, HEAD)) or _PACKET
    missing = ""
    lacks: dict[int, int] = {}  # bytes that are still to come, by the number of a stream
    for packet in _packets(read_at(file, max(0, length - _LOOK), _LOOK), step):
        if len(packet) < _PACKET:
            missing = f"its last packet has {len(packet)} of {_PACKET} bytes"
            break
        stream = (packet[1] & 0x1F) << 8 | packet[2]
        if not packet[3] & 0x10:  # it has no content
            continue
        content = _content(packet)
        if packet[1] & 0x40:
            size = int.from_bytes(content[4:6], "big")
            is_sound = content[:3] == b"\0\0\1" and content[3] in _SOUND
            lacks[stream] = 6 + size if is_sound and size else 0
        if stream in lacks:
            lacks[stream] -= len(content)
    lack = max(lacks.values(), default=0)
    if lack > 0 and not missing:
        missing = f"the last {lack:,} bytes of its sound are gone"
    return Structure("MPEG-TS", media=True, missing=missing)
