"""A reader for each format of tables: columns and scene embeddings, some rows at a time.

They raise what their libraries do; :mod:`hearaudiomlp.table.scenes` explains it.
"""

import csv
import io
import json
import math
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import shorten
from hearaudiomlp.storage.ownership import MARK_FILE, read_sealed
from hearaudiomlp.table.formats import ENDINGS, load_h5py, load_pyarrow
from hearaudiomlp.table.hdf5_texts import TextHeaps

Columns = dict[str, Any]
"""Sequences, one value a row, or one text for all; see :class:`hearaudiomlp.table.scenes.Rows`."""

Reader = Callable[[Path], Iterator[tuple[Columns, npt.NDArray[Any]]]]

NAMES = ("path", "start", "end", "channel", "model", "checkpoint_sha256")
"""Columns that are read, where a table has them."""

_TEXTS = ("path", "model", "checkpoint_sha256")
"""Those of them that are texts; the others are numbers."""

_ROWS = 1024
_MAX_COLUMNS = 1 << 13
_MAX_NAME = 1 << 15  # characters of a path
_MAX_LINE = 1 << 21  # bytes of a line of JSON, but for its timestamp embeddings
_MAX_DIRECTORY = 1 << 20  # bytes of the directory of a zip file: thousands of members
_MAX_CHUNK = 1 << 28  # bytes of a column in a row group of Parquet, uncompressed
_MAX_CSV_LINE = 1 << 18  # characters of a line of CSV
_NONE = "has no scene embeddings"
_NO_NAMES = "its paths are no list of texts"


def find_reader(path: Path) -> Reader:
    """Return the reader of a table, by the ending of its name.

    Raises:
        ValueError: none reads such a table.

    Examples:
        >>> np.savez("t.npz", paths=["a.wav"], scene_embeddings=np.zeros((1, 1024), np.float32))
        >>> [scenes.shape for columns, scenes in find_reader(Path("t.npz"))(Path("t.npz"))]
        [(1, 1024)]
    """
    form = ENDINGS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"embeddings are in {', '.join(ENDINGS)}")
    return {
        "npz": _read_npz,
        "npy": _read_npy,
        "hdf5": _read_hdf5,
        "jsonl": _read_jsonl,
        "parquet": _read_parquet,
    }[form]


def _ordinary(path: Path) -> Path:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for a writer
        raise ValueError("not an ordinary file")
    return path


def _check_shape(shape: tuple[int, ...], rows: int) -> None:
    if len(shape) != 2 or shape[0] != rows or not 1 <= shape[1] <= _MAX_COLUMNS:
        raise ValueError(_NONE)


class _Array:
    """An array in a ``.npy`` file, whose rows are read one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        # The headers of later versions have a length of four bytes, which numpy reads unseen.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("an array in a version of .npy that embed doesn't write")
        try:
            self.shape, fortran, self.dtype = np.lib.format.read_array_header_1_0(file)
        except Exception as problem:  # it parses Python, and lets through what the parser raises
            raise ValueError(
                f"an array whose header can't be read ({shorten(problem)})"
            ) from problem
        if (fortran and len(self.shape) > 1) or self.dtype.hasobject:
            raise ValueError("an array of an order or a type that embed doesn't write")
        self._file = file

    def read(self, count: int) -> npt.NDArray[Any]:
        """Return the next rows."""
        shape = (count, *self.shape[1:])
        size = math.prod(shape) * self.dtype.itemsize
        data = self._file.read(size) if size else b""
        if len(data) != size:
            raise ValueError("an array that was cut off")
        values = np.frombuffer(data, self.dtype) if size else np.zeros(shape, self.dtype)
        if self.dtype.kind == "U" and size:  # numpy ends in a SystemError at what is no character
            points = values.view(np.dtype("u4").newbyteorder(self.dtype.byteorder))
            if points.max() > sys.maxunicode:
                raise ValueError(_NO_NAMES)
        return values.reshape(shape)

    def finish(self) -> None:
        """Refuse what is behind the last row: the header says less than there is."""
        if self._file.read(1):
            raise ValueError("an array with more values than its header says")


class _ZipFile(io.BufferedReader):
    """A zip file of few members: zipfile reads their whole directory, and makes objects of it."""

    most = _MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes; as many as :attr:`most`, or it is the directory of another file."""
        if (size or 0) > self.most:
            raise ValueError("a zip file of far more members than embed writes")
        return super().read(size)


def _read_npz(path: Path) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    with ExitStack() as stack:
        file = stack.enter_context(_ZipFile(io.FileIO(_ordinary(path))))
        archive = stack.enter_context(zipfile.ZipFile(file))
        file.most = sys.maxsize  # of the arrays, whose headers are checked

        def array(name: str) -> _Array:
            member = archive.getinfo(f"{name}.npy")
            # Others take gigabytes for their dictionaries, or raise what isn't zipfile's.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("is compressed in a way in which embed doesn't compress it")
            return _Array(stack.enter_context(archive.open(member)))

        arrays = {"path": array("paths")}
        members = set(archive.namelist())
        arrays |= {name: array(name) for name in NAMES if f"{name}.npy" in members}
        yield from _rows(arrays, array("scene_embeddings"))


def _rows(arrays: dict[str, _Array], scenes: _Array) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    if not scenes.shape or scenes.dtype.kind != "f":
        raise ValueError(_NONE)
    rows = scenes.shape[0]
    _check_shape(scenes.shape, rows)
    for name, array in arrays.items():
        text = name in _TEXTS
        if array.dtype.kind not in ("U" if text else "fi") or array.dtype.itemsize > 4 * _MAX_NAME:
            raise ValueError(_NO_NAMES if name == "path" else f"its {name} is of another type")
    one = {name: str(array.read(1)[0]) for name, array in arrays.items() if array.shape == ()}
    if any(array.shape != (rows,) for name, array in arrays.items() if name not in one):
        raise ValueError("has columns of several lengths")
    if "path" in one:
        raise ValueError(_NO_NAMES)
    for start in range(0, rows, _ROWS):
        count = min(_ROWS, rows - start)
        columns = {name: array.read(count) for name, array in arrays.items() if name not in one}
        yield one | columns, scenes.read(count)
    for array in (*arrays.values(), scenes):
        array.finish()


def _read_npy(path: Path) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    """Read the array, the list of files beside it, and the weights from its report."""
    weights: Columns = {}
    report = path.with_name(f"{path.name}.report.json")
    if report.exists():
        with _ordinary(report).open("rb") as file:
            facts = read_sealed(file) or {}
        weights = {name: str(facts[name]) for name in NAMES if name in facts}
    names = _ordinary(path.with_name(f"{path.name.rpartition('.')[0]}.files.csv"))
    with _ordinary(path).open("rb") as file, names.open(encoding="utf-8", newline="") as listed:
        array, lines = _Array(file), csv.DictReader(_lines(listed), strict=True)
        if not array.shape or "path" not in (lines.fieldnames or ()):
            raise ValueError(_NONE)
        _check_shape(array.shape, array.shape[0])
        left = array.shape[0]
        rows = ({name: line[name] for name in NAMES if name in line} for line in lines)
        while some := list(islice(rows, _ROWS)):
            left -= len(some)
            if left < 0:
                break
            columns = weights | {name: [row[name] for row in some] for name in some[0]}
            yield columns, array.read(len(some))
        if left:
            raise ValueError(f"its rows and those of {names.name} differ in number")
        array.finish()


def _lines(file: IO[str]) -> Iterator[str]:
    """Yield the lines of a file that may have none."""
    while line := file.readline(_MAX_CSV_LINE):
        if len(line) == _MAX_CSV_LINE:
            raise ValueError(f"the list of its files has a line of over {_MAX_CSV_LINE:,} letters")
        yield line


def _read_hdf5(path: Path) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    h5py = load_h5py()
    with h5py.File(_ordinary(path), "r") as table, path.open("rb") as file:
        heaps = TextHeaps(file)

        def dataset(name: str) -> Any:
            links = table.id.links  # `table[name]` would open the file that a link names
            is_link = links.exists(name.encode()) and (
                links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD
            )
            one = None if is_link else table[name]
            if (
                not isinstance(one, h5py.Dataset)
                or (one.is_virtual or one.external or one.chunks)
                or (one.size and one.id.get_offset() is None)  # never written: rows without end
            ):
                raise ValueError(f"its {name} is stored in a way in which embed doesn't store it")
            return one

        links = table.id.links
        sets = {name: dataset(name) for name in NAMES if links.exists(name.encode())}
        sets["path"], scenes = dataset("paths"), dataset("scene_embeddings")
        rows = scenes.shape[0] if scenes.shape else 0
        _check_shape(scenes.shape, rows)
        text = {n: one.asstr() for n, one in sets.items() if h5py.check_string_dtype(one.dtype)}
        if "path" not in text:
            raise ValueError(_NO_NAMES)
        one_text = {
            name: values[()]
            for name, values in text.items()
            if sets[name].shape == () and heaps.check(sets[name], 0, 1, 4 * _MAX_NAME)
        }
        many = {name: text.get(name, one) for name, one in sets.items() if name not in one_text}
        if any(sets[name].shape != (rows,) for name in many):
            raise ValueError("has columns of several lengths")
        # An element of another type may stand for megabytes.
        numbers = [one.dtype for name, one in sets.items() if name not in text]
        if any(one.kind not in "fiu" for one in numbers) or scenes.dtype.kind != "f":
            raise ValueError("has texts or lists where numbers belong")
        for start in range(0, rows, _ROWS):
            stop = min(rows, start + _ROWS)
            columns = {
                name: values[start:stop]
                for name, values in many.items()
                if name not in text or heaps.check(sets[name], start, stop - start, 4 * _MAX_NAME)
            }
            yield one_text | columns, scenes[start:stop]


def _read_jsonl(path: Path) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    with _ordinary(path).open("rb") as file:
        facts = map(_read_facts, _json_lines(file))
        while rows := list(islice(facts, _ROWS)):
            scenes = np.array([row.pop("scene_embedding") for row in rows])
            _check_shape(scenes.shape, len(rows))
            yield {name: [row[name] for row in rows] for name in rows[0]}, scenes


def _json_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; of a long one what embed writes before the timestamps, which take megabytes."""
    while line := file.readline(_MAX_LINE):
        if len(line) == _MAX_LINE:
            line, found, rest = line.partition(b', "timestamps": [')
            if not found:
                raise ValueError(f"has a line of over {_MAX_LINE:,} bytes")
            line += b"}"
            while not rest.endswith(b"\n") and (more := file.readline(_MAX_LINE)):
                rest = more
            if not rest.rstrip().endswith(b"}"):
                raise ValueError("has a line that was cut off")
        yield line


def _read_facts(line: bytes) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row["path"], str):
        raise ValueError(_NO_NAMES)
    facts = {name: row[name] for name in NAMES if name in row}
    for name, value in facts.items():
        fits = isinstance(value, str) if name in _TEXTS else type(value) in (int, float)
        if not fits or len(str(value)) > _MAX_NAME:
            raise ValueError(f"its {name} is of another type, or too long")
    scene = np.array(row["scene_embedding"], np.float64)
    _check_shape((1, *scene.shape), 1)
    if not all(type(value) in (int, float) for value in row["scene_embedding"]):
        raise ValueError("has texts or truth values where numbers belong")
    return facts | {"scene_embedding": scene}


def _read_parquet(path: Path) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    pa = load_pyarrow()
    try:
        for file in _parts(path) if path.is_dir() else [path]:
            with pa.parquet.ParquetFile(_ordinary(file)) as opened:
                _check_parquet(opened, file.stat().st_size)
                schema = opened.schema_arrow.names
            # Texts stay encoded as they are stored: one may stand for a million rows. Buffers of
            # a megabyte are for row groups that are larger than memory.
            texts = [name for name in _TEXTS if name in schema]
            with pa.parquet.ParquetFile(file, read_dictionary=texts, buffer_size=1 << 20) as opened:
                yield from _batches(opened)
    except pa.ArrowException as problem:  # some are ValueErrors, some are not
        raise ValueError(f"{_NONE} ({shorten(problem, 200)})") from problem


def _parts(folder: Path) -> list[Path]:
    """Return the files of a folder, which have to be those that its mark lists, if it has one."""
    files = sorted(folder.glob("*.parquet"))
    mark, listed = folder / MARK_FILE, None
    if mark.exists():
        with _ordinary(mark).open("rb") as opened:
            listed = (read_sealed(opened) or {}).get("files")
    if isinstance(listed, dict):
        sizes = {file.name: file.stat().st_size for file in files}
        for name in sorted(sizes.keys() | listed.keys()):
            if name not in sizes:
                raise ValueError(f"its {name} is missing")
            if name not in listed:
                raise ValueError(f"its {name} isn't in the list of what embed wrote")
            if tuple(listed[name])[:1] != (sizes[name],):
                raise ValueError(f"its {name} has another size than when embed wrote it")
    return files


def _check_parquet(file: Any, size: int) -> None:
    """Compare types and declared sizes with what a table of embeddings can have."""
    from pyarrow import types

    schema = file.schema_arrow
    for name in NAMES:
        if name in schema.names or name == "path":
            kind = schema.field(name).type
            if types.is_dictionary(kind) and name in _TEXTS:
                kind = kind.value_type
            text = types.is_string(kind) or types.is_large_string(kind)
            number = types.is_integer(kind) or types.is_floating(kind)
            if not (text if name in _TEXTS else number):
                raise ValueError(_NO_NAMES if name == "path" else f"its {name} is of another type")
    scene = schema.field("scene_embedding").type
    is_list = any(
        check(scene) for check in (types.is_list, types.is_large_list, types.is_fixed_size_list)
    )
    if not is_list or not types.is_floating(scene.value_type):
        raise ValueError(_NONE)
    for index in range(file.metadata.num_row_groups):
        _check_row_group(file.metadata.row_group(index), size)


def _check_row_group(group: Any, size: int) -> None:
    """Compare what a row group unfolds to with its rows, and with the size of its file.

    Equal values are stored once, so gigabytes of them can be a small file, and all may be in one
    row. Embeddings hardly compress: those of a large row group have bytes enough in the file.
    """
    seen = set()
    for number in range(group.num_columns):
        chunk = group.column(number)
        name = chunk.path_in_schema.partition(".")[0]
        if name not in (*NAMES, "scene_embedding"):
            continue
        if name in seen:  # pyarrow reads all, also those that have the name before a dot
            raise ValueError(f"has several columns {name}")
        seen.add(name)
        values, unfolded = chunk.num_values, chunk.total_uncompressed_size
        if name == "scene_embedding" and values > min(
            group.num_rows * _MAX_COLUMNS, max(_ROWS * _MAX_COLUMNS, size)
        ):
            raise ValueError(f"has {values:,} numbers in {group.num_rows:,} rows")
        if unfolded > max(_MAX_CHUNK, 8 * size):
            raise ValueError(f"has {unfolded:,} bytes of {name} in a row group")


def _batches(file: Any) -> Iterator[tuple[Columns, npt.NDArray[Any]]]:
    from pyarrow import compute, types

    found = [name for name in NAMES if name in file.schema_arrow.names]
    for batch in file.iter_batches(_ROWS, columns=[*found, "scene_embedding"]):
        columns: Columns = {}
        for name in found:
            column = batch.column(name)
            if column.null_count:
                raise ValueError(f"has rows without a {name}")
            if types.is_dictionary(column.type):
                longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
                if longest > _MAX_NAME:
                    raise ValueError(f"has a {name} of {longest:,} characters")
                if name != "path":
                    column = column.unique().to_pylist()
            columns[name] = column
        scenes = batch.column("scene_embedding")
        sizes = set(scenes.value_lengths().to_pylist()) if len(scenes) else {1}
        values = scenes.flatten()
        if values.null_count or len(sizes) != 1 or None in sizes:
            raise ValueError("has rows without an embedding, or of several sizes")
        shape = len(scenes), sizes.pop()
        _check_shape(shape, len(scenes))
        yield columns, values.to_numpy(zero_copy_only=False).reshape(shape)
