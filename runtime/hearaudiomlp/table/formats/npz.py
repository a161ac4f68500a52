"""``.npz`` and ``.npy``."""

import csv
import io
import zipfile
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np

from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.formats import arrays
from hearaudiomlp.table.formats.base import RawShardWriter, SingleFileFormat, Sink
from hearaudiomlp.table.job import CompletedShards, Row, TableSpec


class Npz(SingleFileFormat):
    """All arrays in one ``.npz``."""

    name = "npz"

    def check(self) -> None:
        """Nothing is needed but numpy."""

    def sink(self, spec: TableSpec, store: Store, shard: int, stack: ExitStack) -> Sink:
        """Write raw arrays."""
        return RawShardWriter(spec, store, shard, stack)

    def publish(self, done: CompletedShards, store: Store) -> None:
        """Put them into one file, as numpy.savez would, but in pieces."""
        with store.writing(done.spec.name) as file, zipfile.ZipFile(file, "w") as archive:
            for member in arrays.members(done):
                # The date of a ZipInfo is fixed, so equal runs give equal bytes.
                info = zipfile.ZipInfo(f"{member[0]}.npy")
                with archive.open(info, "w", force_zip64=True) as entry:
                    _write_array(entry, member)


class Npy(Npz):
    """An ``.npy`` for each kind of embedding, and a ``.csv`` of the files."""

    name = "npy"

    def publish(self, done: CompletedShards, store: Store) -> None:
        """Write the arrays, the one that is named after the table last."""
        spec = done.spec
        _write_csv(spec.sibling_name("files.csv"), done, store)
        if spec.frames:
            name = spec.sibling_name("timestamps.npy") if spec.scenes else spec.name
            with store.writing(name) as file:
                _write_array(file, arrays.frames(done))
        if spec.scenes:
            with store.writing(spec.name) as file:
                _write_array(file, arrays.scenes(done))


class _Writable(Protocol):
    def write(self, data: Any, /) -> object:
        """Take the next bytes."""


def _write_array(file: _Writable, member: arrays.Member) -> None:
    """Write one array whose rows come in pieces, as numpy.save would."""
    _, shape, chunks, dtype = member
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for chunk in chunks:
        file.write(np.ascontiguousarray(chunk, dtype).data)


def _write_csv(name: str, done: CompletedShards, store: Store) -> None:
    with store.writing(name) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(Row._fields)
        for rows in done.rows():
            table.writerows(rows)
        text.flush()
        text.detach()
