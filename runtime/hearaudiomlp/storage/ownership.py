"""The one rule of writing: create, replace and remove only what provably is our own.

The proof is one of these, in this order:

- the file isn't there yet;
- it has the size and SHA-256 that the report of the run that wrote it has on record;
- it has our mark in it: the formats that have a place for metadata carry it. A page (Markdown,
  HTML, SVG), which people edit, also has its SHA-256 in it; a model replaces only a model;
- a folder has a mark file, which lists what was written, and nothing else is in the folder.

Everything else is refused with its path. The user may allow an ordinary file to be replaced
(``--overwrite``): never a folder, link, device or pipe, and never a file that is being read.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import IO, Any

from hearaudiomlp.errors import OutputExistsError
from hearaudiomlp.storage.remote import local_path

MARK = "hearaudiomlp:5c1f7a90e2b84d63"
"""What the outputs of this package carry."""

_MODEL_MARK = b"\x0a\x13hearaudiomlp_format"
"""An entry of this name in the metadata of an ONNX file, as protobuf."""

MARK_FILE = ".hearaudiomlp.json"
"""Name of the file that says that a folder is ours."""

_ENDS = 1 << 16
"""Bytes at the beginning and at the end of a file that are searched for the mark."""

LARGEST_SEALED = 1 << 28
"""Bytes of the largest sealed file that is read."""

_FEW_VALUES = 4_000_000
"""Values in a sealed file of any size. In larger ones they have twelve bytes at least, as ours do:
a list of two bytes is one of seventy in memory."""

_PAGE_MARK = re.compile(rb"<!-- " + MARK.encode() + rb" ([0-9a-f]{64}) -->\n\Z")

_SEAL = re.compile(rb'(?:, |,\n )"sha256": "([0-9a-f]{64})"\n?\}\n\Z')


def seal(content: dict[str, Any], indent: int | None = None) -> bytes:
    """Return a JSON object as bytes that :func:`unseal` takes back only if none has changed.

    >>> unseal(seal({"rows": [1, 2]}))
    {'rows': [1, 2]}
    >>> unseal(seal({"rows": [1, 2]}).replace(b"2", b"3")) is None
    True
    """
    body = json.dumps({"made_by": MARK} | content, indent=indent).encode()
    body = body[: body.rindex(b"}")].rstrip()
    separator = b", " if indent is None else b",\n "
    end = b"}" if indent is None else b"\n}"
    digest = hashlib.sha256(body).hexdigest().encode()
    return body + separator + b'"sha256": "' + digest + b'"' + end + b"\n"


def unseal(data: bytes) -> dict[str, Any] | None:
    """Return what was sealed; None, if it is damaged, was edited, or isn't ours.

    Examples:
        >>> unseal(seal({"files": 3}))
        {'files': 3}
    """
    found = _SEAL.search(data, max(0, len(data) - 200))
    if found is None or not is_sealed(data):
        return None
    body = data[: found.start()]
    if sum(map(body.count, (b"{", b"[", b","))) > max(_FEW_VALUES, len(body) // 12):
        return None
    if hashlib.sha256(body).hexdigest().encode() != found[1]:
        return None
    try:
        content: dict[str, Any] = json.loads(body + b"}")
    except (ValueError, RecursionError):  # anybody can make such a seal
        return None
    del content["made_by"]
    return content


def is_sealed(data: bytes) -> bool:
    """Whether this is the beginning of a sealed object, damaged or not.

    Examples:
        >>> is_sealed(seal({"files": 3})[:60]), is_sealed(b'{"files": 3}')
        (True, False)
    """
    return re.match(rb'\{\s*"made_by": "' + MARK.encode() + b'"', data) is not None


def read_sealed(file: IO[bytes]) -> dict[str, Any] | None:
    """Read a sealed object; None, if it is damaged, was edited, or isn't ours.

    Examples:
        >>> import io
        >>> read_sealed(io.BytesIO(seal({"files": 3})))
        {'files': 3}
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return None if size > LARGEST_SEALED else unseal(file.read(size))


def mark_page(page: bytes) -> bytes:
    """Return a page (Markdown, HTML, SVG) with a mark that shows whether it was edited.

    Examples:
        >>> import io
        >>> page = mark_page(b"# Words")
        >>> has_mark(io.BytesIO(page)), has_mark(io.BytesIO(page.replace(b"Words", b"My words")))
        (True, False)
    """
    page = page.rstrip() + b"\n"
    return page + f"<!-- {MARK} {hashlib.sha256(page).hexdigest()} -->\n".encode()


def _is_page_as_written(page: bytes) -> bool:
    found = _PAGE_MARK.search(page, max(0, len(page) - 200))
    if found is None:
        return False
    return hashlib.sha256(page[: found.start()]).hexdigest().encode() == found[1]


def has_mark(file: IO[bytes], *, model: bool = False) -> bool:
    """Whether a file is an output of this package, as far as it can tell by itself.

    Args:
        file: at its beginning.
        model: whether a model file is to be written. Nothing else replaces one.

    Examples:
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     has_mark(file), has_mark(file, model=True)
        (False, True)
    """
    file.seek(0)
    head = file.read(_ENDS)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _ENDS))
    ends = head + file.read(_ENDS)
    if _MODEL_MARK in ends:
        return model
    if MARK.encode() not in ends:
        return False
    if b"\0" in ends or ends.startswith((b"%PDF", b"{")):  # not a page: pictures, tables, reports
        return True
    file.seek(0)
    return size <= LARGEST_SEALED and _is_page_as_written(file.read(size))


def figure_metadata(kind: str) -> dict[str, str | None]:
    """Return the metadata with which ``savefig`` marks a ``png``, ``svg`` or ``pdf`` as ours.

    Nor does it have a date, which says nothing of what is drawn.

    Examples:
        >>> list(figure_metadata("png"))
        ['Software']
    """
    kinds: dict[str, dict[str, str | None]] = {
        "png": {"Software": MARK},
        "svg": {"Creator": MARK, "Date": None},
        "pdf": {"Creator": MARK, "CreationDate": None},
    }
    return kinds[kind]


def describe_kind(path: Path) -> str:
    """Return what a path is if it is anything but an ordinary file; "" if it is one or nothing.

    Examples:
        >>> describe_kind(Path("samples")), describe_kind(Path("samples/words.flac"))
        ('a folder', '')
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "")


def refuse_links_and_devices(path: Path) -> None:
    """Refuse what no output may have the name of.

    Raises:
        OutputExistsError: it is a link, a device, a pipe or a socket.

    Examples:
        >>> refuse_links_and_devices(Path("/dev/null"))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OutputExistsError: /dev/null is a device, ...
    """
    kind = describe_kind(path)
    if kind not in {"", "a folder"}:
        raise OutputExistsError(f"{path} is {kind}, and nothing is written to it: name a file")


def check_output(
    path: Path, *, overwrite: bool = False, inputs: Iterable[str | os.PathLike[str]] = ()
) -> None:
    """Refuse to write a file where that would destroy what isn't ours.

    Args:
        path: the file to be written.
        overwrite: whether an ordinary file may be replaced all the same.
        inputs: what is being read, which is never replaced.

    Raises:
        OutputExistsError: the path is a folder, link or device, or a file that isn't ours.

    Examples:
        >>> check_output(Path("new.npz"))
        >>> check_output(Path("samples/words.flac"))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OutputExistsError: samples/words.flac exists, ...
    """
    refuse_links_and_devices(path)
    if describe_kind(path):
        raise OutputExistsError(f"{path} is a folder: name a file")
    if not path.exists():
        return
    refuse_inputs(path, inputs)
    if overwrite:
        return
    with path.open("rb") as file:
        if not has_mark(file, model=path.suffix.lower() == ".onnx"):
            raise not_ours(path)


def refuse_inputs(path: Path, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse to replace a file that is being read.

    Raises:
        OutputExistsError: it is one of them, under whatever name.

    Examples:
        >>> refuse_inputs(Path("samples/words.flac"), ["samples/../samples/words.flac"])
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OutputExistsError: samples/words.flac is an input ...
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return  # there is nothing to replace
    for name in chain([0], inputs):  # standard input may be a list
        try:
            same = os.path.samestat(status, os.stat(_local(name)))  # noqa: PTH116 - or descriptor
        except (OSError, ValueError):
            continue
        if same:
            raise OutputExistsError(f"{path} is an input of this command: name another file")


def _local(name: int | str | os.PathLike[str]) -> int | str:
    return name if isinstance(name, int) else local_path(os.fspath(name))


def not_ours(path: object) -> OutputExistsError:
    """Return the error for an ordinary file that isn't ours.

    Examples:
        >>> print(not_ours("t.npz"))
        t.npz exists, and nothing shows that this command wrote it: --overwrite replaces it
    """
    return OutputExistsError(
        f"{path} exists, and nothing shows that this command wrote it: --overwrite replaces it"
    )
