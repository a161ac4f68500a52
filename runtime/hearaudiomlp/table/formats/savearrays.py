"""Arrays into an ``.npy`` or ``.npz``, in pieces: they may be larger than memory."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

_Array = np.ndarray[Any, Any]
Member = tuple[str, tuple[int, ...], Iterable[_Array], Any]
"""Name, shape, rows in pieces, and dtype of an array."""


class Writable(Protocol):
    """What an array is written to."""

    def write(self, data: Any, /) -> object:
        """Take the next bytes."""


def write_array(file: Writable, member: Member) -> None:
    """Write one array whose rows come in pieces, as numpy.save would."""
    _, shape, chunks, dtype = member
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for chunk in chunks:
        file.write(np.ascontiguousarray(chunk, dtype).data)


def npy_head_size(member: Member) -> int:
    """Return how many bytes come before the rows of an ``.npy``."""
    buffer = io.BytesIO()
    write_array(buffer, (*member[:2], (), member[3]))
    return buffer.tell()


def _write_member(archive: zipfile.ZipFile, member: Member) -> None:
    """Write one array as numpy.savez would."""
    info = zipfile.ZipInfo(f"{member[0]}.npy")  # its date is fixed, so equal runs give equal bytes
    with archive.open(info, "w", force_zip64=True) as file:
        write_array(file, member)


def npz_head_size(member: Member) -> int:
    """Return how many bytes come before the rows of the first array of an ``.npz``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _write_member(archive, (*member[:2], (), member[3]))
        return buffer.tell()


def write_members(file: io.BufferedIOBase, members: Iterable[Member]) -> None:
    """Write arrays whose rows come in pieces to an ``.npz``, in this order."""
    with zipfile.ZipFile(file, "w") as archive:
        for member in members:
            _write_member(archive, member)
