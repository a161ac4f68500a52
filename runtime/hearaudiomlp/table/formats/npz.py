"""``.npz`` and ``.npy``."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hearaudiomlp.storage.store import LocalStore, Store
from hearaudiomlp.table.body import around_body
from hearaudiomlp.table.formats import arrays
from hearaudiomlp.table.formats.base import RawShardWriter, SingleFileFormat, Sink
from hearaudiomlp.table.formats.savearrays import (
    Member,
    npy_head_size,
    npz_head_size,
    write_array,
    write_members,
)
from hearaudiomlp.table.job import CompletedShards, Row, TableSpec
from hearaudiomlp.writebehind import write_behind


class Npz(SingleFileFormat):
    """All arrays in one ``.npz``."""

    name = "npz"

    def check(self) -> None:
        """Nothing is needed but numpy."""

    def head(self, spec: TableSpec) -> int | None:
        """Return how many bytes go before the frames."""
        return _head(spec, npz_head_size)

    def sink(self, spec: TableSpec, store: Store, shard: int, stack: ExitStack) -> Sink:
        """Write bare arrays."""
        return RawShardWriter(spec, store, shard, stack)

    def publish(self, done: CompletedShards, store: Store) -> None:
        """Put them into one file."""
        with _written(done.spec.name, done, store) as file:
            if file is not None:
                write_members(file, arrays.members(done))


class Npy(Npz):
    """An ``.npy`` for each kind of embedding, and a ``.csv`` of the files."""

    name = "npy"

    def head(self, spec: TableSpec) -> int | None:
        """Return how many bytes go before the frames."""
        return _head(spec, npy_head_size)

    def publish(self, done: CompletedShards, store: Store) -> None:
        """Write the arrays, the one that is named after the table last."""
        spec = done.spec
        _write_csv(spec.sibling_name("files.csv"), done, store)
        if spec.frames:
            name = spec.sibling_name("timestamps.npy") if spec.scenes else spec.name
            pieces = () if done.in_place else arrays.embeddings(done, "frames")
            with _written(name, done, store) as file:
                if file is not None:
                    write_array(file, arrays.frames(spec, done.timestamps, pieces))
        if spec.scenes:
            with store.writing(spec.name) as out, write_behind(out) as behind:
                write_array(behind, arrays.scenes(done))


_MANY = 10**15
"""Rows that no table has."""


def _head(spec: TableSpec, size: Callable[[Member], int]) -> int | None:
    """Return the bytes before the frames, if they are the same for any number of rows."""
    least, most = (size(arrays.frames(spec, rows, ())) for rows in (0, _MANY))
    return least if spec.frames and least == most else None


@contextmanager
def _written(name: str, done: CompletedShards, store: Store) -> Iterator[io.BufferedIOBase | None]:
    """Give the file ``name`` to be written; None, if it was made of the frames' own file before.

    Where the frames have a file of their own, that is given, and writing them there costs nothing.
    """
    if done.in_place:
        assert isinstance(store, LocalStore)
        with around_body(done, store, name) as around:
            yield around
    elif done.spec.frames and not done.apart:
        if not store.exists(name):
            raise FileNotFoundError(f"{done.spec.body} is gone: --no-resume begins again")
        yield None  # a crash came just after it got its name
    else:
        with store.writing(name) as file, write_behind(file) as behind:
            yield behind


def _write_csv(name: str, done: CompletedShards, store: Store) -> None:
    with store.writing(name) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(Row._fields)
        for rows in done.rows():
            table.writerows(rows)
        text.flush()
        text.detach()
