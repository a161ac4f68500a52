"""Scene embeddings read back from the tables that ``hearaudiomlp embed`` writes, piece by piece.

A table may come from anyone. Types and sizes are compared with what an embedding can be before any
values are read, so a small file can't unfold to gigabytes.
"""

import csv
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hearaudiomlp._text import printable, shorten
from hearaudiomlp._types import Floats
from hearaudiomlp.errors import EmbeddingFileError
from hearaudiomlp.storage.ownership import read_sealed
from hearaudiomlp.table.readers import find_reader
from hearaudiomlp.table.records import read_records

MAX_VALUES = 1 << 26
"""Numbers that :func:`read_embeddings` reads at most: 65,000 embeddings of kwmlp, 42,000 of
audiomae."""

NONE = "has no scene embeddings"


class TableRow(NamedTuple):
    """What a row of a table is of.

    Examples:
        >>> TableRow(1, "b.wav", start=3.0, end=6.0, channel=None).path
        'b.wav'
    """

    row: int
    """Its number in the table, from 0."""

    path: str
    """Of the recording, as the table has it."""

    start: float | None
    """Seconds from the start of the recording to that of the segment; None for a whole one."""

    end: float | None
    """Seconds from the start of the recording to the end of the segment; None for a whole one."""

    channel: int | None
    """The channel, from 1; None for the average of all."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, one after the other.

    Examples:
        >>> rows = Rows(10, np.zeros((2, 1024), np.float32), {"path": ["a.wav", "b.wav"]})
        >>> len(rows), rows.at(1).row, rows.at(1).path
        (2, 11, 'b.wav')
    """

    first: int
    """Number of the first one, from 0."""

    scenes: Floats
    """Their scene embeddings [shape=(n, scene_embedding_size)]."""

    columns: Mapping[str, Any]
    """What the table has of ``path``, ``start``, ``end``, ``channel``, ``model`` and
    ``checkpoint_sha256``: sequences of n, or one value for all."""

    def __len__(self) -> int:
        return len(self.scenes)

    def path(self, index: int) -> str:
        """Return the path of the recording of one of these rows."""
        return str(self.columns["path"][index])

    def at(self, index: int) -> TableRow:
        """Return what one of these rows is of."""

        def number(name: str) -> float | None:
            return float(self.columns[name][index]) if name in self.columns else None

        channel = number("channel")
        return TableRow(
            self.first + index,
            self.path(index),
            number("start"),
            number("end"),
            int(channel) if channel else None,
        )


class SceneTable:
    """The scene embeddings of a table of any format and length, in constant memory.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scenes = np.eye(2, 1024, dtype=np.float32)
        ...     np.savez(f"{folder}/t.npz", paths=["a.wav", "b.wav"], scene_embeddings=scenes)
        ...     table = SceneTable(f"{folder}/t.npz")
        ...     [(rows.at(1), rows.scenes.shape) for rows in table.rows()]
        [(TableRow(row=1, path='b.wav', start=None, end=None, channel=None), (2, 1024))]
        >>> table.size, table.count
        (1024, 2)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the table and look at its first rows.

        Args:
            path: an .npz, .npy, .hdf5, .jsonl or .parquet file, or a folder of .parquet files.

        Raises:
            EmbeddingFileError: there are no scene embeddings in it, or it can't be read.
            MissingPackageError: Parquet needs pyarrow, and HDF5 h5py.
            FileNotFoundError: there is no such file.
        """
        self.path = Path(path)
        """Of the table."""
        self.model = self.checkpoint_sha256 = ""
        """Encoder, and SHA-256 of its weights; empty, if the table doesn't have them."""
        self.size = self.count = 0
        """Values of an embedding, and rows; the latter is known when all have been read."""
        if not self.path.exists():
            raise FileNotFoundError(2, os.strerror(2), str(path))
        with _explained(self.path):
            self._read = find_reader(self.path)
            _compare_with_report(self.path)
            for rows in self.rows():
                self.size = rows.scenes.shape[1]
                self.model, self.checkpoint_sha256 = _weights(rows.columns)
                break
            else:
                raise EmbeddingFileError(f"{printable(path)}: {NONE}")

    def rows(self) -> Iterator[Rows]:
        """Read all rows, in pieces of about a thousand.

        Raises:
            EmbeddingFileError: the table is damaged, has NaN or infinity in it, or embeddings of
                several sizes or weights.
        """
        first = 0
        with _explained(self.path):
            for columns, scenes in self._read(self.path):
                rows = self._checked(first, columns, scenes)
                if len(rows):
                    yield rows
                first += len(rows)
        self.count = first

    def _checked(self, first: int, columns: Mapping[str, Any], scenes: Any) -> Rows:
        if scenes.dtype.kind != "f" or scenes.dtype.itemsize > 8 or scenes.ndim != 2:
            raise ValueError(NONE)
        if self.size and scenes.shape[1] != self.size:
            raise ValueError("has scene embeddings of several sizes")
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.ascontiguousarray(scenes, np.float32)
            # One product is quicker than a look at each number; it may overflow all the same.
            if not (np.isfinite(np.vdot(values, values)) or np.isfinite(values).all()):
                raise ValueError("has NaN or infinity among its embeddings")
        if self.size and _weights(columns) != (self.model, self.checkpoint_sha256):
            raise ValueError("has embeddings of several weights")
        numbers = {
            name: np.asarray(columns[name], np.float64)
            for name in ("start", "end", "channel")
            if name in columns
        }
        if not all(
            one.shape == (len(values),) and np.isfinite(one).all() for one in numbers.values()
        ):
            raise ValueError("has a start, an end or a channel that is no number")
        return Rows(first, values, dict(columns) | numbers)


def _compare_with_report(path: Path) -> None:
    """Refuse a table of another size than its report states: lines that lack leave no other trace.

    A table without a report, or with one that isn't ours, is read as it is.
    """
    report = path.with_name(f"{path.name}.report.json")
    if not report.is_file() or path.is_dir():  # of folders, the mark in them is looked at
        return
    with report.open("rb") as file:
        facts = read_sealed(file) or {}
    try:
        size, _ = read_records(facts.get("outputs"))[path.name]
    except (ValueError, KeyError):
        return
    if path.stat().st_size != size:
        raise ValueError(
            f"has another size than when embed wrote it; if that is meant, remove {report.name}"
        )


def _weights(columns: Mapping[str, Any]) -> tuple[str, str]:
    """Return the encoder and the SHA-256 of its weights, where all rows have the same."""
    found = []
    for name in ("model", "checkpoint_sha256"):
        values = columns.get(name, "")
        different = {values} if isinstance(values, str) else set(values)
        if len(different) > 1:
            raise ValueError("has embeddings of several weights")
        found.append(str(next(iter(different), "")))
    return found[0], found[1]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise an EmbeddingFileError for whatever reading may end in."""
    name = printable(path)
    try:
        yield
    except (EmbeddingFileError, ImportError):
        raise
    except KeyError as problem:
        raise EmbeddingFileError(f"{name}: {NONE} ({shorten(problem, 200)})") from None
    except (ValueError, TypeError, OSError, EOFError, RuntimeError, ArithmeticError) as problem:
        raise EmbeddingFileError(f"{name}: {shorten(problem, 300)}") from problem
    except (zipfile.BadZipFile, zlib.error, csv.Error, MemoryError) as problem:
        raise EmbeddingFileError(f"{name}: can't be read ({shorten(problem, 200)})") from problem


def read_embeddings(path: str | os.PathLike[str]) -> tuple[list[str], Floats]:
    """Read paths and scene embeddings from what ``hearaudiomlp embed`` wrote, all at once.

    Args:
        path: of a table of any format.

    Returns:
        The paths, and the embeddings [shape=(n, scene_embedding_size)].

    Raises:
        EmbeddingFileError: there are no scene embeddings in it, more than :data:`MAX_VALUES`, or
            it can't be read.
        MissingPackageError: Parquet needs pyarrow, and HDF5 h5py.
        FileNotFoundError: there is no such file.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scenes = np.zeros((2, 1024), np.float32)
        ...     np.savez(f"{folder}/t.npz", paths=["a.wav", "b.wav"], scene_embeddings=scenes)
        ...     paths, found = read_embeddings(f"{folder}/t.npz")
        >>> paths, found.shape
        (['a.wav', 'b.wav'], (2, 1024))
    """
    paths: list[str] = []
    parts: list[Floats] = []
    letters = 0
    for rows in SceneTable(path).rows():
        paths += (rows.path(index) for index in range(len(rows)))
        parts.append(rows.scenes)
        letters += sum(map(len, paths[rows.first :]))
        if len(paths) * rows.scenes.shape[1] > MAX_VALUES or letters > MAX_VALUES:
            raise EmbeddingFileError(
                f"{printable(path)}: has more than the {MAX_VALUES:,} numbers, or letters of "
                "paths, that can be read at once: take a part of the table"
            )
    return paths, np.concatenate(parts)
