"""A whole run: started or resumed, its shards computed, the table laid out and reported."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from itertools import chain
from typing import Any

import hearaudiomlp
from hearaudiomlp.errors import OptionError, OutputExistsError, RunChangedError
from hearaudiomlp.inference.ort import onnxruntime
from hearaudiomlp.model import Model
from hearaudiomlp.segments import WHOLE, Cut
from hearaudiomlp.storage.ownership import LARGEST_SEALED, is_sealed, seal
from hearaudiomlp.storage.parts import PartsFolder
from hearaudiomlp.storage.stopping import when_stopped
from hearaudiomlp.storage.store import open_store
from hearaudiomlp.table.earlier import EarlierRun
from hearaudiomlp.table.formats.base import Format
from hearaudiomlp.table.job import (
    KINDS,
    CompletedShards,
    OnFile,
    Report,
    ShardManifest,
    TableSpec,
    is_manifest,
    is_part,
)
from hearaudiomlp.table.listing import Listing, Shard
from hearaudiomlp.table.outputs import Outputs
from hearaudiomlp.table.records import Records, read_records
from hearaudiomlp.table.unit import ShardTask, embed_shards

Workers = Callable[[Iterable[ShardTask], OnFile], Iterator[tuple[int, ShardManifest]]]
"""Does shards, and gives the number and the manifest of each that is done."""


def this_machine(model: Model) -> Workers:
    """Return workers that are this process alone.

    Examples:
        >>> workers = this_machine(hearaudiomlp.load_model())
        >>> list(workers([], print))  # no shards to do
        []
    """
    return lambda shards, on_file: embed_shards(shards, model, on_file)


def _ignore(_: object) -> None:
    pass


class Run:
    """A table that is being made.

    Finished shards are stored in ``OUT.parts``; a run over the same files with the same options
    resumes from there. Use it as a context manager: it holds a lock on that folder.

    Examples:
        >>> from hearaudiomlp.table.find import Skipped, find
        >>> from hearaudiomlp.table.formats import find_format
        >>> listing = Listing(find(["recordings"], Skipped()))
        >>> model = hearaudiomlp.load_model()
        >>> with Run("t.npz", listing, model, format=find_format("npz")) as run:
        ...     counts = [shard.count for shard, manifest in run.work(this_machine(model))]
        ...     run.finish().embedded
        3
    """

    def __init__(
        self,
        output: str,
        listing: Listing,
        model: Model,
        *,
        format: Format,  # noqa: A002 - its name everywhere
        kind: str = "both",
        cut: Cut = WHOLE,
        shard_files: int | None = None,
        resume: bool = True,
        overwrite: bool = False,
        inputs: Iterable[str] = (),
        say: Callable[[str], None] = _ignore,
    ) -> None:
        """Compare with what an earlier run left.

        Args:
            output: path or URL of the table.
            listing: the files, as :func:`hearaudiomlp.table.find.find` finds them.
            model: what computes.
            format: as :func:`hearaudiomlp.table.formats.find_format` gives it.
            kind: ``scene``, ``timestamps`` or ``both``.
            cut: which sounds each file gives.
            shard_files: files in a shard; see :meth:`Listing.shards`.
            resume: whether to resume from what an earlier run left, instead of removing it.
            overwrite: whether ordinary files with the outputs' names that this package didn't write
                may be replaced. Folders, links and devices never are, nor files of the listing.
            inputs: files that are read beside the listing's and the model, like lists.
            say: gets messages about what was found.

        Raises:
            OutputExistsError: something that isn't ours has the name of an output.
            RunChangedError: what was left belongs to other files, another model or other options.
            MissingPackageError: the format needs a package that isn't installed.
            FileNotFoundError: there is no folder to write to.
            OptionError: an invalid option value.
        """
        if kind not in KINDS:
            raise OptionError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        if cut.segment is not None and kind != "scene":
            raise OptionError(f"segments have scene embeddings only: kind is scene, not {kind!r}")
        self._format = format
        self._store, name = open_store(output)
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
            cut=cut,
        )
        format.check(self.spec, self._store)
        facts: dict[str, Any] = {
            "format": format.name,
            **format.facts,
            **{key: value for key, value in asdict(self.spec).items() if key != "name"},
            "graph_sha256": model.graph_sha256,
            "precision": card.get("precision", "float32"),
            "onnxruntime": onnxruntime().__version__,
            "shard_files": shard_files,
            "sources": listing.digest,
        }
        self._facts = facts
        self.shards = listing.shards(shard_files)
        """All shards of the run."""

        self._outputs = Outputs(
            self._store,
            self.spec.parts,
            {**format.outputs(self.spec), self.spec.report: "file"},
            overwrite=overwrite,
            inputs=lambda: chain([model.path, *inputs], listing.paths()),
        )
        self._earlier = EarlierRun(self.spec, self._store, listing, facts)
        self._stack = ExitStack()
        self._stack.enter_context(when_stopped(self._clean_up))
        self._parts = PartsFolder(self._store, self.spec.parts, is_part)
        self._reported: Report | None = None
        self.done: set[int] = set()
        """Numbers of the shards that are done."""

        try:
            self._parts.claim()
            self.complete = self._begin(resume, say)
            """Whether the table exists already, made from the same files with the same options."""

            if self.complete:
                self._parts.clear()  # of a run that was stopped while it removed them
                self.done = {shard.index for shard in self.shards}
            else:
                self._outputs.check()
                places = [self.spec.parts, *self._outputs.folders_in_place()]
                self.done = self._earlier.find_shards(self.shards, places, say)
        except BaseException:
            self.close()
            raise

    def _begin(self, resume: bool, say: Callable[[str], None]) -> bool:
        """Find what an earlier run left; return whether the table is complete."""
        spec, store = self.spec, self._store
        self._parts.clear_temporaries()
        report = self._read_report(say)
        self._outputs.resume()
        earlier = self._earlier
        if store.kind(earlier.run_name):
            before = earlier.read(earlier.run_name)
            if before is None:
                say(f"{earlier.run_name} is damaged: the run starts over")
            elif resume:
                if changes := earlier.changes(before):
                    raise RunChangedError(
                        f"{spec.parts} holds an unfinished run, and it can't be resumed: "
                        f"{changes}; --no-resume starts over"
                    )
                return False
        elif report is not None and resume and self._is_complete(*report, say):
            return True
        self._parts.clear()
        with store.writing(earlier.listing_name) as file:
            for chunk in self._listing.chunks():
                file.write(chunk)
        with store.writing(earlier.run_name) as file:
            file.write(seal(self._facts, indent=1))
        return False

    def _read_report(self, say: Callable[[str], None]) -> tuple[dict[str, Any], Records] | None:
        """Take what an earlier run reported; return it with its records of the outputs."""
        name, store = self.spec.report, self._store
        report = self._earlier.read(name)
        if report is not None:
            with suppress(ValueError):
                self._reported = Report.from_json(report)
                outputs = read_records(report.get("outputs"))
                # The report is ours in any case. What it lists has to be as it was written.
                self._outputs.know({name: store.record(name)} | outputs)
                return report, outputs
        if store.kind(name) == "file":
            with store.reading(name) as file:
                if is_sealed(file.read(200)) and file.seek(0, os.SEEK_END) <= LARGEST_SEALED:
                    self._outputs.know({name: store.record(name)})
                    say(f"{name} is damaged or was edited, and is rebuilt")
        return None

    def _is_complete(
        self, report: dict[str, Any], outputs: Records, say: Callable[[str], None]
    ) -> bool:
        spec = self.spec
        if changes := self._earlier.changes(report):
            if self._store.kind(spec.name):
                say(f"{spec.name} is rebuilt: {changes}")
            return False
        if not self._outputs.is_as_written(outputs):
            if self._store.kind(spec.name):
                say(f"{spec.name} isn't what its report describes")
            return False
        return True

    def count_done(self) -> int:
        """Return the number of files whose shards are on disk.

        Raises:
            OutputExistsError: another folder has taken the place of the parts folder.
        """
        names = set(self._store.names(self.spec.parts))
        return sum(shard.count for shard in self.shards if f"{shard.index:05}.json" in names)

    def _task(self, shard: Shard, stop_at_failure: bool) -> ShardTask:
        return ShardTask(
            spec=self.spec,
            store=self._store,
            format=self._format,
            index=shard.index,
            first=shard.first,
            sources=self._listing.sources(shard),
            stop_at_failure=stop_at_failure,
            run=self._earlier.digest,
        )

    def work(
        self, workers: Workers, on_file: OnFile = _ignore, *, stop_at_failure: bool = False
    ) -> Iterator[tuple[Shard, ShardManifest]]:
        """Have the missing shards computed; yield each once it is stored, in any order.

        Raises:
            AudioFileError: with ``stop_at_failure``, the first file that can't be read.
        """
        waiting = (
            self._task(shard, stop_at_failure)
            for shard in self.shards
            if shard.index not in self.done
        )
        for index, manifest in workers(waiting, on_file):
            self.done.add(index)
            yield self.shards[index], manifest

    def finish(self, say: Callable[[str], None] = _ignore) -> Report:
        """Lay out the table, write its report, and remove the parts folder.

        Nothing but the report is written where no file could be embedded.

        Args:
            say: gets a message if the parts folder has to stay.

        Raises:
            OutputExistsError: something that isn't ours has taken the name of an output.
        """
        if self.complete and self._reported is not None:
            return self._reported
        assert len(self.done) == len(self.shards)
        done = CompletedShards(self.spec, self._store, len(self.shards))
        self._parts.clear_temporaries()  # a worker of a cluster may have died
        if done.embedded:
            self._format.publish(done, self._outputs)
        failed = [failure for manifest in done.manifests() for failure in manifest.failed]
        counts = {
            "files": len(self._listing),
            "embedded": done.embedded,
            "seconds": done.seconds,
            "failed": [failure._asdict() for failure in failed],
        }
        report = self._facts | counts | {"outputs": dict(self._outputs.written)}
        with self._outputs.writing(self.spec.report) as file:
            file.write(seal(report, indent=1))
        # First, so that a run that is stopped while the others are removed isn't resumed.
        self._store.remove(self._earlier.run_name)
        if left := self._parts.remove():
            say(f"{self.spec.parts} stays: this command didn't write {', '.join(left[:5])} in it")
        return Report(len(self._listing), done.embedded, failed, done.seconds, fresh=True)

    def close(self) -> None:
        """Release the lock and the listing. Finished shards stay; without any, nothing does."""
        self._stack.close()
        self._listing.close()
        try:
            self._clean_up()
        finally:
            self._parts.close()

    def _clean_up(self) -> None:
        with suppress(OutputExistsError):  # another folder has taken its place
            if not self._parts.claimed:
                return
            if any(map(is_manifest, self._store.names(self.spec.parts))):  # also another run's
                self._parts.clear_temporaries()  # of workers that had no time for it
            else:
                self._parts.remove()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
