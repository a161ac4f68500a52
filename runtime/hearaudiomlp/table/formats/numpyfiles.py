"""``.npz`` and ``.npy``."""

import csv
import io
from contextlib import ExitStack

import numpy as np

from hearaudiomlp.table.formats import arrays
from hearaudiomlp.table.formats.base import OneFile, RawSink, Sink
from hearaudiomlp.table.formats.npz import Member, write_members
from hearaudiomlp.table.job import Done, Job, Row
from hearaudiomlp.table.store import Store
from hearaudiomlp.writebehind import write_behind


class Npz(OneFile):
    """All arrays in one ``.npz``."""

    name = "npz"

    def check(self) -> None:
        """Nothing is needed but numpy."""

    def sink(self, job: Job, store: Store, unit: int, stack: ExitStack) -> Sink:
        """Write bare arrays."""
        return RawSink(job, store, unit, stack)

    def publish(self, done: Done, store: Store) -> None:
        """Put them into one file."""
        with store.writing(done.job.name) as file, write_behind(file) as behind:
            write_members(behind, arrays.members(done))


class Npy(Npz):
    """An ``.npy`` for each kind of embedding, and a ``.csv`` of the files."""

    name = "npy"

    def publish(self, done: Done, store: Store) -> None:
        """Write the arrays, the one that is named after the table last."""
        job = done.job
        _write_csv(job.beside("files.csv"), done, store)
        if job.frames:
            name = job.beside("timestamps.npy") if job.scenes else job.name
            _write_npy(name, arrays.frames(done), store)
        if job.scenes:
            _write_npy(job.name, arrays.scenes(done), store)


def _write_npy(name: str, member: Member, store: Store) -> None:
    _, shape, chunks, dtype = member
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    with store.writing(name) as file, write_behind(file) as behind:
        np.lib.format.write_array_header_1_0(
            behind, {"descr": description, "fortran_order": False, "shape": shape}
        )
        for chunk in chunks:
            behind.write(np.ascontiguousarray(chunk, dtype).data)


def _write_csv(name: str, done: Done, store: Store) -> None:
    with store.writing(name) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(Row._fields)
        for rows in done.rows():
            table.writerows(rows)
        text.flush()
        text.detach()
