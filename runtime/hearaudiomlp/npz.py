"""The ``.npz`` of ``hearaudiomlp embed``: written as the embeddings come, whole or not at all."""

import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from hearaudiomlp.embed import Embedded
from hearaudiomlp.files import replacing
from hearaudiomlp.framestore import FrameStore
from hearaudiomlp.model import Model
from hearaudiomlp.windows import frame_centres

_ROWS = 1 << 16
_Array = np.ndarray[Any, Any]
Member = tuple[str, tuple[int, ...], Iterable[_Array], Any]
"""Name, shape, rows in pieces, and dtype of an array."""


def _write_member(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    chunks: Iterable[_Array],
    dtype: Any,
) -> None:
    """Write one array whose rows come in pieces, as numpy.savez would."""
    member = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed, so equal runs give equal bytes
    with archive.open(member, "w", force_zip64=True) as file:
        description = np.lib.format.dtype_to_descr(np.dtype(dtype))
        header = {"descr": description, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype).data)


def write_members(file: IO[bytes], members: Iterable[Member]) -> None:
    """Write arrays whose rows come in pieces to an ``.npz``, in this order."""
    with zipfile.ZipFile(file, "w") as archive:
        for member in members:
            _write_member(archive, *member)


def as_text(path: str) -> str:
    """Write bytes of a path that are no text as backslash escapes."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


class NpzWriter:
    """Collects the embeddings of files and writes them to one ``.npz``.

    Row ``i`` of ``scene_embeddings`` [shape=(n_files, scene_embedding_size)] belongs to
    ``paths[i]``; so do rows ``offsets[i]`` to ``offsets[i + 1]`` of ``timestamp_embeddings``
    [shape=(n_rows, timestamp_embedding_size)] and ``timestamps`` [shape=(n_rows,)], in ms.
    """

    def __init__(self, path: str | os.PathLike[str], model: Model) -> None:
        """Prepare to write to ``path``; beyond 4 MB, what is collected lies beside it."""
        self._path, self._model = Path(path), model
        self._frames = FrameStore(model.timestamp_embedding_size, str(self._path.parent))
        self._scenes = FrameStore(model.scene_embedding_size, str(self._path.parent))
        self._files: list[tuple[str, float, int, int, int]] = []

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file: Embedded) -> None:
        """Take one file's embeddings, and let go of the file's own copy."""
        for chunk in file.timestamp_chunks():
            self._frames.append(chunk)
        self._scenes.append(file.scene_embedding)
        self._files.append(
            (file.path, file.duration, file.sample_rate, file.channels, file.n_timestamps)
        )
        file.close()

    def _timestamps(self) -> Iterator[_Array]:
        for *_, count in self._files:
            for start in range(0, count, _ROWS):
                yield frame_centres(min(count, start + _ROWS), start)

    def write(self) -> None:
        """Write all that was collected.

        Raises:
            OSError: the file can't be written; then it is as it was before.
        """
        paths, durations, rates, channels, counts = (
            zip(*self._files, strict=True) if self._files else ((),) * 5
        )
        offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        small = {
            "paths": np.array([as_text(path) for path in paths], dtype=str),
            "offsets": offsets.astype(np.int64),
            "durations": np.array(durations, np.float64),
            "sample_rates": np.array(rates, np.int64),
            "channels": np.array(channels, np.int64),
            "model": np.array(self._model.name),
            "checkpoint_sha256": np.array(self._model.metadata["checkpoint_sha256"]),
        }
        rows = len(self._frames)
        members: list[Member] = [
            (name, array.shape, [array], array.dtype) for name, array in small.items()
        ]
        members.append(("timestamps", (rows,), self._timestamps(), np.float32))
        for name, store in (
            ("scene_embeddings", self._scenes),
            ("timestamp_embeddings", self._frames),
        ):
            members.append((name, (len(store), store.size), store.chunks(), np.float32))
        with replacing(self._path) as file:
            write_members(file, members)
        self.close()

    def close(self) -> None:
        """Let go of what was collected."""
        self._frames.close()
        self._scenes.close()
