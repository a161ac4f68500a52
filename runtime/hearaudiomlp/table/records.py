"""What sealed files have to look like: anybody can seal one, so a seal proves no more than care."""

import os
import re
from pathlib import PurePath
from typing import Any, TypeGuard

from hearaudiomlp.storage.atomic import FileRecord

Records = dict[str, FileRecord]
"""Sizes and digests by names."""

_DIGEST = re.compile("(?:[0-9a-f]{64})?")  # none, where a file would have to be fetched for it


def is_count(value: Any) -> TypeGuard[int]:
    """Whether this is a number of files, rows or bytes.

    Examples:
        >>> is_count(3), is_count(-1), is_count(True), is_count("3")
        (True, False, False, False)
    """
    return type(value) is int and 0 <= value < 1 << 63


def is_relative(name: Any) -> bool:
    """Whether this names a file below any folder, in the one way in which runs write it.

    Examples:
        >>> is_relative("files/part-00000.parquet"), is_relative("../t.npz"), is_relative("a//b")
        (True, False, False)
    """
    if not isinstance(name, str) or "\0" in name:
        return False
    try:
        os.fsencode(name)  # half characters can be written in JSON
    except UnicodeEncodeError:
        return False
    path = PurePath(name)
    plain = not path.anchor and path.as_posix() == name
    return plain and bool(path.parts) and ".." not in path.parts


def read_records(read: Any) -> Records:
    """Return sizes and digests by relative names, from JSON.

    Raises:
        ValueError: they aren't as a run writes them.

    Examples:
        >>> read_records({"t.npz": [3, ""]})
        {'t.npz': (3, '')}
    """
    if not isinstance(read, dict):
        raise ValueError("damaged")
    for name, record in read.items():
        match record:
            case [size, str(digest)] if is_count(size) and _DIGEST.fullmatch(digest):
                pass
            case _:
                raise ValueError("damaged")
        if not is_relative(name):
            raise ValueError("damaged")
    return {name: (size, digest) for name, (size, digest) in read.items()}


def is_fact(value: Any) -> bool:
    """Whether this is a value that a run may depend on, or a flat object of them.

    Examples:
        >>> is_fact({"segment": 0.5}), is_fact([[[]]])
        (True, False)
    """
    inside = value.values() if isinstance(value, dict) else (value,)
    return all(one is None or isinstance(one, str | int | float) for one in inside)
