"""A HEAR task's embeddings, laid out as heareval's embedding stage leaves them.

https://github.com/hearbenchmark/hear-eval-kit, 2021.1.3. A task has ``task_metadata.json``,
``labelvocabulary.csv``, for each split ``SPLIT.json`` (labels by file) and audio in
``16000/SPLIT/``. The prediction stage wants, for each split, all embeddings in one bare float32
array in a shuffled order, their labels in the same order, and for events the times.
"""

import json
import pickle
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import OptionError, TaskFolderError
from hearaudiomlp.signal.windows import frame_centres
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.storage.store import LocalStore, Store
from hearaudiomlp.table.formats import arrays
from hearaudiomlp.table.formats.base import RawShardWriter, Sink
from hearaudiomlp.table.job import CompletedShards, TableSpec

_KINDS = {"scene": "scene", "event": "timestamps"}
_INCLUSIVE = 0.0001
"""ms by which an event is longer than it says, so that its end belongs to it."""


class HearevalTask:
    """A task of the HEAR benchmark, and the layout of its embeddings."""

    name = "hear"

    def __init__(self, folder: Path) -> None:
        """Read what the task says of itself.

        Raises:
            TaskFolderError: it is no folder of a task, or has no audio at 16 kHz.
        """
        self.folder = folder
        try:
            self.metadata = json.loads((folder / "task_metadata.json").read_bytes())
            self.splits: list[str] = list(self.metadata["splits"])
            self.kind = _KINDS[self.metadata["embedding_type"]]
            self.labels: dict[str, dict[str, Any]] = {
                split: json.loads((folder / f"{split}.json").read_bytes()) for split in self.splits
            }
        except OSError as problem:
            raise TaskFolderError(f"{folder} is no folder of a HEAR task ({problem})") from None
        except (ValueError, KeyError, TypeError) as problem:
            raise TaskFolderError(f"{folder} is no folder of a HEAR task ({problem!r})") from None
        for name in ("labelvocabulary.csv", *(f"{SAMPLE_RATE}/{split}" for split in self.splits)):
            if not (folder / name).exists():
                raise TaskFolderError(f"{folder} has no {name}: a HEAR task at 16 kHz has one")

    @property
    def paths(self) -> Iterator[str]:
        """The task's audio files, split by split."""
        for split in self.splits:
            for file in self.labels[split]:
                yield str(self.folder / str(SAMPLE_RATE) / split / file)

    def check(self) -> None:
        """Nothing is needed."""

    def may_replace(self, name: str, store: Store) -> bool:
        """Whether it is a folder that was laid out like this before."""
        if not isinstance(store, LocalStore):
            raise OptionError("heareval reads from a folder of this machine, not from a URL")
        return not store.exists(name) or store.exists(f"{name}/task_metadata.json")

    def sink(self, spec: TableSpec, store: Store, shard: int, stack: ExitStack) -> Sink:
        """Write bare arrays."""
        return RawShardWriter(spec, store, shard, stack)

    def publish(self, done: CompletedShards, store: Store) -> None:
        """Make the folder, then put it in place."""
        assert isinstance(store, LocalStore)
        spec = done.spec
        made, final = f"{spec.parts}/task", store.path(spec.name)
        if not store.exists(made) and store.exists(f"{spec.name}/.done.embeddings"):
            return  # a crash came just after it was put in place
        store.remove(made)
        folder = store.path(made)
        folder.mkdir(parents=True)
        for name in ("task_metadata.json", "labelvocabulary.csv"):
            shutil.copy(self.folder / name, folder)
        embeddings = _by_file(done)
        for split in self.splits:
            shutil.copy(self.folder / f"{split}.json", folder)
            self._write_files(split, folder, embeddings)
        chance = random.Random(0)  # noqa: S311 - the order is part of the layout
        for split in self.splits:
            self._join(split, folder, final, chance)
        (folder / "profile.embeddings.json").write_text(
            json.dumps({"time_elapsed": None, "gpu_max_mem": None, "gpu_device_name": spec.device})
        )
        (folder / ".done.embeddings").touch()
        store.move(made, spec.name)

    def _write_files(self, split: str, folder: Path, embeddings: Iterator[Floats]) -> None:
        for name, labels in self.labels[split].items():
            values = next(embeddings)
            path = folder / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.kind == "timestamps":
                times = frame_centres(len(values)).tolist()
                Path(f"{path}.timestamps.json").write_text(json.dumps(times))
                _write_labels(path, [_labels_at(labels, time) for time in times])
            else:
                values = values[0]
                _write_labels(path, labels)
            np.save(f"{path}.embedding.npy", values)

    def _join(self, split: str, folder: Path, final: Path, chance: random.Random) -> None:
        """Lay the files of a split end to end, in the shuffled order."""
        names = list(self.labels[split])
        chance.shuffle(names)
        labels: list[Any] = []
        times: list[tuple[str, float]] = []
        rows = size = 0
        with (folder / f"{split}.embeddings.npy").open("wb") as file:  # bare, despite its name
            for name in names:
                path = folder / split / name
                values = np.atleast_2d(np.load(f"{path}.embedding.npy"))
                file.write(values.tobytes())
                rows, size = rows + len(values), values.shape[1]
                told = json.loads(Path(f"{path}.target-labels.json").read_bytes())
                if self.kind == "timestamps":
                    labels += told
                    slug = str(final / split / name)
                    found = json.loads(Path(f"{path}.timestamps.json").read_bytes())
                    times += [(slug, time) for time in found]
                else:
                    labels.append(told)
        (folder / f"{split}.embedding-dimensions.json").write_text(json.dumps((rows, size)))
        (folder / f"{split}.target-labels.pkl").write_bytes(pickle.dumps(labels))
        if self.kind == "timestamps":
            (folder / f"{split}.filename-timestamps.json").write_text(json.dumps(times))


def _write_labels(path: Path, labels: Any) -> None:
    Path(f"{path}.target-labels.json").write_text(json.dumps(labels))


def _labels_at(events: list[dict[str, Any]], time: float) -> list[str]:
    """Return the labels of the events that are under way at a time in ms."""
    inside = {
        (event["start"], event["end"], event["label"])
        for event in events
        if event["start"] <= time < event["end"] + _INCLUSIVE
    }
    return [label for *_, label in sorted(inside)]


def _by_file(done: CompletedShards) -> Iterator[Floats]:
    """Give each file's embeddings [shape=(1 or n_timestamps, size)], in order."""
    if done.spec.scenes:
        for piece in arrays.embeddings(done, "scenes"):
            for row in piece:
                yield row[None]
        return
    pieces = arrays.embeddings(done, "frames")
    held = np.zeros((0, done.spec.timestamp_embedding_size), np.float32)
    for rows in done.rows():
        for row in rows:
            while len(held) < row.n_timestamps:
                held = np.concatenate([held, next(pieces)])
            yield held[: row.n_timestamps]
            held = held[row.n_timestamps :]
