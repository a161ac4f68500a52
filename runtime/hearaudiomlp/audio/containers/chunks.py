"""Formats made of chunks with sizes: WAV and its relatives, AIFF, AU, CAF.

Recorders that lose power leave sizes of 0, or those of their last update; programs that write to a
pipe leave sizes that stand for "unknown"; and 32 bits wrap round at 4 GiB. libsndfile takes such
sizes at their word. Sources: RIFF (Multimedia Programming Interface 1.0, 1991), RF64 (EBU Tech
3306), Sony Wave64, AIFF-C (1991), Sun AU, Apple's Core Audio Format.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from hearaudiomlp.audio.containers.structure import (
    RawPcm,
    Structure,
    another,
    promises,
    read_at,
    size_of,
)

_UNKNOWN = 0x7FFFF000
"""Sizes from here on stand for "unknown" in files that were written to a pipe."""

_WRAP = 1 << 32

_TAGS = frozenset(
    b"LIST list INFO id3 ID3 bext iXML axml chna cue plst smpl inst acid fact PEAK levl JUNK junk "
    b"PAD pad FLLR filr DISP afsp _PMX aXML cart minf elm1 regn umid note labl ltxt strc SAUR R64m "
    b"ds64 MD5 ubxt link CSET Fake SyLp AFAn LGWV wamd guan".split(b" ")
)
"""Chunks that may be behind the samples; shorter names are without their spaces here."""

_SUBTYPES = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}

_DTYPES = {"PCM_16": "<i2", "PCM_32": "<i4", "FLOAT": "<f4", "DOUBLE": "<f8"}


def _chunks(
    file: BinaryIO, at: int, length: int, order: str = "<"
) -> Iterator[tuple[bytes, int, int]]:
    """Give name, start of the content and size of each chunk."""
    while at + 8 <= length:
        name, size = struct.unpack(f"{order}4sI", read_at(file, at, 8))
        yield name, at + 8, size
        at += 8 + size + size % 2


def _is_tag(name: bytes) -> bool:
    return name.rstrip() in _TAGS


def _are_chunks(file: BinaryIO, at: int, length: int) -> bool:
    """Whether nothing but chunks, tags or zeros is from here to the end."""
    if at >= length:
        return True
    head = read_at(file, at, 8)
    if head[:3] in (b"TAG", b"ID3") or head == b"APETAGEX":
        return True
    if not any(head) and not any(read_at(file, at, min(length - at, 1 << 24))):
        return True
    for name, start, size in _chunks(file, at, length):
        printable = name.isascii() and name.decode().isprintable()
        if not (_is_tag(name) or (printable and start + size <= length)):
            return False  # a tag may be cut off: nothing of the sound is missing
        if name in (b"RIFF", b"RF64", b"data"):
            return False
    return True


def _ends_with_chunks(file: BinaryIO, end: int, length: int) -> bool:
    """Whether chunks come behind samples that end here, with or without a byte between."""
    return _are_chunks(file, end, length) or (end % 2 == 1 and _are_chunks(file, end + 1, length))


def _wav_format(data: bytes) -> tuple[str, int, int, int] | None:
    """Return libsndfile's subtype, channels, sample rate and bytes of a frame; None for others."""
    if len(data) < 16:
        return None
    tag, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", data[:16])
    if tag == 0xFFFE and len(data) >= 26:
        tag = int.from_bytes(data[24:26], "little")
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not 0 < channels <= 1024 or frame != channels * bits // 8:
        return None
    return subtype, channels, rate, frame


def _loudness(data: bytes, subtype: str) -> float | None:
    """Return the RMS of samples in [-1, 1]; None, where there are none or their kind is rare."""
    if (dtype := _DTYPES.get(subtype)) is None:
        return None
    values = np.frombuffer(data[: len(data) - len(data) % np.dtype(dtype).itemsize], dtype)
    if not len(values):
        return None
    wide = values.astype(np.float64)
    if values.dtype.kind == "i":
        wide /= 2.0 ** (8 * values.itemsize - 1)
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(wide**2)))


def _go_on(file: BinaryIO, start: int, end: int, length: int, subtype: str) -> bool:
    """Whether what is behind the samples may be samples.

    Text, archives and pictures that somebody appended are near full scale (RMS 0.5), as samples.
    """
    before = _loudness(
        read_at(file, max(start, end - (1 << 16)), min(end - start, 1 << 16)), subtype
    )
    behind = _loudness(read_at(file, end, min(length - end, 1 << 16)), subtype)
    if before is None or behind is None:
        return True
    return bool(behind < max(0.3, 2 * before))


def _true_size(file: BinaryIO, start: int, size: int, length: int) -> int | None:
    """Return the size of the samples if 32 bits wrapped round, and chunks follow; None, if not."""
    for end in range(start + size + _WRAP, length + 1, _WRAP):
        if _ends_with_chunks(file, end, length):
            return end - start
    return None


def wav(file: BinaryIO) -> Structure:  # noqa: C901, PLR0911, PLR0912 - a case a return
    """Look at a WAV, RF64 or BW64 file.

    Examples:
        >>> import io
        >>> whole = open("recordings/a/one.wav", "rb")
        >>> with whole:
        ...     cut = io.BytesIO(whole.read(1000))
        >>> wav(cut).missing
        'its header promises 16,044 bytes and there are 1,000'
    """
    length = size_of(file)
    head = read_at(file, 0, 12)
    order = ">" if head[:4] == b"RIFX" else "<"
    riff_end = 8 + int(struct.unpack(f"{order}I", head[4:8])[0])
    form: bytes = b""
    long_size = None
    for name, start, size in _chunks(file, 12, length, order):
        if name == b"fmt ":
            form = read_at(file, start, min(size, 40))
        elif name == b"ds64":
            long_size = int.from_bytes(read_at(file, start + 8, 8), "little")
        elif name == b"data":
            break
    else:
        return Structure("WAV")  # libsndfile says what is wrong
    left = length - start
    if long_size is not None and (head[:4] != b"RIFF" or size == 0xFFFFFFFF):
        size = long_size
        if size in (0, (1 << 64) - 1):
            size = 0xFFFFFFFF
    known = None if order == ">" else _wav_format(form)

    def raw(count: int) -> RawPcm | None:
        if known is None:
            return None
        subtype, channels, rate, frame = known
        return RawPcm(start, count - count % frame, rate, channels, subtype)

    if size > left:
        if size >= _UNKNOWN and long_size is None:
            return Structure("WAV", raw=raw(left) if left >= _UNKNOWN else None)
        if size - left <= start and riff_end in (length, length - 1):
            return Structure("WAV")  # its size counts the header too
        return Structure("WAV", missing=promises(start + size, length))
    end = start + size
    if _ends_with_chunks(file, end, length):
        return Structure("WAV")
    behind = length - end
    if read_at(file, end + end % 2, 4) in (b"RIFF", b"RF64", b"data"):
        return Structure("WAV", missing=another(behind))
    if (true := _true_size(file, start, size, length)) is not None:
        left = true
    elif size and known and not _go_on(file, start, end, length, known[0]):
        return Structure(
            "WAV", note=f"the {behind:,} bytes behind its samples are no sound and were left out"
        )
    found = raw(left)
    if found is None:
        return Structure(
            "WAV", missing=f"its header doesn't describe the {behind:,} bytes behind its samples"
        )
    # A size that wrapped round, or of a recorder that never came to write it: all is there.
    return Structure("WAV", raw=found)


def wave64(file: BinaryIO) -> Structure:
    """Look at a Wave64 file.

    Examples:
        >>> import io
        >>> wave64(io.BytesIO(b"riff" + bytes(60))).kind
        'Wave64'
    """
    length = size_of(file)
    at = 40
    while at + 24 <= length:
        head = read_at(file, at, 24)
        size = int.from_bytes(head[16:24], "little")
        if head[:4] == b"data":
            return _one_chunk("Wave64", file, at + 24, size - 24, unknown=1 << 62)
        at += max(24, size + -size % 8)
    return Structure("Wave64")


def _one_chunk(
    kind: str, file: BinaryIO, start: int, size: int, unknown: int = _UNKNOWN
) -> Structure:
    """Compare the size of the samples with that of the file."""
    length = size_of(file)
    if size < unknown and start + size > length:
        return Structure(kind, missing=promises(start + size, length))
    if size <= 0 and length - start > 1024:
        return Structure(
            kind, missing=f"its header doesn't describe the {length - start:,} bytes behind it"
        )
    magic = read_at(file, 0, 4)
    for end in (start + size, start + size + 1):
        if 0 < end < length and read_at(file, end, 4) == magic:
            return Structure(kind, missing=another(length - end))
    return Structure(kind)


def aiff(file: BinaryIO) -> Structure:
    r"""Look at an AIFF or AIFF-C file.

    Examples:
        >>> import io
        >>> aiff(io.BytesIO(b"FORM\0\0\0\x1eAIFFSSND\0\0\0\x10")).missing
        'its header promises 36 bytes and there are 20'
    """
    length = size_of(file)
    for name, start, size in _chunks(file, 12, length, ">"):
        if name == b"SSND":
            return _one_chunk("AIFF", file, start, max(size - 8, 0) and size)
    return Structure("AIFF")


def au(file: BinaryIO) -> Structure:
    """Look at a Sun AU file.

    Examples:
        >>> import io
        >>> au(io.BytesIO(struct.pack(">4sII", b".snd", 24, 1000))).missing
        'its header promises 1,024 bytes and there are 12'
    """
    offset, size = struct.unpack(">II", read_at(file, 4, 8).ljust(8, b"\0"))
    return _one_chunk("AU", file, offset, size)


def caf(file: BinaryIO) -> Structure:
    """Look at a Core Audio file. Size -1 stands for "unknown".

    Examples:
        >>> import io
        >>> caf(io.BytesIO(struct.pack(">8s4sq", b"caff", b"data", 1000))).missing
        'its header promises 1,020 bytes and there are 20'
    """
    length = size_of(file)
    at = 8
    while at + 12 <= length:
        name, size = struct.unpack(">4sq", read_at(file, at, 12))
        if name == b"caff":
            return Structure("CAF", missing=another(length - at))
        if name == b"data":
            found = _one_chunk("CAF", file, at + 12, size, unknown=1 << 62)
            if size < 0 or found.missing:
                return Structure("CAF") if size < 0 else found
        at += 12 + max(0, size)
    return Structure("CAF")


def avi(file: BinaryIO) -> Structure:
    """Compare the size of a film with that in its header.

    Examples:
        >>> import io
        >>> avi(io.BytesIO(struct.pack("<4sI4s", b"RIFF", 1000, b"AVI "))).missing
        'its header promises 1,008 bytes and there are 12'
    """
    length = size_of(file)
    end = 8 + int.from_bytes(read_at(file, 4, 4), "little")
    missing = promises(end, length) if length < end < _UNKNOWN else ""
    return Structure("AVI", media=True, missing=missing)
