"""What a run is to make: the facts that its units share, and what each gives account of."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hearaudiomlp.storage.store import Store

KINDS = ("scene", "timestamps", "both")
"""Which embeddings a table may have."""


class Row(NamedTuple):
    """A file that was embedded, as the tables tell of it."""

    file: int
    """Its number among all files that were found."""

    path: str
    duration: float
    sample_rate: int
    channels: int
    n_timestamps: int


class Failure(NamedTuple):
    """A file that could not be embedded."""

    file: int
    """Its number among all files that were found."""

    path: str
    error: str
    """Name of the exception."""

    problem: str
    """Its message."""


@dataclass(frozen=True)
class ShardManifest:
    """What came of a unit. It is written last, so a unit that has one is whole."""

    rows: list[Row]
    failed: list[Failure]

    def to_json(self) -> bytes:
        """Return it as bytes."""
        return json.dumps({"rows": self.rows, "failed": self.failed}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ShardManifest":
        """Read what :meth:`to_json` wrote."""
        read = json.loads(data)
        rows = [Row(*row) for row in read["rows"]]
        return cls(rows, [Failure(*failure) for failure in read["failed"]])


@dataclass(frozen=True)
class TableSpec:
    """A table in the making."""

    name: str
    """Of the table, in its folder."""

    kind: str
    """``scene``, ``timestamps`` or ``both``."""

    device: str
    """What computes: ``cpu``, ``cuda`` ..., without a number."""

    model: str
    checkpoint_sha256: str
    licence: str
    version: str
    sample_rate: int
    scene_embedding_size: int
    timestamp_embedding_size: int

    @property
    def scenes(self) -> bool:
        """Whether scene embeddings are wanted."""
        return self.kind != "timestamps"

    @property
    def frames(self) -> bool:
        """Whether timestamp embeddings are wanted."""
        return self.kind != "scene"

    @property
    def parts(self) -> str:
        """Folder of what is done so far."""
        return f"{self.name}.parts"

    def sibling_name(self, ending: str) -> str:
        """Return the name of a file beside the table: ``a.parquet``, ``x.csv`` give ``a.x.csv``."""
        stem, dot, _ = self.name.rpartition(".")
        return f"{stem if dot else self.name}.{ending}"

    def manifest_name(self, shard: int) -> str:
        """Return the name of a unit's account."""
        return f"{self.parts}/{shard:05}.json"

    def part_name(self, shard: int, ending: str) -> str:
        """Return the name of one of a unit's files."""
        return f"{self.parts}/{shard:05}.{ending}"


_FEW_ROWS = 50_000
"""Rows whose accounts are kept in memory."""


class CompletedShards:
    """All units of a run, done: what a format lays out. Read from disk each time, if it is much."""

    def __init__(self, spec: TableSpec, store: Store, shards: int) -> None:
        """Look through the accounts once, for the sums.

        Args:
            spec: the table.
            store: where it is.
            shards: how many there are.
        """
        self.spec, self._store, self.shards = spec, store, shards
        self.embedded = self.failed = self.timestamps = 0
        self.seconds = 0.0
        self.longest_path = 1
        self._accounts: list[ShardManifest] | None = None
        few: list[ShardManifest] = []
        for manifest in self.manifests():
            self.embedded += len(manifest.rows)
            if self.embedded + self.failed <= _FEW_ROWS:
                few.append(manifest)
            self.failed += len(manifest.failed)
            for row in manifest.rows:
                self.timestamps += row.n_timestamps
                self.seconds += row.duration
                self.longest_path = max(self.longest_path, len(row.path))
        if len(few) == shards:
            self._accounts = few

    def manifests(self) -> Iterator[ShardManifest]:
        """Give the accounts of all units, in order."""
        if self._accounts is not None:
            yield from self._accounts
            return
        for shard in range(self.shards):
            with self._store.reading(self.spec.manifest_name(shard)) as file:
                yield ShardManifest.from_json(file.read())

    def rows(self) -> Iterator[list[Row]]:
        """Give the rows, unit by unit."""
        return (manifest.rows for manifest in self.manifests())

    def parts(self, ending: str, piece: int = 1 << 20) -> Iterator[bytes]:
        """Give the content of one file of each unit, end to end, in pieces of a size at most."""
        for shard in range(self.shards):
            with self._store.reading(self.spec.part_name(shard, ending)) as file:
                while data := file.read(piece):
                    yield data


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    files: int
    """Files that were found."""

    embedded: int
    failed: list[Failure]
    seconds: float
    """Of audio that was embedded."""

    fresh: bool
    """False, if everything had been done before."""


OnFile = Callable[[Row | Failure], None]
"""Is told of every file as soon as it is done."""
