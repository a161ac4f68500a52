"""``.parquet`` (extra ``[parquet]``: pyarrow): folders of files, one for each shard."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.embed import Embedded
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.formats import load_pyarrow
from hearaudiomlp.table.formats.base import ShardFiles, Sink
from hearaudiomlp.table.job import CompletedShards, Row, TableSpec
from hearaudiomlp.table.outputs import Outputs

ROWS_PER_GROUP = 1 << 14
"""Timestamps in a row group."""

FILES_PER_GROUP = 1 << 8
"""Files or segments in a row group: 1 MB of scene embeddings."""

_FACTS = (
    "version",
    "model",
    "checkpoint_sha256",
    "licence",
    "sample_rate",
    "scene_embedding_size",
    "timestamp_embedding_size",
)


class _Shard:
    """A file whose columns come in batches; each batch is a row group."""

    def __init__(
        self, spec: TableSpec, file: IO[bytes], columns: dict[str, Any], stack: ExitStack
    ) -> None:
        self._pa = load_pyarrow()
        facts = {name: getattr(spec, name) for name in _FACTS}
        self._schema = self._pa.schema(
            list(columns.items()), metadata={"hearaudiomlp": json.dumps(facts)}
        )
        # Embeddings have no value twice: a dictionary of them would only cost time.
        names = [name for name in columns if "embedding" not in name]
        self._writer = stack.enter_context(
            self._pa.parquet.ParquetWriter(
                file, self._schema, compression="zstd", use_dictionary=names
            )
        )

    def write(self, columns: dict[str, Any]) -> None:
        """Write a row group; a two-dimensional array is a column of lists."""
        arrays = [self._array(columns[field.name], field.type) for field in self._schema]
        batch = self._pa.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(batch, row_group_size=max(1, len(batch)))

    def _array(self, values: Any, kind: Any) -> Any:
        if self._pa.types.is_fixed_size_list(kind):
            flat = self._pa.array(values.reshape(-1), self._pa.float32())
            return self._pa.FixedSizeListArray.from_arrays(flat, type=kind)
        if self._pa.types.is_dictionary(kind):
            return self._pa.array(values, self._pa.string()).dictionary_encode()
        return self._pa.array(values, kind)


class _ParquetSink:
    def __init__(self, spec: TableSpec, files: ShardFiles) -> None:
        pa = load_pyarrow()
        self._job = spec
        names = pa.dictionary(pa.int32(), pa.string())

        def open_shard(folder: str, columns: dict[str, Any]) -> _Shard:
            return _Shard(
                spec, files.open(f"{folder}/part-{files.index:05}.parquet"), columns, files.stack
            )

        def vector(size: int) -> Any:
            return pa.list_(pa.field("element", pa.float32(), nullable=False), size)

        types = {
            "file": pa.int64(),
            "path": pa.string(),
            "duration": pa.float64(),
            "sample_rate": pa.int32(),
            "channels": pa.int32(),
            "n_timestamps": pa.int64(),
            "truncated": pa.bool_(),
            "channel": pa.int32(),
            "start": pa.float64(),
            "end": pa.float64(),
        }
        columns = {name: types[name] for name in spec.columns}
        columns |= {"model": names, "checkpoint_sha256": names}
        if spec.scenes:
            columns["scene_embedding"] = vector(spec.scene_embedding_size)
        self._files = open_shard("files", columns)
        self._rows: list[Row] = []
        self._scenes: list[Floats] = []
        files.stack.callback(self._write_files)
        if spec.frames:
            columns = {
                "file": pa.int64(),
                "path": names,
                "timestamp": pa.float32(),
                "timestamp_embedding": vector(spec.timestamp_embedding_size),
            }
            self._frames = open_shard("timestamps", columns)
            self._pending: list[tuple[Row, Floats, Floats]] = []
            self._n_pending = 0
            files.stack.callback(self._write_frames)

    def add(self, row: Row, file: Embedded) -> None:
        if len(self._rows) == FILES_PER_GROUP:
            self._write_files()
        self._rows.append(row)
        if self._job.scenes:
            self._scenes.append(file.scene_embedding)
        if self._job.frames:
            times = file.timestamps
            for chunk in file.timestamp_chunks():
                self._add_frames(row, times[: len(chunk)], chunk)
                times = times[len(chunk) :]

    def _add_frames(self, row: Row, times: Floats, frames: Floats) -> None:
        """Add to a row group. All but the last have as many rows, whatever pieces frames are in."""
        while len(frames):
            count = min(len(frames), ROWS_PER_GROUP - self._n_pending)
            self._pending.append((row, times[:count], frames[:count]))
            times, frames = times[count:], frames[count:]
            self._n_pending += count
            if self._n_pending == ROWS_PER_GROUP:
                self._write_frames()

    def _write_files(self) -> None:
        spec, rows = self._job, self._rows
        columns: dict[str, Any] = {
            name: [getattr(row, name) for row in rows] for name in spec.columns
        }
        columns["model"] = [spec.model] * len(rows)
        columns["checkpoint_sha256"] = [spec.checkpoint_sha256] * len(rows)
        if spec.scenes:
            nothing = np.zeros(0, np.float32)
            columns["scene_embedding"] = np.concatenate([nothing, *self._scenes])
        self._files.write(columns)
        self._rows, self._scenes = [], []

    def _write_frames(self) -> None:
        if not self._pending:
            return
        rows = [(row, len(times)) for row, times, _ in self._pending]
        columns = {
            "file": np.concatenate([np.full(count, row.file) for row, count in rows]),
            "path": [row.path for row, count in rows for _ in range(count)],
            "timestamp": np.concatenate([times for _, times, _ in self._pending]),
            "timestamp_embedding": np.concatenate([chunk for _, _, chunk in self._pending]),
        }
        self._frames.write(columns)
        self._pending, self._n_pending = [], 0


class Parquet:
    """A folder of shards for the files, and one for the timestamps.

    Examples:
        >>> import pyarrow.parquet
        >>> from hearaudiomlp.cli import main
        >>> main(["embed", "recordings/a", "-o", "a.parquet"])
        recordings/a/one.wav: ...
        0
        >>> pyarrow.parquet.read_table("a.parquet")["path"].to_pylist()
        ['recordings/a/one.wav', 'recordings/a/two.flac']
    """

    name = "parquet"
    facts: Mapping[str, str] = MappingProxyType({})

    def check(self, spec: TableSpec, store: Store) -> None:  # noqa: ARG002 - for others
        """Check that pyarrow is installed."""
        load_pyarrow()

    def outputs(self, spec: TableSpec) -> Mapping[str, str]:
        """One folder, or two."""
        return dict.fromkeys(self._folders(spec).values(), "folder")

    def _folders(self, spec: TableSpec) -> dict[str, str]:
        """Return the folders' names by those that they have in the parts folder."""
        second = {"timestamps": spec.sibling_name("timestamps.parquet")} if spec.frames else {}
        return second | {"files": spec.name}

    def sink(self, spec: TableSpec, files: ShardFiles) -> Sink:
        """Write one file for each folder."""
        return _ParquetSink(spec, files)

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Put the folders in place, that of the files last."""
        for folder, name in self._folders(done.spec).items():
            outputs.move_folder(f"{done.spec.parts}/{folder}", name, done.records(folder))
