"""Scene embeddings read back from the tables that ``hearaudiomlp embed`` writes.

A table may come from anyone. Types and sizes are compared with what an embedding can be before any
values are read, so a small file can't unfold to gigabytes.
"""

import math
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import shorten
from hearaudiomlp._types import Floats
from hearaudiomlp.errors import EmbeddingFileError, MissingPackageError

MAX_VALUES = 1 << 26
"""Numbers in a table, at most: 65,000 embeddings of kwmlp, 42,000 of audiomae."""

_MAX_COLUMNS = 1 << 16
_MAX_NAMES = 256 << 20  # bytes of all paths
_MAX_NAME = 1 << 15  # bytes of a path
_ROWS = 1024  # of a Parquet file that are read at a time
_NONE = "has no scene embeddings"


def read_embeddings(path: str | os.PathLike[str]) -> tuple[list[str], Floats]:
    """Read paths and scene embeddings from what ``hearaudiomlp embed`` wrote.

    Args:
        path: an .npz file, a .parquet file, or a folder of .parquet files.

    Returns:
        The paths, and the embeddings [shape=(n, scene_embedding_size)].

    Raises:
        EmbeddingFileError: there are no scene embeddings in it, more than :data:`MAX_VALUES`, or
            it can't be read.
        MissingPackageError: Parquet needs pyarrow.
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
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(2, os.strerror(2), str(path))
    try:
        if source.suffix == ".npz":
            paths, scenes = _read_npz(_ordinary(source))
        elif source.suffix == ".parquet":
            paths, scenes = _read_parquet(source)
        else:
            raise ValueError("embeddings are in .npz or .parquet")
        with np.errstate(over="ignore"):
            scenes = np.asarray(scenes, np.float32)
        if not np.isfinite(scenes).all():
            raise ValueError("has NaN or infinity among its embeddings")
    except KeyError as problem:
        raise EmbeddingFileError(f"{path}: {_NONE} ({shorten(problem, 200)})") from None
    except (ValueError, TypeError, OSError, EOFError, RuntimeError) as problem:
        if isinstance(problem, EmbeddingFileError):
            raise
        raise EmbeddingFileError(f"{path}: {shorten(problem, 300)}") from problem
    except (zipfile.BadZipFile, zlib.error, MemoryError) as problem:
        raise EmbeddingFileError(f"{path}: can't be read ({shorten(problem, 200)})") from problem
    return paths, scenes


def _ordinary(path: Path) -> Path:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for a writer
        raise ValueError("not an ordinary file")
    return path


def _check_size(shape: Sequence[int]) -> None:
    if len(shape) != 2 or not shape[0] or not 1 <= shape[1] <= _MAX_COLUMNS:
        raise ValueError(_NONE)
    if math.prod(shape) > MAX_VALUES:
        raise ValueError(
            f"has {math.prod(shape):,} numbers, more than the {MAX_VALUES:,} that can be read at "
            "once: take a part of the table"
        )


def _read_npz(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        with archive.open("paths.npy") as file:
            shape, order, dtype = _header(file)
            if len(shape) != 1 or dtype.kind != "U" or shape[0] * dtype.itemsize > _MAX_NAMES:
                raise ValueError("its paths are no list of texts")
            paths = _texts(_values(file, shape, order, dtype))
        with archive.open("scene_embeddings.npy") as file:
            shape, order, dtype = _header(file)
            if dtype.kind != "f" or dtype.itemsize > 8 or shape[:1] != (len(paths),):
                raise ValueError(_NONE)
            _check_size(shape)
            return paths, _values(file, shape, order, dtype)


def _texts(values: npt.NDArray[Any]) -> list[str]:
    # numpy ends in a SystemError at what is no character.
    if values.size and values.dtype.itemsize:
        points = values.view(np.dtype("u4").newbyteorder(values.dtype.byteorder))
        if points.max() > sys.maxunicode:
            raise ValueError("its paths are no list of texts")
    found: list[str] = values.tolist()
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # The headers of later versions have a length of four bytes, which numpy reads unseen.
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array in a version of .npy that embed doesn't write")
    try:
        return np.lib.format.read_array_header_1_0(file)
    except Exception as problem:  # it parses Python, and lets through what the parser raises
        raise ValueError(f"an array whose header can't be read ({shorten(problem)})") from problem


def _values(
    file: IO[bytes], shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    size = math.prod(shape) * dtype.itemsize
    data = file.read(size) if size else b""
    if len(data) != size:
        raise ValueError("an array that was cut off")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _read_parquet(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as problem:
        raise MissingPackageError(
            f"reading Parquet needs pyarrow ({problem}): pip install 'hearaudiomlp[parquet]'"
        ) from problem
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    paths: list[str] = []
    parts: list[npt.NDArray[Any]] = []
    letters = 0
    try:
        for file in files:
            _check_parquet(parquet.ParquetFile(_ordinary(file)))
            # Paths stay encoded as they are stored: one may stand for a million rows.
            opened = parquet.ParquetFile(file, read_dictionary=["path"])
            for names, scenes in _batches(opened):
                paths += names
                parts.append(scenes)
                letters += sum(map(len, names))
                if letters > _MAX_NAMES // 4:
                    raise ValueError("has paths of more characters than can be read")
                if {part.shape[1] for part in parts[-2:]} != {scenes.shape[1]}:
                    raise ValueError("has scene embeddings of several sizes")
                _check_size((len(paths), scenes.shape[1]))
    except ArrowException as problem:  # some are ValueErrors, some are not
        raise ValueError(f"{_NONE} ({shorten(problem, 200)})") from problem
    if not paths:
        raise ValueError(_NONE)
    return paths, np.concatenate(parts)


def _check_parquet(file: Any) -> None:
    """Compare types and declared sizes with what a table of embeddings can have."""
    from pyarrow import types

    schema = file.schema_arrow
    name, scene = schema.field("path").type, schema.field("scene_embedding").type
    if types.is_dictionary(name):
        name = name.value_type
    is_list = any(
        check(scene) for check in (types.is_list, types.is_large_list, types.is_fixed_size_list)
    )
    if not (types.is_string(name) or types.is_large_string(name)):
        raise ValueError("its paths are no texts")
    if not is_list or not types.is_floating(scene.value_type):
        raise ValueError(_NONE)
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    # Equal values are stored once, so gigabytes of them can be a small file.
    values = sum(
        one.num_values for one in chunks if one.path_in_schema.startswith("scene_embedding.")
    )
    _check_size((max(file.metadata.num_rows, 1), 1))
    if values > MAX_VALUES:
        raise ValueError(f"has {values:,} numbers, more than the {MAX_VALUES:,} that can be read")


def _batches(file: Any) -> Iterator[tuple[list[str], npt.NDArray[Any]]]:
    """Give paths and embeddings of a Parquet file, some rows at a time."""
    from pyarrow import compute

    for batch in file.iter_batches(_ROWS, columns=["path", "scene_embedding"]):
        names, column = batch.column("path"), batch.column("scene_embedding")
        longest = compute.max(compute.binary_length(names.dictionary)).as_py() or 0
        if longest > _MAX_NAME:
            raise ValueError(f"has a path of {longest:,} characters")
        sizes = set(column.value_lengths().to_pylist()) if len(column) else {1}
        values = column.flatten()
        if names.null_count or values.null_count or len(sizes) != 1 or None in sizes:
            raise ValueError("has rows without a path or an embedding, or of several sizes")
        shape = len(column), sizes.pop()
        if len(column):
            _check_size(shape)
            yield names.to_pylist(), values.to_numpy(zero_copy_only=False).reshape(shape)
