"""A listing of files on disk, its fingerprint, and its cut into shards.

A listing of a million files stays out of memory: it is a temporary file of one JSON array a line.
"""

import hashlib
import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from hearaudiomlp.table.find import AudioPath

_MOST_FILES, _FEWEST_FILES, _UNITS = 1000, 250, 32
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Shard:
    """Consecutive files of a listing, which are done together or not at all.

    Examples:
        >>> from hearaudiomlp.table.find import Skipped, find
        >>> Listing(find(["recordings"], Skipped())).shards(files=2)[1].count
        1
    """

    index: int
    first: int
    """Number of its first file."""

    count: int
    """Number of its files."""

    size: int
    """Bytes of its files."""

    at: int
    """Where its part of the listing begins, in bytes."""


def _line(source: AudioPath) -> bytes:
    return json.dumps([source.size, source.path, source.stamp]).encode() + b"\n"


def _parse(line: bytes) -> AudioPath:
    size, path, stamp = json.loads(line)
    return AudioPath(path, size, stamp)


def _size(line: bytes) -> int:
    return int(line[1 : line.index(b",")])  # in a tenth of the time that all of it would take


class Listing:
    """The files of a run, in order.

    Examples:
        >>> from hearaudiomlp.table.find import Skipped, find
        >>> listing = Listing(find(["recordings"], Skipped()))
        >>> [(shard.first, shard.count) for shard in listing.shards(files=2)]
        [(0, 2), (2, 1)]
    """

    def __init__(self, sources: Iterable[AudioPath]) -> None:
        """Write the entries to a temporary file."""
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the listing
        weakref.finalize(self, self._file.close)
        self.count = self.size = 0
        digest = hashlib.sha256()
        for source in sources:
            line = _line(source)
            digest.update(line)
            self._file.write(line)
            self.count += 1
            self.size += max(0, source.size)
        self.digest = digest.hexdigest()
        """SHA-256 over paths, sizes and dates."""

    def __len__(self) -> int:
        return self.count

    def shards(self, files: int | None = None) -> list[Shard]:
        """Cut the listing into shards of ``files`` files, and of 64 MB unless one file is larger.

        Without ``files``, there are 250 to 1000 files in a shard, the fewer the shorter the listing
        is. The cut depends on the listing alone.
        """
        most = files or min(_MOST_FILES, max(_FEWEST_FILES, -(-self.count // _UNITS)))
        shards: list[Shard] = []
        first = count = size = at = end = 0
        for number, line in enumerate(self._lines()):
            bytes_ = max(0, _size(line))
            if count and (count == most or size + bytes_ > _MOST_BYTES):
                shards.append(Shard(len(shards), first, count, size, at))
                first, count, size, at = number, 0, 0, end
            count, size, end = count + 1, size + bytes_, end + len(line)
        return [*shards, Shard(len(shards), first, count, size, at)] if count else shards

    def _lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        return iter(self._file)

    def paths(self) -> Iterator[str]:
        """Yield the paths of all files."""
        return (_parse(line).path for line in self._lines())

    def sources(self, shard: Shard) -> list[AudioPath]:
        """Return the files of a shard."""
        self._file.seek(shard.at)
        return [_parse(self._file.readline()) for _ in range(shard.count)]

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the listing in pieces."""
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            yield chunk

    def differences(self, before: Iterable[bytes]) -> str:
        """Return how this listing differs from an earlier one, whose lines are given."""
        old = {source.path: source for source in map(_parse, before)}
        new = {source.path: source for source in map(_parse, self._lines())}
        kinds = {
            "new": [path for path in new if path not in old],
            "gone": [path for path in old if path not in new],
            "changed": [path for path in new if path in old and new[path] != old[path]],
        }
        differences = [
            f"{len(paths):,} {kind} ({paths[0]}{', ...' if len(paths) > 1 else ''})"
            for kind, paths in kinds.items()
            if paths
        ]
        return ", ".join(differences) or "their order"

    def close(self) -> None:
        """Close the listing."""
        self._file.close()
