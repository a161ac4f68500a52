"""Shards of files, embedded and written: the same work on this machine and on a cluster."""

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO

from hearaudiomlp.embed import Embedded, Failed, embed_groups
from hearaudiomlp.errors import AudioFileChangedError
from hearaudiomlp.model import Model
from hearaudiomlp.storage.atomic import FileRecord
from hearaudiomlp.storage.remote import is_url
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.find import AudioPath, stat_path
from hearaudiomlp.table.formats.base import Format
from hearaudiomlp.table.job import (
    Failure,
    OnFile,
    Row,
    ShardManifest,
    TableSpec,
    path_as_text,
)

_FINISHING = 2
"""Shards that may be waiting to be written."""


@dataclass(frozen=True)
class ShardTask:
    """A shard with everything a worker needs except the model. Can be pickled.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> from hearaudiomlp.table.formats import find_format
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> files = [stat_path("recordings/a/one.wav")]
        >>> ShardTask(spec, open_store("t.npz")[0], find_format("npz"), 0, 0, files, True).index
        0
    """

    spec: TableSpec
    store: Store
    format: Format
    index: int
    first: int
    """Number of its first file."""

    sources: Sequence[AudioPath]
    stop_at_failure: bool
    run: str = ""
    """Digest of the facts of the run."""


_Result = Iterable[Embedded] | Failed


def _checked(result: _Result, source: AudioPath) -> _Result:
    """Turn a file that was written to since it was found into a failure."""
    # Asking a server once more for each file would cost a round trip, and what was fetched was one
    # version of it.
    if source.size < 0 or is_url(source.path) or stat_path(source.path) == source:
        return result
    if not isinstance(result, Failed):
        for row in result:
            row.close()
    problem = AudioFileChangedError(f"{source.path}: has changed since this run began")
    return Failed(source.path, problem)


@dataclass(frozen=True)
class _Files:
    """The files of a shard, whose sizes and digests go into its manifest."""

    task: ShardTask
    records: dict[str, FileRecord]
    stack: ExitStack

    @property
    def index(self) -> int:
        return self.task.index

    def open(self, ending: str) -> IO[bytes]:
        moved = "/" in ending  # to the table's folder; others are copied, and compared before
        name = ending if moved else f"{self.index:05}.{ending}"

        def note(record: FileRecord) -> None:
            self.records[name] = record

        path = f"{self.task.spec.parts}/{name}"
        opened = self.task.store.writing(path, before=note, durable=moved)
        return self.stack.enter_context(opened)


def _embed(
    task: ShardTask, results: Iterator[_Result], stack: ExitStack, on_file: OnFile
) -> ShardManifest:
    """Write the embeddings of a shard's files; what was opened for them is closed by the stack."""
    embedded = 0
    failed: list[Failure] = []
    files = _Files(task, {}, stack)
    rows, sink = files.open("rows"), task.format.sink(task.spec, files)
    own = zip(task.sources, itertools.islice(results, len(task.sources)), strict=True)
    for number, (source, found) in enumerate(own, task.first):
        result = _checked(found, source)
        path = path_as_text(source.path)
        if isinstance(result, Failed):
            if task.stop_at_failure:
                raise result.problem
            failure = Failure(number, path, type(result.problem).__name__, str(result.problem))
            failed.append(failure)
            on_file(failure)
            continue
        embedded += 1
        for one in result:
            row = _row(number, path, one)
            sink.add(row, one)
            one.close()
            rows.write(json.dumps(row).encode() + b"\n")
            on_file(row)
    return ShardManifest(embedded, failed, files.records, task.run)


def _row(number: int, path: str, embedded: Embedded) -> Row:
    return Row(
        number,
        path,
        embedded.duration,
        embedded.sample_rate,
        embedded.channels,
        embedded.n_timestamps,
        bool(embedded.truncated),
        embedded.channel or 0,
        embedded.start,
        embedded.end or 0.0,
    )


def _finish(task: ShardTask, manifest: ShardManifest, files: ExitStack) -> ShardManifest:
    """Rename a shard's temporary files, and write its manifest last."""
    files.close()
    name = task.spec.manifest_name(task.index)
    with task.store.writing(name, durable=False) as file:  # its seal shows damage
        file.write(manifest.to_json())
    return manifest


def embed_shards(
    shards: Iterable[ShardTask], model: Model, on_file: OnFile
) -> Iterator[tuple[int, ShardManifest]]:
    """Embed the files of shards and write what belongs to them.

    The threads that compute don't wait between two shards: the files of the next one are decoded
    meanwhile, and another thread waits for the disk. A shard may be computed twice, even at the
    same time: the files are the same.

    Returns:
        Number and manifest of each shard, when it is on disk; in order.

    Raises:
        AudioFileError: a file can't be read, and the run is to stop there.
        AudioFileNotFoundError: likewise.
        DeviceError: the device failed.
        OSError: the files can't be written.

    Examples:
        >>> list(embed_shards([], hearaudiomlp.load_model(), print))
        []
    """
    ahead, shards = itertools.tee(shards)
    paths = (source.path for task in ahead for source in task.sources)
    first = next(shards, None)
    if first is None:
        return
    shards, cut = itertools.chain([first], shards), first.spec.cut
    finishing: deque[tuple[int, Future[ShardManifest]]] = deque()

    def finished(allowed: int) -> Iterator[tuple[int, ShardManifest]]:
        while finishing and (len(finishing) > allowed or finishing[0][1].done()):
            index, future = finishing.popleft()
            yield index, future.result()

    with ThreadPoolExecutor(1) as finisher, closing(embed_groups(paths, model, cut)) as results:
        finisher.submit(int)  # it starts its thread, or fails while nothing is open
        for task in shards:
            with ExitStack() as stack:
                manifest = _embed(task, results, stack, on_file)
                files = stack.pop_all()
            finishing.append((task.index, finisher.submit(_finish, task, manifest, files)))
            yield from finished(_FINISHING)
        yield from finished(0)
