"""``.npz`` and ``.npy``."""

import csv
import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from hearaudiomlp._text import spreadsheet_cell
from hearaudiomlp.storage.ownership import MARK
from hearaudiomlp.table.formats import arrays
from hearaudiomlp.table.formats.base import RawShardWriter, ShardFiles, SingleFileFormat, Sink
from hearaudiomlp.table.job import CompletedShards, TableSpec
from hearaudiomlp.table.outputs import Outputs

_EXTRA = struct.pack("<HH", 0x4148, len(MARK)) + MARK.encode()
"""Our mark as an extra field of a zip entry, which other readers pass over."""


class Npz(SingleFileFormat):
    """All arrays in one ``.npz``.

    Examples:
        >>> from hearaudiomlp.cli import main
        >>> main(["embed", "recordings/a", "-o", "a.npz"])
        recordings/a/one.wav: ...
        0
        >>> table = np.load("a.npz")
        >>> table["scene_embeddings"].shape, table["timestamp_embeddings"].shape
        ((2, 1024), (150, 64))
    """

    name = "npz"

    def sink(self, spec: TableSpec, files: ShardFiles) -> Sink:
        """Write raw arrays."""
        return RawShardWriter(spec, files)

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Put them into one file, as numpy.savez would, but in pieces."""
        with outputs.writing(done.spec.name) as file, zipfile.ZipFile(file, "w") as archive:
            for number, member in enumerate(arrays.members(done)):
                # The date of a ZipInfo is fixed, so equal runs give equal bytes.
                info = zipfile.ZipInfo(f"{member[0]}.npy")
                if not number:
                    info.extra = _EXTRA
                with archive.open(info, "w", force_zip64=True) as entry:
                    _write_array(entry, member)


class Npy(Npz):
    """An ``.npy`` for each kind of embedding, and a ``.csv`` of the files.

    Examples:
        >>> spec = TableSpec("t.npy", "both", "cpu", "kwmlp", "", "MIT", "1.0", 16_000, 1024, 64)
        >>> list(Npy().outputs(spec))
        ['t.files.csv', 't.npy', 't.timestamps.npy']
    """

    name = "npy"

    def outputs(self, spec: TableSpec) -> Mapping[str, str]:
        """The arrays and the list of files."""
        names = [spec.sibling_name("files.csv"), spec.name]
        if spec.frames and spec.scenes:
            names.append(spec.sibling_name("timestamps.npy"))
        return dict.fromkeys(names, "file")

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Write the arrays, the one that is named after the table last."""
        spec = done.spec
        members = {member[0]: member for member in arrays.members(done)}
        _write_csv(spec.sibling_name("files.csv"), done, outputs)
        if spec.frames:
            name = spec.sibling_name("timestamps.npy") if spec.scenes else spec.name
            with outputs.writing(name) as file:
                _write_array(file, members["timestamp_embeddings"])
        if spec.scenes:
            with outputs.writing(spec.name) as file:
                _write_array(file, members["scene_embeddings"])


class _Writable(Protocol):
    def write(self, data: Any, /) -> object:
        """Take the next bytes."""


def _write_array(file: _Writable, member: arrays.Member) -> None:
    """Write one array whose rows come in pieces, as numpy.save would."""
    _, shape, chunks, dtype = member
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for chunk in chunks:
        file.write(np.ascontiguousarray(chunk, dtype).data)


def _write_csv(name: str, done: CompletedShards, outputs: Outputs) -> None:
    with outputs.writing(name) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        # All text is quoted: by itself, csv quotes no carriage return in a name.
        table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        columns = done.spec.columns
        table.writerow(columns)
        for rows in done.rows():
            table.writerows(
                [spreadsheet_cell(getattr(row, name)) for name in columns] for row in rows
            )
        text.flush()
        text.detach()
