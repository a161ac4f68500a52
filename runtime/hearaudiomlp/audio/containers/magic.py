"""The bytes that containers begin with: the one list of them, for files and for pipes."""

import re
from collections.abc import Callable

from hearaudiomlp.audio.containers.transport import HEAD, packet_step, sync_step

_MAGIC = {
    "WAV": rb"(RIFF|RF64|BW64|RIFX)....WAVE",
    "AVI": rb"RIFF....AVI ",
    "Wave64": rb"riff.{20}wave",
    "AIFF": rb"FORM....AIF[FC]",
    "AU": rb"\.snd",
    "CAF": rb"caff",
    "FLAC": rb"fLaC",
    "WavPack": rb"wvpk",
    "TTA": rb"TTA1",
    "Ogg": rb"OggS",
    "Matroska": rb"\x1a\x45\xdf\xa3",
    "WMA": rb"\x30\x26\xb2\x75",
    "AMR": rb"#!AMR(-WB)?\n",
    "MP4": rb"....(ftyp|moov|mdat|wide|free|skip|pnot)",
}
_PATTERNS = {kind: re.compile(magic, re.DOTALL) for kind, magic in _MAGIC.items()}
_HEAD = 28
"""Bytes that the longest of them takes."""

_LOOKS = (1 << 10, 1 << 13, HEAD)
"""Bytes in which a transport stream is sought: few first, as a live one is slow."""


def container(peek: Callable[[int], bytes]) -> str:
    """Return the name of a container; nothing for other bytes, as those of MP3 or of samples.

    Args:
        peek: gives as many of the first bytes as it is asked for; fewer where there are fewer.

    Examples:
        >>> container(lambda count: b"fLaC"[:count])
        'FLAC'
    """
    head = peek(_HEAD)
    for kind, pattern in _PATTERNS.items():
        if pattern.match(head):
            return kind
    may_be_packets = 0x47 in (*head[:1], *head[4:5]) and sync_step(peek(_LOOKS[0]))
    if may_be_packets and any(packet_step(peek(count)) for count in _LOOKS):
        return "MPEG-TS"
    return ""
