"""Containers of sound and pictures, which FFmpeg reads: are they as long as they say?

FFmpeg reads what is left of a file that was cut off and ends without an error. Sizes are looked up
where the formats keep them: ISO 14496-12 (MP4, MOV, M4A, 3GP), RFC 8794 (Matroska, WebM) and
Microsoft's Advanced Systems Format (WMA).
"""

from typing import BinaryIO

from hearaudiomlp.audio.containers.structure import (
    MOST_PARTS,
    Structure,
    another,
    parts,
    promises,
    read_at,
    size_of,
)

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
_LEAST_ELEMENT, _LEAST_BOX = 5, 32
"""Bytes of an average element, even with one block to a cluster, and of a box between fragments:
where there are more than :data:`MOST_PARTS`, they have a little in them on the average."""
_LARGEST_INDEX = 1 << 26
"""Bytes that an index may unfold to: that of a day has 20 MB."""
_FILE_PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")


def _box(file: BinaryIO, at: int, end: int) -> tuple[bytes, int, int]:
    """Return a box's name, the place of its content, and its size; 0, where there is none."""
    head = read_at(file, at, 16)
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    if size == 1:
        return name, at + 16, int.from_bytes(head[8:16], "big")
    return name, at + 8, size or end - at  # 0: up to the end


def _packets_in(file: BinaryIO, box: bytes, at: int, end: int) -> int:
    """Return how many packets a box says it has, if it is a fragment."""
    total = 0
    if box == b"moov":
        _refuse_unfolding(file, at)
    for _ in parts("boxes") if box == b"moof" else ():
        if at + 8 > end:
            break
        name, start, size = _box(file, at, end)
        if name == b"trun":
            total += int.from_bytes(read_at(file, start + 4, 4), "big")
        at = start if name == b"traf" else at + max(8, size)  # what is in a traf comes next
    return total


def _refuse_unfolding(file: BinaryIO, at: int) -> None:
    """Refuse an index that is compressed, as QuickTime can do, to far less than it has."""
    head = read_at(file, at, 32)
    if head[4:8] == b"cmov" and int.from_bytes(head[28:32], "big") > _LARGEST_INDEX:
        raise ValueError("its index unfolds to far more than any index has")


def _refuse_promise(packets: int, length: int) -> None:
    if packets > length:  # FFmpeg makes an entry of 32 bytes for each, before it reads any
        raise ValueError(f"it promises {packets:,} packets in {length:,} bytes")


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
    count = packets = 0
    while at + 8 <= length:
        count += 1
        _refuse_empty("boxes", count, at, _LEAST_BOX)
        name, start, size = _box(file, at, length)
        packets += _packets_in(file, name, start, min(at + size, length))
        _refuse_promise(packets, length)
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


def _refuse_empty(what: str, count: int, size: int, least: int) -> None:
    if count > MOST_PARTS and size < least * count:
        raise ValueError(f"it consists of over {MOST_PARTS:,} {what} with next to nothing in them")


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
        _refuse_empty("elements", count, at, _LEAST_ELEMENT)
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
    for _ in parts("objects"):
        if at + 24 > end:
            break
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
