"""What a format is: a sink for the files of a shard, and a way to lay out all shards as a table."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import IO, Protocol

from hearaudiomlp.embed import Embedded
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.job import CompletedShards, Row, TableSpec
from hearaudiomlp.table.outputs import Outputs


class ShardFiles(Protocol):
    """The files of a shard, to be written."""

    @property
    def index(self) -> int:
        """The shard's number."""

    @property
    def stack(self) -> ExitStack:
        """What is left when all has been added: files are closed and get their names."""

    def open(self, ending: str) -> IO[bytes]:
        """Open one of the files: by its ending, or by its name in a folder of the parts."""


class Sink(Protocol):
    """Takes the files of a shard."""

    def add(self, row: Row, file: Embedded) -> None:
        """Take the next file."""


class Format(Protocol):
    """A kind of table. Can be pickled."""

    @property
    def name(self) -> str:
        """The word for it on the command line."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What the table depends on beside its files, the model and the options."""

    def check(self, spec: TableSpec, store: Store) -> None:
        """Raise a MissingPackageError, or an OptionError where the table can't be there."""

    def outputs(self, spec: TableSpec) -> Mapping[str, str]:
        """Return ``file`` or ``folder`` for the name of each thing that the table consists of."""

    def sink(self, spec: TableSpec, files: ShardFiles) -> Sink:
        """Open the files of a shard."""

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Make the table of all shards, whole or not at all; may be called again after a crash."""


class SingleFileFormat:
    """What all formats share whose table is a file.

    Examples:
        >>> spec = TableSpec("t.npz", "scene", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> SingleFileFormat().outputs(spec)
        {'t.npz': 'file'}
    """

    facts: Mapping[str, str] = MappingProxyType({})

    def check(self, spec: TableSpec, store: Store) -> None:
        """Nothing is needed."""

    def outputs(self, spec: TableSpec) -> Mapping[str, str]:
        """One file."""
        return {spec.name: "file"}


class RawShardWriter:
    """The embeddings as bare float32 of this machine's order, for formats that need all first.

    Examples:
        >>> import io
        >>> from types import SimpleNamespace
        >>> spec = TableSpec("t.npz", "scene", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> file = io.BytesIO()
        >>> writer = RawShardWriter(spec, SimpleNamespace(open=lambda ending: file))
        >>> writer.add(None, SimpleNamespace(scene_embedding=np.zeros(1024, np.float32)))
        >>> file.tell()
        4096
    """

    def __init__(self, spec: TableSpec, files: ShardFiles) -> None:
        """Open a file for each kind of embedding."""
        self._scenes = files.open("scenes") if spec.scenes else None
        self._frames = files.open("frames") if spec.frames else None

    def add(self, row: Row, file: Embedded) -> None:  # noqa: ARG002 - the manifest has the row
        """Append the file's embeddings."""
        if self._scenes is not None:
            self._scenes.write(file.scene_embedding.data)
        if self._frames is not None:
            for chunk in file.timestamp_chunks():
                self._frames.write(chunk.data)
