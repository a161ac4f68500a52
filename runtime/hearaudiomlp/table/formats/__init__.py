"""The formats of tables, by name, and the packages that some of them need."""

from typing import TYPE_CHECKING, Any

from hearaudiomlp.errors import OptionError, needs_extra, require_address_space

if TYPE_CHECKING:  # help texts name the formats, and need nothing else
    from hearaudiomlp.table.formats.base import Format

ENDINGS = {
    ".npz": "npz",
    ".npy": "npy",
    ".parquet": "parquet",
    ".hdf5": "hdf5",
    ".h5": "hdf5",
    ".jsonl": "jsonl",
}
"""Formats by the ending of the table's name."""

FORMATS = tuple(dict.fromkeys(ENDINGS.values()))
"""Names of all formats."""


def load_h5py() -> Any:
    """Import h5py.

    Raises:
        MissingPackageError: it isn't installed.

    Examples:
        >>> load_h5py().__name__
        'h5py'
    """
    with needs_extra("hdf5", "HDF5 needs h5py"):
        import h5py
    return h5py


def load_pyarrow() -> Any:
    """Import pyarrow with its parquet.

    Raises:
        MissingPackageError: it isn't installed.
        MemoryLimitError: it would abort.

    Examples:
        >>> load_pyarrow().parquet.__name__
        'pyarrow.parquet'
    """
    require_address_space(2048, "pyarrow")
    with needs_extra("parquet", "Parquet needs pyarrow"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow


def find_format(name: str) -> "Format":
    """Return a format; what only it needs is imported now.

    Raises:
        OptionError: there is no such format.

    Examples:
        >>> type(find_format("npz")).__name__
        'Npz'
    """
    match name:
        case "npz":
            from hearaudiomlp.table.formats.npz import Npz

            return Npz()
        case "npy":
            from hearaudiomlp.table.formats.npz import Npy

            return Npy()
        case "parquet":
            from hearaudiomlp.table.formats.parquet import Parquet

            return Parquet()
        case "hdf5":
            from hearaudiomlp.table.formats.hdf5 import Hdf5

            return Hdf5()
        case "jsonl":
            from hearaudiomlp.table.formats.jsonl import Jsonl

            return Jsonl()
    raise OptionError(f"format is one of {', '.join(FORMATS)}, not {name!r}")
