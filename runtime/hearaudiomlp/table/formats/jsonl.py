"""``.jsonl``: one JSON object a line and file."""

import json
from collections.abc import Iterable
from typing import IO

import numpy as np
import numpy.typing as npt

from hearaudiomlp.embed import Embedded
from hearaudiomlp.table.formats.base import ShardFiles, SingleFileFormat, Sink
from hearaudiomlp.table.job import CompletedShards, Row, TableSpec
from hearaudiomlp.table.outputs import Outputs


def _numbers(values: npt.NDArray[np.float32]) -> str:
    """Write float32 with as many digits as it takes to read the same number back."""
    return f"[{', '.join([str(value) for value in values])}]"


class _LineSink:
    def __init__(self, spec: TableSpec, file: IO[bytes]) -> None:
        self._job, self._file = spec, file

    def _put(self, text: str) -> None:
        self._file.write(text.encode())

    def _list(self, name: str, items: Iterable[str]) -> None:
        self._put(f', "{name}": [')
        separator = ""
        for item in items:
            self._put(separator + item)
            separator = ", "
        self._put("]")

    def add(self, row: Row, file: Embedded) -> None:
        """Write the file's line, piece by piece: it may be long."""
        spec = self._job
        facts = {name: getattr(row, name) for name in spec.columns}
        facts |= {"model": spec.model, "checkpoint_sha256": spec.checkpoint_sha256}
        self._put(json.dumps(facts)[:-1])
        if spec.scenes:
            self._put(f', "scene_embedding": {_numbers(file.scene_embedding)}')
        if spec.frames:
            self._list("timestamps", (str(time) for time in file.timestamps))
            chunks = file.timestamp_chunks()
            self._list("timestamp_embeddings", (_numbers(line) for part in chunks for line in part))
        self._put("}\n")


class Jsonl(SingleFileFormat):
    """One file of lines.

    Examples:
        >>> from hearaudiomlp.cli import main
        >>> main(["embed", "recordings/a", "-o", "a.jsonl"])
        recordings/a/one.wav: ...
        0
        >>> with open("a.jsonl") as file:
        ...     [json.loads(line)["path"] for line in file]
        ['recordings/a/one.wav', 'recordings/a/two.flac']
    """

    name = "jsonl"

    def sink(self, spec: TableSpec, files: ShardFiles) -> Sink:
        """Write the lines of a shard."""
        return _LineSink(spec, files.open("jsonl"))

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Lay the shards end to end."""
        with outputs.writing(done.spec.name) as file:
            for data in done.parts("jsonl"):
                file.write(data)
