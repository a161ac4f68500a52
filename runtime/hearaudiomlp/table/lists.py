"""Lists of paths: a path a line, in any encoding that a list may have, from a file or a pipe."""

import codecs
import os
import re
import sys
from collections.abc import Iterator
from itertools import islice

from hearaudiomlp.audio.decoders import open_regular
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError
from hearaudiomlp.storage.remote import local_path

LISTS = frozenset({".txt", ".lst"})
"""Endings of files that name other files."""

LONGEST_LIST = 1 << 28
"""Bytes of a list: a few million paths."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # starts with the mark of UTF-16
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\udc80-\udcff]")


def _text(data: bytes) -> str | None:
    """Decode a list that has a byte order mark, or that is UTF-16 without one; None for others."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    half = len(data) // 2
    for encoding, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if half > 1 and len(data) % 2 == 0 and zeros.count(0) > 0.7 * half:
            return data.decode(encoding)
    return None


def _lines(content: bytes | str, separator: str) -> Iterator[str]:
    """Yield the lines that aren't blank, one after the other: most of a list may be line ends."""
    pattern = f"[^{separator}]+"
    found: Iterator[re.Match[str] | re.Match[bytes]] = (
        re.finditer(pattern, content)
        if isinstance(content, str)
        else re.finditer(pattern.encode(), content)
    )
    for match in found:
        line = os.fsdecode(match[0])
        if separator != "\0":
            line = line.removesuffix("\r")
        if line and not line.isspace():
            yield line


def _named(data: bytes, name: str) -> Iterator[str]:
    """Check a list, and return its paths, made as they are asked for.

    They are one a line, or each is ended by a NUL, as ``find -print0`` does.

    Args:
        data: the list, in UTF-8 or UTF-16, with a byte order mark or without.
        name: of the list, for messages.

    Raises:
        AudioFileError: it is neither, and not the bytes of names of files.
    """
    refusal = f"{name} is no list of paths in UTF-8 or UTF-16"
    if len(data) > LONGEST_LIST:
        raise AudioFileError(f"{name} has over {LONGEST_LIST:,} bytes: does it ever end?")
    try:
        text = _text(data)
    except UnicodeDecodeError as problem:
        raise AudioFileError(refusal) from problem
    if text is None:
        separator = "\0" if b"\0" in data else "\n" if b"\n" in data else "\r"
    else:
        separator = "\n" if "\n" in text else "\r"
    content = data if text is None else text
    # Names of files are any bytes, but other files than lists have more of those.
    odd = list(islice(filter(_NO_TEXT.search, _lines(content, separator)), 1000))
    if odd and not any(map(_exists, odd)):
        raise AudioFileError(refusal)
    return _lines(content, separator)


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(local_path(path))
    except ValueError:  # a NUL in it
        return False


def read_list(path: str) -> Iterator[str]:
    r"""Return the paths of a list, made as they are asked for.

    Raises:
        AudioFileNotFoundError: there is no such file.
        AudioFileError: it is no list, or can't be read.

    Examples:
        >>> with open("list.txt", "w") as file:
        ...     _ = file.write("one.wav\ntwo.flac\n")
        >>> list(read_list("list.txt"))
        ['one.wav', 'two.flac']
    """
    try:
        if os.path.isfile(path) and not os.path.getsize(path):  # noqa: PTH113, PTH202
            return iter(())
        with open_regular(path) as file:
            return _named(file.read(LONGEST_LIST + 1), path)
    except FileNotFoundError:
        raise AudioFileNotFoundError(f"there is no list {path}") from None
    except AudioFileError:
        raise
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise AudioFileError(f"{path}: not a list that can be read ({reason})") from problem


def read_standard_input() -> Iterator[str]:
    """Return the paths of the list on standard input, made as they are asked for.

    Raises:
        AudioFileNotFoundError: standard input is closed.
        AudioFileError: it is no list.

    Examples:
        >>> import io
        >>> before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(b"one.wav"))
        >>> list(read_standard_input())
        ['one.wav']
        >>> sys.stdin = before
    """
    if sys.stdin is None:
        raise AudioFileNotFoundError("standard input is closed: there is no list in it")
    return _named(sys.stdin.buffer.read(LONGEST_LIST + 1), "standard input")
