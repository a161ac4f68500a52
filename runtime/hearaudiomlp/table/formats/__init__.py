"""The formats of tables, by name."""

from hearaudiomlp.errors import OptionError
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


def find_format(name: str) -> Format:
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
