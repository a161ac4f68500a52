"""The frames of all units in one file, where they stay: the table is made around them.

Timestamp embeddings are nearly all of a table. Where one process does the units in their order,
each appends its frames to ``OUT.parts/frames``, behind room for what the format puts before them;
in the end head and rest of the table are written around them, and the file gets the table's name.
So nothing is copied, and the disk has to have room for one table, not two.
"""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hearaudiomlp.storage.store import LocalStore
from hearaudiomlp.table.job import FRAMES, CompletedShards
from hearaudiomlp.table.unit import ShardTask

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class BodyStore(LocalStore):
    """A folder of this machine where the frames of units become one file. Can't be pickled."""

    def __init__(self, folder: Path, body: IO[bytes]) -> None:
        """Append to ``body``."""
        super().__init__(folder)
        self._body = body

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Append, if it is frames; else as everywhere."""
        if not name.endswith(FRAMES):
            with super().writing(name) as file:
                yield file
            return
        yield self._body
        self._body.flush()
        os.fsync(self._body.fileno())


def _fits(task: ShardTask, store: LocalStore) -> bool:
    """Whether what is done so far are the units before this one, each in the body."""
    names = store.names(task.spec.parts)
    manifests = [int(name[:-5]) for name in names if name[:-5].isdecimal() and name[-5:] == ".json"]
    apart = any(name.endswith(FRAMES) for name in names)
    return not apart and sorted(manifests) == list(range(task.index))


@contextmanager
def in_one_body(shards: Iterable[ShardTask]) -> Iterator[Iterable[ShardTask]]:
    """Let units that this process is to do in their order append to the body, where that can be.

    It can't, if the table is of a format or in a place that doesn't allow it, or if units were done
    before out of order, by the workers of a cluster.
    """
    waiting = iter(shards)
    first = next(waiting, None)
    if first is None:
        yield ()
        return
    shards = chain([first], waiting)
    spec, store, head = first.spec, first.store, first.format.head(first.spec)
    if head is None or type(store) is not LocalStore or not _fits(first, store):
        yield shards
        return
    start = head + CompletedShards(spec, store, first.index).timestamps * spec.frame_size
    path = store.path(spec.body)
    with path.open("r+b" if first.index else "w+b") as body:
        body.truncate(start)  # a unit that wasn't finished is done again
        body.seek(start)
        own = BodyStore(store.path(""), body)
        yield (replace(shard, store=own) for shard in shards)


class Around(io.BufferedIOBase):
    """A file that has a stretch already: to write there what is there does nothing."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        """Leave the bytes ``start`` to ``stop`` (exclusive) of a file alone."""
        self._file, self._start, self._stop = file, start, stop
        self._at = self.end = 0
        """How far has been written."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, if it isn't there already."""
        size = memoryview(data).nbytes
        if not self._start <= self._at <= self._at + size <= self._stop:
            self._file.seek(self._at)
            self._file.write(data)
        self._at += size
        self.end = max(self.end, self._at)
        return size

    def tell(self) -> int:
        """Return where the next byte goes."""
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go elsewhere; only from the beginning."""
        assert whence == os.SEEK_SET
        self._at = offset
        return offset


@contextmanager
def around_body(done: CompletedShards, store: LocalStore, name: str) -> Iterator[Around]:
    """Give the body of all units to write around it; then it is called ``name``.

    It ends behind what was written, or else behind the frames. May be done again, if it was
    interrupted.
    """
    path = store.path(done.spec.body)
    start, stop = done.body_range
    with path.open("r+b") as body:
        around = Around(body, start, stop)
        yield around
        body.truncate(max(stop, around.end))
        body.flush()
        os.fsync(body.fileno())
    path.replace(store.path(name))
