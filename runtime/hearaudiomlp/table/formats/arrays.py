"""The arrays of a table, as numpy's and HDF5's files have them, in pieces of bounded size."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.signal.windows import frame_centres
from hearaudiomlp.table.job import CompletedShards

Member = tuple[str, tuple[int, ...], Iterable[npt.NDArray[Any]], Any]
"""Name, shape, rows in pieces, and dtype of an array."""

_ROWS = 1 << 12
_MANY_ROWS = 1 << 18


def embeddings(done: CompletedShards, ending: str) -> Iterator[Floats]:
    """Yield the ``scenes`` or ``frames`` of all shards in pieces [shape=(n, size)].

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> from hearaudiomlp.table.job import TableSpec
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> done = CompletedShards(spec, open_store("t.npz")[0], shards=0)
        >>> list(embeddings(done, "scenes"))
        []
    """
    spec = done.spec
    size = spec.scene_embedding_size if ending == "scenes" else spec.timestamp_embedding_size
    for data in done.parts(ending, _ROWS * size * 4):
        yield np.frombuffer(data, np.float32).reshape(-1, size)


def _column(done: CompletedShards, name: str, dtype: Any) -> Iterator[npt.NDArray[Any]]:
    for rows in done.rows():
        yield np.array([getattr(row, name) for row in rows], dtype)


def _offsets(done: CompletedShards) -> Iterator[npt.NDArray[np.int64]]:
    at = np.zeros(1, np.int64)
    yield at
    for counts in _column(done, "n_timestamps", np.int64):
        offsets = at[-1] + np.cumsum(counts)
        yield offsets
        at = offsets[-1:] if len(offsets) else at


def timestamps(done: CompletedShards, many: int = _MANY_ROWS) -> Iterator[Floats]:
    """Yield the centres of all frames in ms, by shard; by file, if a shard has over ``many`` rows.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> from hearaudiomlp.table.job import TableSpec
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> done = CompletedShards(spec, open_store("t.npz")[0], shards=0)
        >>> list(timestamps(done))
        []
    """
    for counts in _column(done, "n_timestamps", np.int64):
        if counts.sum() > many:
            for n in counts.tolist():
                for start in range(0, n, _ROWS):
                    yield frame_centres(min(n, start + _ROWS), start)
        elif counts.any():  # the centres of the longest file have those of all others in them
            yield frame_centres(counts.max())[_positions(counts)]


def _positions(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return 0, 1 ... n - 1 for each of some counts, end to end."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)


def members(done: CompletedShards) -> Iterator[Member]:
    """Yield all arrays of a table: name, shape, rows in pieces, dtype. See ``docs/table.md``.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> from hearaudiomlp.table.job import TableSpec
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> done = CompletedShards(spec, open_store("t.npz")[0], shards=0)
        >>> [(name, shape) for name, shape, *_ in members(done)][-2:]
        [('timestamps', (0,)), ('scene_embeddings', (0, 1024))]
    """
    spec, files = done.spec, (done.embedded,)
    if spec.frames:
        shape = (done.timestamps, spec.timestamp_embedding_size)
        yield "timestamp_embeddings", shape, embeddings(done, "frames"), np.float32
    text = np.dtype(f"<U{done.longest_path}")
    yield "paths", files, _column(done, "path", text), text
    if spec.frames:
        yield "offsets", (done.embedded + 1,), _offsets(done), np.int64
    yield "durations", files, _column(done, "duration", np.float64), np.float64
    yield "sample_rates", files, _column(done, "sample_rate", np.int64), np.int64
    yield "channels", files, _column(done, "channels", np.int64), np.int64
    for name, dtype in (
        ("truncated", bool),
        ("channel", np.int64),
        ("start", float),
        ("end", float),
    ):
        if name in spec.columns:
            yield name, files, _column(done, name, dtype), dtype
    for name in ("model", "checkpoint_sha256"):
        value = np.array(getattr(spec, name))
        yield name, (), [value], value.dtype
    if spec.frames:
        yield "timestamps", (done.timestamps,), timestamps(done), np.float32
    if spec.scenes:
        shape = (done.embedded, spec.scene_embedding_size)
        yield "scene_embeddings", shape, embeddings(done, "scenes"), np.float32
