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

_SOUND = (*range(0xC0, 0xE0), 0xBD)
"""Stream numbers of MPEG audio, and of AC-3 and others."""


def packet_step(head: bytes) -> int | None:
    r"""Return the bytes from one packet to the next; None, if it is no transport stream.

    Examples:
        >>> packet_step(3 * (b"\x47" + bytes(187)))
        188
        >>> packet_step(3 * (bytes(4) + b"\x47" + bytes(187)))  # with time codes, of a camera
        192
    """
    for step in (_PACKET, _PACKET + 4):
        if head[step - _PACKET : 3 * step : step] == bytes([_SYNC] * 3):
            return step
    return None


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


def transport(file: BinaryIO, step: int) -> Structure:
    r"""Look whether the last packets of sound are whole.

    Args:
        file: an open file.
        step: as :func:`packet_step` gives it.

    Examples:
        >>> import io
        >>> transport(io.BytesIO(3 * (b"\x47" + bytes(187)) + b"\x47"), 188).missing
        'its last packet has 1 of 188 bytes'
    """
    length = size_of(file)
    missing = ""
    lacks: dict[int, int] = {}  # bytes that are still to come, by the number of a stream
    for packet in _packets(read_at(file, max(0, length - _LOOK), _LOOK), step):
        if len(packet) < _PACKET:
            missing = f"its last packet has {len(packet)} of {_PACKET} bytes"
            break
        stream = (packet[1] & 0x1F) << 8 | packet[2]
        if not packet[3] & 0x10:  # it has no content
            continue
        content = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
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
