"""Formats made of chunks with sizes: WAV and its relatives, AIFF, AU, CAF.

Recorders that lose power leave sizes of 0, or those of their last update; programs that write to a
pipe leave sizes that stand for "unknown"; and 32 bits wrap round at 4 GiB. libsndfile takes such
sizes at their word. Sources: RIFF (Multimedia Programming Interface 1.0, 1991), RF64 (EBU Tech
3306), Sony Wave64, AIFF-C (1991), Sun AU, Apple's Core Audio Format.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from hearaudiomlp.audio.containers.pcm_layout import (
    WAV_ADPCM,
    WAV_ALAW,
    WAV_FLOAT,
    WAV_IMA_ADPCM,
    WAV_PCM,
    WAV_ULAW,
    PcmLayout,
    in_aiff,
    in_au,
    in_caf,
    in_wav,
    wav_codec,
)
from hearaudiomlp.audio.containers.structure import (
    Structure,
    another,
    parts,
    promises,
    read_at,
    size_of,
    undescribed,
)

_UNKNOWN = 0x7FFFF000
"""Sizes from here on stand for "unknown" in files that were written to a pipe."""

_WRAP = 1 << 32

_LOOK = 1 << 16
"""Bytes that are looked at before and behind a place."""

_TAGS = frozenset(
    b"LIST list INFO id3 ID3 bext iXML axml chna cue plst smpl inst acid fact PEAK levl JUNK junk "
    b"PAD pad FLLR filr DISP afsp _PMX aXML cart minf elm1 regn umid note labl ltxt strc SAUR R64m "
    b"ds64 MD5 ubxt link CSET Fake SyLp AFAn LGWV wamd guan".split(b" ")
)
"""Chunks that may be behind the samples; shorter names are without their spaces here."""

_LIBSNDFILE = (WAV_PCM, WAV_ADPCM, WAV_FLOAT, WAV_ALAW, WAV_ULAW, WAV_IMA_ADPCM)
"""Codecs of WAV that libsndfile reads. Of MP3 it reads a part, and GSM 6.10 it distorts."""


_NO_SAMPLES = "it ends before its samples"


def _chunks(
    file: BinaryIO, at: int, length: int, order: str = "<"
) -> Iterator[tuple[bytes, int, int]]:
    """Give name, start of the content and size of each chunk."""
    for _ in parts("chunks"):
        if at + 8 > length:
            return
        name, size = struct.unpack(f"{order}4sI", read_at(file, at, 8))
        yield name, at + 8, size
        at += 8 + size + size % 2


def _is_named(name: bytes) -> bool:
    """Whether four bytes may be the name of a chunk, or begin a tag of another kind."""
    return name.startswith((b"TAG", b"ID3")) or (name.isascii() and name.decode().isprintable())


def _are_chunks(file: BinaryIO, at: int, length: int, order: str = "<") -> bool:
    """Whether nothing but chunks, tags or zeros is from here to the end."""
    if at >= length:
        return True
    head = read_at(file, at, 8)
    if head[:3] in (b"TAG", b"ID3") or head == b"APETAGEX":
        return True
    if not any(head) and not any(read_at(file, at, min(length - at, 1 << 24))):
        return True
    for name, start, size in _chunks(file, at, length, order):
        if not (name.rstrip() in _TAGS or (_is_named(name) and start + size <= length)):
            return False  # a tag may be cut off: nothing of the sound is missing
        if name in (b"RIFF", b"RF64", b"FORM", b"data"):
            return False
    return True


def _ends_with_chunks(file: BinaryIO, end: int, length: int, order: str = "<") -> bool:
    """Whether chunks come behind samples that end here, with or without a byte between."""
    return _are_chunks(file, end, length, order) or (
        end % 2 == 1 and _are_chunks(file, end + 1, length, order)
    )


def _go_on(file: BinaryIO, start: int, end: int, length: int, layout: PcmLayout) -> bool:
    """Whether what is behind the samples may be samples.

    Text, archives and pictures that somebody appended are near full scale (RMS 0.5), as samples.
    """
    before = layout.rms(read_at(file, max(start, end - _LOOK), min(end - start, _LOOK)))
    behind = layout.rms(read_at(file, end, min(length - end, _LOOK)))
    if before is None or behind is None:
        return True
    return bool(behind < max(0.3, 2 * before))


def _no_sound(count: int) -> str:
    return f"the {count:,} bytes behind its samples are no sound and were left out"


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
        return Structure("WAV", missing=_NO_SAMPLES)
    left = length - start
    if long_size is not None and (head[:4] != b"RIFF" or size == 0xFFFFFFFF):
        # A recorder that was killed before it wrote the long size leaves 0.
        size = 0xFFFFFFFF if long_size in (0, (1 << 64) - 1) else long_size
        long_size = None if size == 0xFFFFFFFF else long_size
    layout = in_wav(form, order)
    media = bool(form) and wav_codec(form, order) not in _LIBSNDFILE
    whole = Structure("WAV", media=media)
    if order == ">" and form:
        if layout is None:
            return Structure("RIFX")
        whole = Structure("WAV", raw=layout.within(start, size))  # for extensible headers
    if size > left:
        if size >= _UNKNOWN and long_size is None:
            # libsndfile takes such sizes for that of the rest, but not in RF64, RIFX or over 2 GiB.
            if layout is None:
                return replace(whole, open_end=True)
            if left < _UNKNOWN and head[:4] == b"RIFF":
                return whole
            return Structure("WAV", raw=layout.within(start, left))
        if size - left <= start and riff_end in (length, length - 1):
            return whole  # its size counts the header too
        return Structure("WAV", media=media, missing=promises(start + size, length))
    end = start + size
    if _ends_with_chunks(file, end, length, order):
        return whole
    behind = length - end
    following = read_at(file, end + end % 2, 4)
    if following == b"data":
        missing = f"more samples follow in a second chunk: {behind:,} bytes"
        return Structure("WAV", media=media, missing=missing)
    if following in (b"RIFF", b"RF64"):
        return Structure("WAV", media=media, missing=another(behind))
    if layout is None:
        return Structure("WAV", media=media, missing=undescribed(behind))
    if (true := _true_size(file, start, size, length)) is not None:
        left = true
    elif size and not _go_on(file, start, end, length, layout):
        return Structure("WAV", note=_no_sound(behind))
    # A size that wrapped round, or of a recorder that never came to write it: all is there.
    return Structure("WAV", raw=layout.within(start, left))


def wave64(file: BinaryIO) -> Structure:
    """Look at a Wave64 file.

    Examples:
        >>> import io
        >>> wave64(io.BytesIO(b"riff" + bytes(60))).missing
        'it ends before its samples'
    """
    at, layout = 40, None
    for _ in parts("chunks"):
        head = read_at(file, at, 24)
        if len(head) < 24:
            break
        size = int.from_bytes(head[16:24], "little")
        if head[:4] == b"fmt ":
            layout = in_wav(read_at(file, at + 24, min(max(0, size - 24), 40)))
        elif head[:4] == b"data":
            return _one_chunk("Wave64", file, at + 24, size - 24, layout)
        at += max(24, size + -size % 8)
    return Structure("Wave64", missing=_NO_SAMPLES)


def _one_chunk(  # noqa: PLR0911 - a case a return
    kind: str, file: BinaryIO, start: int, size: int, layout: PcmLayout | None
) -> Structure:
    """Compare the size of the samples with that of the file.

    Args:
        kind: name of the format.
        file: an open file.
        start: where the samples start.
        size: their bytes, as the header says; negative, where it leaves that open.
        layout: of PCM samples.
    """
    length = size_of(file)
    end = start + size
    if size < 0 or size >= 1 << 62:
        return Structure(kind, raw=layout and layout.within(start, length - start))
    if end > length:
        return Structure(kind, missing=promises(end, length))
    magic = read_at(file, 0, 4)
    for place in (end, end + 1):
        if 0 < place < length and read_at(file, place, 4) == magic:
            return Structure(kind, missing=another(length - place))
    behind = length - end
    # Of a Wave64, libsndfile takes float in an extensible header for integers, and what is behind
    # the samples for more of them.
    exact = layout.within(start, size) if layout and kind == "Wave64" else None
    order = "<" if kind == "Wave64" else ">"
    if _ends_with_chunks(file, end, length, order) or _is_wave64_chunk(file, end + -end % 8):
        return Structure(kind, raw=exact)
    if layout is None:
        return Structure(kind, missing=undescribed(behind))
    if size and not _go_on(file, start, end, length, layout):
        return Structure(kind, note=_no_sound(behind), raw=exact)
    return Structure(kind, raw=layout.within(start, length - start))


def _is_wave64_chunk(file: BinaryIO, at: int) -> bool:
    """Whether a chunk of Wave64 starts here: its name is a UUID of version 1, in 16 bytes."""
    head = read_at(file, at, 24)
    size = int.from_bytes(head[16:24], "little")
    return len(head) == 24 and head[7] >> 4 == 1 and 24 <= size <= size_of(file) - at


def aiff(file: BinaryIO) -> Structure:
    r"""Look at an AIFF or AIFF-C file.

    Examples:
        >>> import io
        >>> aiff(io.BytesIO(b"FORM\0\0\0\x1eAIFFSSND\0\0\0\x10")).missing
        'its header promises 36 bytes and there are 20'
    """
    length = size_of(file)
    common, samples = b"", None
    for name, start, size in _chunks(file, 12, length, ">"):
        if name == b"COMM":
            common = read_at(file, start, min(size, 22))
        elif name == b"SSND":
            samples = start + 8, max(0, size - 8)
        if common and samples:
            break
    if samples is None:
        return Structure("AIFF")
    start, size = samples
    return _one_chunk("AIFF", file, start, -1 if size >= _UNKNOWN else size, in_aiff(common))


def au(file: BinaryIO) -> Structure:
    """Look at a Sun AU file.

    Examples:
        >>> import io
        >>> au(io.BytesIO(struct.pack(">4sII", b".snd", 24, 1000))).missing
        'its header promises 1,024 bytes and there are 12'
    """
    offset, size = struct.unpack(">II", read_at(file, 4, 8).ljust(8, b"\0"))
    return _one_chunk("AU", file, offset, -1 if size >= _UNKNOWN else size, in_au(file))


def caf(file: BinaryIO) -> Structure:
    """Look at a Core Audio file. Size -1 stands for "unknown".

    Examples:
        >>> import io
        >>> caf(io.BytesIO(struct.pack(">8s4sq", b"caff", b"data", 1000))).missing
        'its header promises 1,020 bytes and there are 20'
    """
    length = size_of(file)
    at, layout, had_samples = 8, None, False
    for _ in parts("chunks"):
        if at + 12 > length:
            break
        name, size = struct.unpack(">4sq", read_at(file, at, 12))
        if had_samples and any(name) and not _is_named(name):
            return Structure("CAF", missing=undescribed(length - at))
        had_samples = had_samples or name == b"data"
        if name == b"caff":
            return Structure("CAF", missing=another(length - at))
        if name == b"desc":
            layout = in_caf(read_at(file, at + 12, min(max(0, size), 32)))
        if name == b"data" and (size <= 0 or at + 12 + size > length):
            # Four bytes before the samples count edits.
            return _one_chunk("CAF", file, at + 16, size - 4, layout)
        at += 12 + max(0, size)
    return Structure("CAF")


def avi(file: BinaryIO) -> Structure:
    """Look whether the frames of a film are all there; its index behind them isn't needed.

    Examples:
        >>> import io
        >>> film = struct.pack("<4sI4s4sI4s", b"RIFF", 1000, b"AVI ", b"LIST", 900, b"movi")
        >>> avi(io.BytesIO(film)).missing
        'its header promises 920 bytes and there are 24'
    """
    length = size_of(file)
    at, missing = 0, _NO_SAMPLES
    for _ in range(10_000):
        head = read_at(file, at, 12)
        if len(head) < 12:
            break
        name, size, kind = struct.unpack("<4sI4s", head)
        if name == b"RIFF":  # its parts of over 2 GB follow one another, too
            at += 12
            continue
        if kind == b"movi":
            missing = ""
            if at + 8 + size > length and size < _UNKNOWN:
                missing = promises(at + 8 + size, length)
                break
        at += 8 + size + size % 2
    return Structure("AVI", media=True, missing=missing)
