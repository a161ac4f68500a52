"""What an earlier run of the same table left, and what has changed since."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np

from hearaudiomlp.storage.atomic import FileRecord, record_of
from hearaudiomlp.storage.ownership import read_sealed
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.job import ShardManifest, TableSpec, path_as_text, read_rows
from hearaudiomlp.table.listing import Listing, Shard
from hearaudiomlp.table.records import is_fact

_LARGEST_LISTING = 1 << 25
"""Bytes of a listing, some 300,000 files, that is compared with another."""

_FLOAT = np.dtype(np.float32).itemsize


class EarlierRun:
    """The record, the listing and the shards of a run, as they are on disk.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> earlier = EarlierRun(spec, open_store("t.npz")[0], Listing([]), {"format": "npz"})
        >>> earlier.changes({"format": "npy", "sources": Listing([]).digest})
        'format was npy and is npz'
    """

    def __init__(
        self, spec: TableSpec, store: Store, listing: Listing, facts: Mapping[str, Any]
    ) -> None:
        """Prepare to compare with this run.

        Args:
            spec: the table.
            store: where it is.
            listing: the files of this run.
            facts: everything that the results depend on.
        """
        self._spec, self._store, self._listing, self._facts = spec, store, listing, facts
        self.run_name = f"{spec.parts}/run.json"
        """Name of the record of the facts."""
        self.listing_name = f"{spec.parts}/files.jsonl"
        """Name of the listing."""
        self.digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        """Of the facts: what tells the shards of this run from those of others."""

    def read(self, name: str) -> dict[str, Any] | None:
        """Read the facts that were sealed; None, if they aren't there or aren't as written."""
        if self._store.kind(name) != "file":
            return None
        with self._store.reading(name) as file:
            read = read_sealed(file)
        if read is None or not all(is_fact(read.get(fact)) for fact in self._facts):
            return None
        return read

    def changes(self, before: dict[str, Any]) -> str:
        """Return what has changed since; empty if nothing has."""
        changes = [
            f"{name} was {before.get(name)} and is {value}"
            for name, value in self._facts.items()
            if name != "sources" and before.get(name) != value
        ]
        if before.get("sources") != self._listing.digest:
            changes.append(f"other files: {self._file_changes(before.get('sources'))}")
        return "; ".join(changes)

    def _file_changes(self, digest: object) -> str:
        if self._store.kind(self.listing_name) == "file":
            with self._store.reading(self.listing_name) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                if size <= _LARGEST_LISTING and record_of(file)[1] == digest:
                    file.seek(0)
                    with suppress(ValueError, TypeError, RecursionError):  # it was made by hand
                        return self._listing.differences(iter(file))
        return "added, gone or changed"

    def find_shards(
        self, shards: Iterable[Shard], places: Sequence[str], say: Callable[[str], None]
    ) -> set[int]:
        """Return the numbers of the shards that are whole on disk; others are removed.

        Args:
            shards: all of the run.
            places: folders in which their files may be.
            say: gets a message about each that is damaged.
        """
        names = set(self._store.names(self._spec.parts))
        done = set()
        for shard in shards:
            if f"{shard.index:05}.json" not in names:
                continue
            if self._is_whole(shard, places):
                done.add(shard.index)
            else:
                say(f"shard {shard.index} in {self._spec.parts} is damaged, and is done again")
                self._store.remove(self._spec.manifest_name(shard.index))
        return done

    def _is_whole(self, shard: Shard, places: Sequence[str]) -> bool:
        """Whether a shard's manifest and files are as they were written."""
        try:
            with self._store.reading(self._spec.manifest_name(shard.index)) as file:
                manifest = ShardManifest.from_json(read_sealed(file))
            if manifest.run != self.digest or f"{shard.index:05}.rows" not in manifest.files:
                return False
            whole = all(self._is_part_whole(*part, places) for part in manifest.files.items())
            return whole and self._fits(shard, manifest)
        except (OSError, ValueError):
            return False

    def _fits(self, shard: Shard, manifest: ShardManifest) -> bool:
        """Whether rows and failures are those of the shard's files, and as many as embeddings."""
        spec = self._spec
        sources = enumerate(self._listing.sources(shard), shard.first)
        paths = {number: path_as_text(source.path) for number, source in sources}
        failed = [failure.file for failure in manifest.failed]
        if any(paths.get(failure.file) != failure.path for failure in manifest.failed):
            return False
        embedded: list[int] = []
        scenes = frames = 0
        for row in chain.from_iterable(read_rows(self._store, spec, shard.index)):
            if paths.get(row.file) != row.path:
                return False
            if row.file not in embedded[-1:]:  # of which there may be many rows
                embedded.append(row.file)
            scenes, frames = scenes + 1, frames + row.n_timestamps
        sizes = {
            "scenes": scenes * spec.scene_embedding_size * _FLOAT,
            "frames": frames * spec.timestamp_embedding_size * _FLOAT,
        }
        return (
            embedded == sorted(embedded)
            and sorted(embedded + failed) == list(paths)
            and all(
                manifest.files.get(f"{shard.index:05}.{ending}", (size, ""))[0] == size
                for ending, size in sizes.items()
            )
        )

    def _is_part_whole(self, name: str, record: FileRecord, places: Sequence[str]) -> bool:
        """Whether a file is as it was written: in the parts folder, or in place before a crash."""
        parts, *others = places
        paths = [f"{parts}/{name}", *(f"{place}/{name.rpartition('/')[2]}" for place in others)]
        return any(
            self._store.kind(path) == "file" and self._store.matches(path, [record])
            for path in paths
        )
