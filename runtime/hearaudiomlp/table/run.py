"""A whole run: begun or continued, its units done by someone, the table laid out and reported."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import hearaudiomlp
from hearaudiomlp.errors import OptionError, RunChangedError
from hearaudiomlp.inference.ort import onnxruntime
from hearaudiomlp.model import Model
from hearaudiomlp.storage.store import LocalStore, open_store
from hearaudiomlp.table.formats.base import Format
from hearaudiomlp.table.job import (
    KINDS,
    CompletedShards,
    Failure,
    OnFile,
    Report,
    ShardManifest,
    TableSpec,
)
from hearaudiomlp.table.listing import Listing, Shard
from hearaudiomlp.table.unit import ShardTask, embed_shards

Workers = Callable[[Iterable[ShardTask], OnFile], Iterator[tuple[int, ShardManifest]]]
"""Does units, and gives the number and the account of each that is done."""


def this_machine(model: Model) -> Workers:
    """Return workers that are this process alone."""

    def work(shards: Iterable[ShardTask], on_file: OnFile) -> Iterator[tuple[int, ShardManifest]]:
        yield from embed_shards(shards, model, on_file)

    return work


def _ignore(_: object) -> None:
    pass


class Run:
    """A table in the making.

    What is done lies in ``OUT.parts``; a run over the same files with the same options goes on from
    there. Use it as a context manager: it holds a lock on that folder.
    """

    def __init__(
        self,
        output: str,
        listing: Listing,
        model: Model,
        *,
        format: Format,  # noqa: A002 - its name everywhere
        kind: str = "both",
        shard_files: int | None = None,
        resume: bool = True,
        say: Callable[[str], None] = _ignore,
    ) -> None:
        """Look at what there is already.

        Args:
            output: path or URL of the table.
            listing: the files, as :func:`hearaudiomlp.table.find.find` finds them.
            model: what computes.
            format: as :func:`hearaudiomlp.table.formats.find_format` gives it.
            kind: ``scene``, ``timestamps`` or ``both``.
            shard_files: files in a unit, and in a shard of Parquet; see :meth:`Listing.shards`.
            resume: whether to go on with what an earlier run left, instead of removing it.
            say: is told what was found.

        Raises:
            RunChangedError: what was left belongs to other files, another model or other options.
            MissingPackageError: the format needs a package that isn't installed.
            FileNotFoundError: there is no folder to write to.
            OptionError: an option has a value that it can't have, or what has the table's name now
                is something else.
        """
        if kind not in KINDS:
            raise OptionError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        self._format = format
        format.check()
        self._store, name = open_store(output)
        if not format.may_replace(name, self._store):
            raise OptionError(f"{output} is there and is no {format.name} table: remove it first")
        self._listing = listing
        card = model.metadata
        self.spec = TableSpec(
            name=name,
            kind=kind,
            device=model.device.partition(":")[0],
            model=model.name,
            checkpoint_sha256=card["checkpoint_sha256"],
            licence=card["licence"],
            version=hearaudiomlp.__version__,
            sample_rate=model.sample_rate,
            scene_embedding_size=model.scene_embedding_size,
            timestamp_embedding_size=model.timestamp_embedding_size,
        )
        self._facts: dict[str, Any] = {
            "format": format.name,
            **{key: value for key, value in asdict(self.spec).items() if key != "name"},
            "graph_sha256": model.graph_sha256,
            "precision": card.get("precision", "float32"),
            "onnxruntime": onnxruntime().__version__,
            "shard_files": shard_files,
            "sources": listing.digest,
        }
        self.shards = listing.shards(shard_files)
        """All units of the run."""

        self._lock = self._locked()
        try:
            self.complete = self._begin(resume, say)
            """Whether the table is there already, made of the same files in the same way."""

            self.done = (
                {shard.index for shard in self.shards} if self.complete else self.find_done()
            )
            """Numbers of the units that are done."""
        except BaseException:
            self.close()
            raise

    @property
    def _report_name(self) -> str:
        return f"{self.spec.name}.report.json"

    @property
    def _run_name(self) -> str:
        return f"{self.spec.parts}/run.json"

    @property
    def _listing_name(self) -> str:
        return f"{self.spec.parts}/files.jsonl"

    def _locked(self) -> int | None:
        """Lock the folder of what is done; the system lets go when this process ends."""
        if not isinstance(self._store, LocalStore):
            return None
        try:
            import fcntl
        except ImportError:  # not on Windows
            return None
        folder = self._store.path(self.spec.parts)
        folder.mkdir(exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            os.close(lock)
            if isinstance(problem, BlockingIOError):
                raise RunChangedError(f"another run is writing {self.spec.name} now") from None
            return None  # a file system without locks
        return lock

    def _clear(self) -> None:
        """Remove what an earlier run left, but not the folder, which is locked."""
        for name in self._store.names(self.spec.parts):
            self._store.remove(f"{self.spec.parts}/{name}")

    def _read(self, name: str) -> dict[str, Any] | None:
        if not self._store.exists(name):
            return None
        with self._store.reading(name) as file:
            read: dict[str, Any] = json.loads(file.read())
            return read

    def _begin(self, resume: bool, say: Callable[[str], None]) -> bool:
        """Find out what is there; return whether it is all."""
        spec, store = self.spec, self._store
        store.remove_leftovers(spec.name)
        store.remove_leftovers(spec.parts)
        before = self._read(self._run_name)
        if before is not None:
            if not resume:
                self._clear()
            elif changes := self._changes(before, self._facts):
                raise RunChangedError(
                    f"{spec.parts} holds an unfinished run, and it can't be continued: {changes}; "
                    "--no-resume begins again"
                )
            else:
                return False
        else:
            self._clear()  # no run got as far as to say what it is
            report = self._read(self._report_name)
            if report is not None and resume:
                there = store.exists(spec.name) or not report["embedded"]
                changes = self._changes(report, self._facts)
                if there and not changes:
                    store.remove(spec.parts)
                    return True
                if there and store.exists(spec.name):
                    say(f"{spec.name} is made anew: {changes}")
        with store.writing(self._listing_name) as file:
            for chunk in self._listing.chunks():
                file.write(chunk)
        with store.writing(self._run_name) as file:
            file.write(json.dumps(self._facts, indent=1).encode())
        return False

    def _changes(self, before: dict[str, Any], now: dict[str, Any]) -> str:
        """Tell what is another than it was; nothing, if all is as before."""
        told = [
            f"{name} was {before.get(name)} and is {value}"
            for name, value in now.items()
            if name != "sources" and before.get(name) != value
        ]
        if before.get("sources") != self._listing.digest:
            told.append(f"other files: {self._file_changes()}")
        return "; ".join(told)

    def _file_changes(self) -> str:
        if not self._store.exists(self._listing_name):
            return "added, gone or changed"
        with self._store.reading(self._listing_name) as file:
            return self._listing.differences(iter(file))

    def find_done(self) -> set[int]:
        """Return the numbers of the units that are done on disk, by whoever did them."""
        names = set(self._store.names(self.spec.parts))
        return {shard.index for shard in self.shards if f"{shard.index:05}.json" in names}

    def _work(self, shard: Shard, stop_at_failure: bool) -> ShardTask:
        return ShardTask(
            spec=self.spec,
            store=self._store,
            format=self._format,
            index=shard.index,
            first=shard.first,
            sources=self._listing.sources(shard),
            stop_at_failure=stop_at_failure,
        )

    def work(
        self, workers: Workers, on_file: OnFile = _ignore, *, stop_at_failure: bool = False
    ) -> Iterator[tuple[Shard, ShardManifest]]:
        """Have the units done that aren't yet; each is given when it is done, in any order.

        Raises:
            AudioFileError: with ``stop_at_failure``, the first file that can't be read.
        """
        waiting = (
            self._work(shard, stop_at_failure)
            for shard in self.shards
            if shard.index not in self.done
        )
        for index, manifest in workers(waiting, on_file):
            self.done.add(index)
            yield self.shards[index], manifest

    def finish(self) -> Report:
        """Lay out the table, write its report, and remove what was in between.

        Nothing but the report is written where no file could be embedded.
        """
        if self.complete:
            return self._earlier_report()
        assert len(self.done) == len(self.shards)
        done = CompletedShards(self.spec, self._store, len(self.shards))
        self._store.remove_leftovers(self.spec.parts)  # a worker of a cluster may have died
        if done.embedded:
            self._format.publish(done, self._store)
        failed = [failure for manifest in done.manifests() for failure in manifest.failed]
        counts = {
            "files": len(self._listing),
            "embedded": done.embedded,
            "seconds": done.seconds,
            "failed": [failure._asdict() for failure in failed],
        }
        with self._store.writing(self._report_name) as file:
            file.write(json.dumps(self._facts | counts, indent=1).encode() + b"\n")
        self._store.remove(self.spec.parts)
        return Report(len(self._listing), done.embedded, failed, done.seconds, fresh=True)

    def _earlier_report(self) -> Report:
        report = self._read(self._report_name)
        assert report is not None
        failed = [Failure(**failure) for failure in report["failed"]]
        return Report(report["files"], report["embedded"], failed, report["seconds"], fresh=False)

    def close(self) -> None:
        """Let go of the lock and the listing. What was done stays; if nothing was, nothing does."""
        self._listing.close()
        if not self.find_done():
            self._store.remove(self.spec.parts)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
