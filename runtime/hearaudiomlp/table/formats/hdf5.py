"""``.hdf5`` (extra ``[hdf5]``: h5py): the arrays of the ``.npz`` as datasets."""

import numpy as np

from hearaudiomlp.storage.ownership import MARK
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.formats import arrays, load_h5py
from hearaudiomlp.table.formats.base import RawShardWriter, ShardFiles, SingleFileFormat, Sink
from hearaudiomlp.table.job import CompletedShards, TableSpec
from hearaudiomlp.table.outputs import Outputs


class Hdf5(SingleFileFormat):
    """One file with a dataset for each array.

    Examples:
        >>> import h5py
        >>> from hearaudiomlp.cli import main
        >>> main(["embed", "recordings/a", "-o", "a.h5"])
        recordings/a/one.wav: ...
        0
        >>> h5py.File("a.h5")["scene_embeddings"].shape
        (2, 1024)
    """

    name = "hdf5"

    def check(self, spec: TableSpec, store: Store) -> None:  # noqa: ARG002 - for others
        """Check that h5py is installed."""
        load_h5py()

    def sink(self, spec: TableSpec, files: ShardFiles) -> Sink:
        """Write bare arrays."""
        return RawShardWriter(spec, files)

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Put them into one file. It has no dates in it, so equal runs give equal bytes."""
        h5py = load_h5py()
        with (
            outputs.writing(done.spec.name) as file,
            h5py.File(file, "w", track_order=False) as table,
        ):
            table.attrs["made_by"] = MARK
            for name, shape, chunks, dtype in arrays.members(done):
                is_text = np.dtype(dtype).kind == "U"
                kind = h5py.string_dtype() if is_text else dtype
                dataset = table.create_dataset(name, shape, kind)
                at = 0
                for chunk in chunks:
                    values = chunk.astype(object) if is_text else chunk
                    if shape == ():
                        dataset[()] = values.item()
                        continue
                    dataset[at : at + len(chunk)] = values
                    at += len(chunk)
