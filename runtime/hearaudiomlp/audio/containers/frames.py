"""Headers of the frames and tags that MP3, AAC in ADTS and AC-3 files consist of.

Sources: ISO 11172-3, 13818-3 and 13818-7; ETSI TS 102 366; ID3v2 (id3.org) and APEv2.
"""

from typing import NamedTuple

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By the two bits for the version: MPEG-1 (3), MPEG-2 (2) and MPEG-2.5 (0)."""

_KBITS = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By MPEG-1 (3) or later (2), and by the two bits of the layer: I is 3, II is 2, III is 1."""

_AAC_RATES = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000),
    *(22050, 16000, 12000, 11025, 8000, 7350),
)

_AC3_KBITS = (
    *(32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640),
)


class Frame(NamedTuple):
    """A frame's header.

    Examples:
        >>> Frame(417, 44_100, 2, 1152, "MP3").size
        417
    """

    size: int
    """Bytes, with the header."""

    sample_rate: int
    channels: int
    samples: int
    """Samples per channel."""

    codec: str


def mp3_frame(head: bytes) -> Frame | None:
    """Read the four bytes of a header; None, if they are none or of free format.

    Examples:
        >>> mp3_frame(bytes.fromhex("fffb9064"))
        Frame(size=417, sample_rate=44100, channels=2, samples=1152, codec='MP3')
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    kbits, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 0 or kbits in (0, 15) or rate == 3:
        return None
    later = 3 if version == 3 else 2
    bits = 1000 * _KBITS.get((later, layer), _KBITS[2, 2])[kbits]
    hertz = _RATES[version][rate]
    padding = head[2] >> 1 & 1
    if layer == 3:
        samples, size = 384, 4 * (12 * bits // hertz + padding)
    else:
        samples = 576 if layer == 1 and later == 2 else 1152
        size = samples // 8 * bits // hertz + padding
    channels = 1 if head[3] >> 6 == 3 else 2
    return Frame(size, hertz, channels, samples, f"MP{4 - layer}")


def adts_frame(head: bytes) -> Frame | None:
    """Read the seven bytes of an ADTS header; None, if they are none.

    Examples:
        >>> adts_frame(bytes.fromhex("fff15080043ffc"))
        Frame(size=33, sample_rate=44100, channels=2, samples=1024, codec='AAC')
    """
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    rate = head[2] >> 2 & 15
    channels = (head[2] & 1) << 2 | head[3] >> 6
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate >= len(_AAC_RATES) or size < 7:
        return None
    return Frame(size, _AAC_RATES[rate], channels, 1024 * (1 + (head[6] & 3)), "AAC")


def ac3_frame(head: bytes) -> Frame | None:
    """Read the first seven bytes of a frame of AC-3 or E-AC-3 (ETSI TS 102 366).

    Examples:
        >>> ac3_frame(bytes.fromhex("0b770000144040"))
        Frame(size=768, sample_rate=48000, channels=2, samples=1536, codec='AC-3')
    """
    if len(head) < 7 or head[:2] != b"\x0b\x77":
        return None
    if head[5] >> 3 > 10:
        return Frame(2 * ((head[2] & 7) << 8 | head[3]) + 2, 0, 0, 1536, "AC-3")
    rate, code = head[4] >> 6, head[4] & 63
    if rate == 3 or code >= 2 * len(_AC3_KBITS):
        return None
    hertz, bits = (48000, 44100, 32000)[rate], 1000 * _AC3_KBITS[code >> 1]
    size = 2 * (bits * 1536 // hertz // 16 + (code & 1 if rate == 1 else 0))
    return Frame(size, hertz, head[6] >> 5, 1536, "AC-3")


def id3_size(head: bytes) -> int:
    """Return the bytes of the ID3v2 tag that starts with these ten; 0, if none does.

    Examples:
        >>> id3_size(b"ID3" + bytes([4, 0, 0, 0, 0, 1, 0]))
        138
    """
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + (20 if head[5] & 0x10 else 10)


def tag_size(head: bytes, left: int) -> int:
    """Return the bytes of a tag of any kind that is between or behind frames; 0, if it is none.

    Examples:
        >>> tag_size(b"TAG" + bytes(13), left=128)
        128
    """
    if size := id3_size(head):
        return size
    if head.startswith(b"TAG") and left in (128, 128 + 227):
        return left
    if head.startswith(b"APETAGEX"):
        return 32 + int.from_bytes(head[12:16], "little")
    if head.startswith(b"LYRICSBEGIN"):
        return left
    return 0
