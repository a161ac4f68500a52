"""Arrays into an ``.npz``, in pieces: they may be larger than memory."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]
Member = tuple[str, tuple[int, ...], Iterable[_Array], Any]
"""Name, shape, rows in pieces, and dtype of an array."""


def _write_member(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    chunks: Iterable[_Array],
    dtype: Any,
) -> None:
    """Write one array whose rows come in pieces, as numpy.savez would."""
    member = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed, so equal runs give equal bytes
    with archive.open(member, "w", force_zip64=True) as file:
        description = np.lib.format.dtype_to_descr(np.dtype(dtype))
        header = {"descr": description, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype).data)


def write_members(file: io.BufferedIOBase, members: Iterable[Member]) -> None:
    """Write arrays whose rows come in pieces to an ``.npz``, in this order."""
    with zipfile.ZipFile(file, "w") as archive:
        for member in members:
            _write_member(archive, *member)
