"""Containers of sound and pictures, which FFmpeg reads: are they as long as they say?

FFmpeg reads what is left of a file that was cut off and ends without an error. Sizes are looked up
where the formats keep them: ISO 14496-12 (MP4, MOV, M4A, 3GP), RFC 8794 (Matroska, WebM) and
Microsoft's Advanced Systems Format (WMA).
"""

from typing import BinaryIO

from hearaudiomlp.audio.containers.structure import Structure, another, promises, read_at, size_of

_SEGMENT, _CLUSTER, _EBML = 0x18538067, 0x1F43B675, 0x1A45DFA3
_KNOWN = frozenset(
    (
        # Segment, Cluster, SeekHead, Info, Tracks, Cues, Chapters, Attachments, Tags
        *(_SEGMENT, _CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770),
        *(0x1941A469, 0x1254C367),
        # Void, CRC-32; in clusters: Timestamp, SimpleBlock, BlockGroup, PrevSize, Position ...
        *(0xEC, 0xBF, 0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF),
    )
)
"""Elements of a Segment and of a Cluster (RFC 9559)."""
_MANY, _LEAST = 100_000, 5
"""Of so many elements, the average has so many bytes, even with one block to a cluster."""
_FILE_PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")


def mp4(file: BinaryIO) -> Structure:
    r"""Go through the outermost boxes of an MP4 file.

    Examples:
        >>> import io
        >>> mp4(io.BytesIO(b"\0\0\0\x10ftypM4A \0\0\0\0")).missing
        "its index (the box moov) isn't there"
    """
    length = size_of(file)
    at, previous = 0, b""
    index = False
    missing = ""
    while at + 8 <= length:
        head = read_at(file, at, 16)
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:  # up to the end
            size = length - at
        if size < 8 or not name.strip(b"\0"):
            break  # what is behind the boxes is no box
        if name == b"ftyp" and at and index:
            missing = another(length - at)
            break
        index = index or name == b"moov"
        if at + size > length:  # others have no sound, or are what is behind the last box
            if name in (b"mdat", b"moov", b"moof", b"ftyp"):
                missing = promises(at + size, length)
            break
        previous, at = name, at + size
    if previous == b"moof" and not missing:
        missing = "the samples of its last fragment aren't there"
    if not index:
        missing = f"its index (the box moov) isn't there{'; ' if missing else ''}{missing}"
    brand = read_at(file, 8, 3)
    kind = "M4A" if brand == b"M4A" else "3GP" if brand[:2] == b"3g" else "MP4"
    return Structure(kind, media=True, missing=missing)


def _number(data: bytes, keep_marker: bool) -> tuple[int, int]:
    """Read a number of variable length; return it and its bytes. Unknown sizes are -1."""
    if not data or not data[0]:
        return 0, 0
    width = 9 - data[0].bit_length()
    if len(data) < width:
        return 0, 0
    value = int.from_bytes(data[:width], "big")
    if keep_marker:
        return value, width
    value &= (1 << 7 * width) - 1
    return (-1 if value == (1 << 7 * width) - 1 else value), width


def matroska(file: BinaryIO) -> Structure:  # noqa: C901 - a parser
    r"""Go through the elements of a Matroska or WebM file, into those of unknown size.

    Raises:
        ValueError: it consists of elements with next to nothing in them.

    Examples:
        >>> import io
        >>> segment = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x90"  # of 16 bytes
        >>> matroska(io.BytesIO(segment)).missing
        'its header promises 26 bytes and there are 10'
    """
    length = size_of(file)
    at, missing, end, count = 0, "", 1 << 62, 0
    while at < length:
        count += 1
        if count > _MANY and at < _LEAST * count:
            raise ValueError(f"it consists of over {_MANY:,} elements with next to nothing in them")
        head = read_at(file, at, 12)
        name, width = _number(head, keep_marker=True)
        size, more = _number(head[width:], keep_marker=False)
        if not width or not more:
            if length - at < 12 and any(head):
                missing = "its last element isn't whole"
            break
        if at and name not in _KNOWN:
            if name == _EBML:
                missing = another(length - at)
            elif at < end:
                rest = read_at(file, at, 1 << 16)
                if any(rest) and not rest.startswith((b"TAG", b"ID3", b"APE")):
                    missing = f"it is damaged from byte {at:,} on"
            break
        at += width + more
        if name == _SEGMENT and size >= 0:
            end = at + size
            if end > length:
                missing = promises(end, length)
                break
        if name in (_SEGMENT, _CLUSTER) or size < 0:
            continue  # what is in it comes next
        if at + size > length:
            missing = promises(at + size, length)
            break
        at += size
    return Structure("Matroska", media=True, missing=missing)


def asf(file: BinaryIO) -> Structure:
    """Look up the size of a WMA file in its header.

    Examples:
        >>> import io
        >>> asf(io.BytesIO(bytes(30))).kind
        'WMA'
    """
    length = size_of(file)
    header = read_at(file, 0, 30)
    end = min(int.from_bytes(header[16:24], "little"), length)
    at = 30
    missing = ""
    while at + 24 <= end:
        head = read_at(file, at, 104)
        size = int.from_bytes(head[16:24], "little")
        if head[:16] == _FILE_PROPERTIES:
            promised, flags = int.from_bytes(head[40:48], "little"), head[88:89]
            live = (flags or b"\0")[0] & 1  # whose header was written before its end was known
            if promised > length and not live:
                missing = promises(promised, length)
            elif promised and read_at(file, promised, 16) == header[:16] and not live:
                missing = another(length - promised)
            break
        at += max(size, 24)
    return Structure("WMA", media=True, missing=missing)
