"""What a format is: a sink for the files of a unit, and a way to lay out all units as a table."""

from contextlib import ExitStack
from typing import IO, Protocol

from hearaudiomlp.embed import Embedded
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.job import CompletedShards, Row, TableSpec


class Sink(Protocol):
    """Takes the files of a unit."""

    def add(self, row: Row, file: Embedded) -> None:
        """Take the next file."""


class Format(Protocol):
    """A kind of table. Can be pickled."""

    @property
    def name(self) -> str:
        """The word for it on the command line."""

    def may_replace(self, name: str, store: Store) -> bool:
        """Whether what has the table's name now is a table of this kind (or nothing at all)."""

    def check(self) -> None:
        """Raise a MissingPackageError where a package is missing that it needs."""

    def sink(self, spec: TableSpec, store: Store, shard: int, stack: ExitStack) -> Sink:
        """Open the files of a unit; leaving the stack without an error gives them their names."""

    def publish(self, done: CompletedShards, store: Store) -> None:
        """Make the table of all units, whole or not at all; may be called again after a crash."""


class SingleFileFormat:
    """What all formats share whose table is a file."""

    def may_replace(self, name: str, store: Store) -> bool:
        """Whether it is a file."""
        return not store.is_folder(name)


class RawShardWriter:
    """The embeddings as bare float32 of this machine's order, for formats that need all first."""

    def __init__(self, spec: TableSpec, store: Store, shard: int, stack: ExitStack) -> None:
        """Open a file for each kind of embedding."""

        def opened(ending: str) -> IO[bytes]:
            return stack.enter_context(store.writing(spec.part_name(shard, ending)))

        self._scenes = opened("scenes") if spec.scenes else None
        self._frames = opened("frames") if spec.frames else None

    def add(self, row: Row, file: Embedded) -> None:  # noqa: ARG002 - the account has the row
        """Append the file's embeddings."""
        if self._scenes is not None:
            self._scenes.write(file.scene_embedding.data)
        if self._frames is not None:
            for chunk in file.timestamp_chunks():
                self._frames.write(chunk.data)
