"""What a run makes: the facts that its shards share, and the record of each."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from hearaudiomlp.segments import WHOLE, Cut
from hearaudiomlp.storage.atomic import FileRecord
from hearaudiomlp.storage.ownership import read_sealed, seal
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.records import is_count, read_records

KINDS = ("scene", "timestamps", "both")
"""Which embeddings a table may have."""

_PART = re.compile(
    r"(?:run|outputs)\.json|files\.jsonl|\d{5,}\.(?:json|rows|jsonl|scenes|frames)"
    r"|(?:files|timestamps)/part-\d{5,}\.parquet|(?:files|timestamps|earlier)/\.hearaudiomlp\.json"
    r"|task/(?:(?s:.+)\.(?:json|npy|pkl)|labelvocabulary\.csv|\.done\.embeddings)",
    re.ASCII,
)


def is_part(name: str) -> bool:
    """Whether a run writes files of this name to its parts folder.

    Examples:
        >>> is_part("00007.json"), is_part("notes.txt")
        (True, False)
    """
    return _PART.fullmatch(name) is not None


def is_manifest(name: str) -> bool:
    """Whether a file of the parts folder says that a shard is done.

    Examples:
        >>> is_manifest("00007.json"), is_manifest("run.json")
        (True, False)
    """
    return name[:-5].isdecimal() and is_part(name) and name.endswith(".json")


def path_as_text(path: str) -> str:
    r"""Write bytes of a path that are no text as backslash escapes.

    Examples:
        >>> print(path_as_text("\udcff.wav"))
        \xff.wav
    """
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


class Row(NamedTuple):
    """A file that was embedded (or a segment of it), as the tables have it.

    Examples:
        >>> Row(0, "one.wav", 0.5, 16_000, 1, 50).n_timestamps
        50
    """

    file: int
    """Its number among all files that were found."""

    path: str
    duration: float
    sample_rate: int
    channels: int
    n_timestamps: int

    truncated: bool = False
    """Whether a part of the file is missing."""

    channel: int = 0
    """The channel that was embedded, counted from 1; 0 for the average of all."""

    start: float = 0.0
    """Seconds from the start of the file to that of the segment."""

    end: float = 0.0
    """Seconds from the start of the file to the end of the segment."""


class Failure(NamedTuple):
    """A file that could not be embedded.

    Examples:
        >>> Failure(3, "four.wav", "AudioFileNotFoundError", "there is no file four.wav").file
        3
    """

    file: int
    """Its number among all files that were found."""

    path: str
    error: str
    """Name of the exception."""

    problem: str
    """Its message."""


def _failures(read: Any) -> list[Failure]:
    """Take failures from JSON.

    Raises:
        ValueError: they aren't as a run writes them.
    """
    try:
        failed = [Failure(**one) if isinstance(one, dict) else Failure(*one) for one in read]
    except TypeError:
        raise ValueError("damaged") from None
    for file, *texts in failed:
        if not is_count(file) or not all(isinstance(text, str) for text in texts):
            raise ValueError("damaged")
    return failed


@dataclass(frozen=True)
class ShardManifest:
    """The results of a shard. It is written last, so a shard that has one is complete.

    Examples:
        >>> import json
        >>> manifest = ShardManifest(embedded=1)
        >>> ShardManifest.from_json(json.loads(manifest.to_json())) == manifest
        True
    """

    embedded: int = 0
    """Files that were embedded. Their rows are in a file of the shard: there may be many."""

    failed: list[Failure] = field(default_factory=list)
    files: dict[str, FileRecord] = field(default_factory=dict)
    """Sizes and digests of the shard's files, by their names in the parts folder."""

    run: str = ""
    """Digest of the facts of the run that the shard belongs to."""

    def to_json(self) -> bytes:
        """Return it as bytes."""
        return seal(
            {
                "embedded": self.embedded,
                "failed": self.failed,
                "files": self.files,
                "run": self.run,
            }
        )

    @classmethod
    def from_json(cls, read: dict[str, Any] | None) -> "ShardManifest":
        """Take what :meth:`to_json` wrote.

        Raises:
            ValueError: it was damaged or edited, or an earlier version wrote it.
        """
        read = read or {}
        embedded, files = read.get("embedded"), read_records(read.get("files"))
        if not is_count(embedded) or not all(map(is_part, files)):
            raise ValueError("damaged")
        return cls(embedded, _failures(read.get("failed")), files, str(read.get("run")))


@dataclass(frozen=True)
class TableSpec:
    """A table in the making.

    Examples:
        >>> spec = TableSpec("t.npy", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> spec.parts, spec.report, spec.sibling_name("files.csv")
        ('t.npy.parts', 't.npy.report.json', 't.files.csv')
    """

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

    cut: Cut = WHOLE
    """Which sounds each file gives."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the facts of a row that the table has."""
        names = ["file", "path", "duration", "sample_rate", "channels", "n_timestamps", "truncated"]
        if self.cut.channels != "average":
            names.append("channel")
        if self.cut.segment is not None:
            names.remove("n_timestamps")
            names += ["start", "end"]
        return tuple(names)

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
        """Folder of the shards so far."""
        return f"{self.name}.parts"

    @property
    def report(self) -> str:
        """Name of the report beside the table."""
        return f"{self.name}.report.json"

    def sibling_name(self, ending: str) -> str:
        """Return the name of a second file of the table: ``t.npy`` to ``t.files.csv``."""
        return f"{self.name.rpartition('.')[0] or self.name}.{ending}"

    def manifest_name(self, shard: int) -> str:
        """Return the name of a shard's manifest."""
        return f"{self.parts}/{shard:05}.json"

    def part_name(self, shard: int, ending: str) -> str:
        """Return the name of one of a shard's files."""
        return f"{self.parts}/{shard:05}.{ending}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return isinstance(value, float) and 0 <= value < math.inf


_ROW: tuple[Callable[[Any], bool], ...] = (
    *(is_count, _is_text, _is_time, is_count, is_count, is_count, _is_flag, is_count),
    *(_is_time, _is_time),
)


def _row(line: bytes) -> Row:
    try:
        row = Row(*json.loads(line))
        if all(fits(value) for value, fits in zip(row, _ROW, strict=True)):
            return row
    except (ValueError, TypeError, RecursionError):
        pass
    raise OSError("the rows of a shard aren't as a run writes them: --no-resume starts over")


FEW_ROWS = 1 << 13
"""Rows that are read at a time, and stay in memory if there are no more."""


def read_rows(store: Store, spec: TableSpec, shard: int) -> Iterator[list[Row]]:
    """Yield the rows of a shard, some thousand at a time.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> next(read_rows(open_store("t.npz")[0], spec, 0))
        Traceback (most recent call last):
            ...
        FileNotFoundError: ...
    """
    with store.reading(spec.part_name(shard, "rows")) as file:
        lines = iter(file)
        while rows := [_row(line) for line in islice(lines, FEW_ROWS)]:
            yield rows


class CompletedShards:
    """All shards of a complete run, for a format to lay out, in pieces of limited size.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> spec = TableSpec("t.npz", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> CompletedShards(spec, open_store("t.npz")[0], shards=0).embedded
        0
    """

    def __init__(self, spec: TableSpec, store: Store, shards: int) -> None:
        """Read all rows once, for the totals.

        Args:
            spec: the table.
            store: where it is.
            shards: how many there are.
        """
        self.spec, self._store, self.shards = spec, store, shards
        self.embedded = self.timestamps = 0
        self.seconds = 0.0
        self.longest_path = 1
        self._few: list[list[Row]] | None = None
        """All rows, if they are few: formats ask for them once for each column."""
        pieces: list[list[Row]] = []
        for rows in self.rows():
            self.embedded += len(rows)
            if self.embedded <= FEW_ROWS:
                pieces.append(rows)
            for row in rows:
                self.timestamps += row.n_timestamps
                self.seconds += row.duration
                self.longest_path = max(self.longest_path, len(row.path))
        if self.embedded <= FEW_ROWS:
            self._few = pieces

    def manifests(self) -> Iterator[ShardManifest]:
        """Yield the manifests of all shards, in order."""
        for shard in range(self.shards):
            with self._store.reading(self.spec.manifest_name(shard)) as file:
                yield ShardManifest.from_json(read_sealed(file))

    def rows(self) -> Iterator[list[Row]]:
        """Return an iterator over the rows, some thousand at a time."""
        if self._few is not None:
            return iter(self._few)
        shards = (read_rows(self._store, self.spec, shard) for shard in range(self.shards))
        return chain.from_iterable(shards)

    def records(self, folder: str) -> dict[str, FileRecord]:
        """Return sizes and digests of the files that the shards have in a folder of the parts."""
        start = f"{folder}/"
        return {
            name.removeprefix(start): record
            for manifest in self.manifests()
            for name, record in manifest.files.items()
            if name.startswith(start)
        }

    def parts(self, ending: str, piece: int = 1 << 20) -> Iterator[bytes]:
        """Yield the content of one file of each shard, end to end, in pieces of limited size.

        Raises:
            OSError: one of them has another size than it had.
        """
        for shard, manifest in enumerate(self.manifests()):
            name = self.spec.part_name(shard, ending)
            left = manifest.files.get(name.rpartition("/")[2], (-1, ""))[0]
            with self._store.reading(name) as file:
                while data := file.read(piece):
                    left -= len(data)
                    yield data
            if left:
                raise OSError(f"{name} is damaged: --no-resume starts over")


@dataclass(frozen=True)
class Report:
    """The results of a run.

    Examples:
        >>> Report(files=3, embedded=2, failed=[], seconds=1.5, fresh=True).seconds
        1.5
    """

    files: int
    """Files that were found."""

    embedded: int
    failed: list[Failure]
    seconds: float
    """Of audio that was embedded."""

    fresh: bool
    """False, if everything had been done before."""

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> "Report":
        """Take what an earlier run wrote.

        Raises:
            ValueError: no run writes such a report.
        """
        files, embedded, seconds = (read.get(name) for name in ("files", "embedded", "seconds"))
        if not is_count(files) or not is_count(embedded) or not isinstance(seconds, int | float):
            raise ValueError("damaged")
        return cls(files, embedded, _failures(read.get("failed")), seconds, fresh=False)


OnFile = Callable[[Row | Failure], None]
"""Gets each file as soon as it is done."""
