"""A HEAR task's embeddings, laid out as heareval's embedding stage leaves them.

https://github.com/hearbenchmark/hear-eval-kit, 2021.1.3. A task has ``task_metadata.json``,
``labelvocabulary.csv``, for each split ``SPLIT.json`` (labels by file) and audio in
``16000/SPLIT/``. The prediction stage wants, for each split, all embeddings in one bare float32
array in a shuffled order, their labels in the same order, and for events the times.
"""

import hashlib
import json
import pickle
import random
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import OptionError, TaskFolderError
from hearaudiomlp.signal.windows import frame_centres
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.storage.store import LocalStore, Store
from hearaudiomlp.table.formats import arrays
from hearaudiomlp.table.formats.base import RawShardWriter, ShardFiles, Sink
from hearaudiomlp.table.job import CompletedShards, TableSpec
from hearaudiomlp.table.outputs import Outputs

_KINDS = {"scene": "scene", "event": "timestamps"}
_LARGEST = 1 << 26
"""Bytes of the largest file of a task that is read, but for its audio."""

_MAX_VALUES = 4_000_000
"""Values in a file of JSON: a list or object of two bytes is one of seventy in memory."""

_Path = Callable[[str], Path]
"""Says where a file of the folder that is made is."""

_MAX_LETTERS = 1_000
"""Characters of the labels of a timestamp, on average over a file."""

_LATEST = 1e300
"""ms that a time may have: no more than a float has, whatever an integer in JSON can be."""

_INCLUSIVE = 0.0001
"""ms by which an event is longer than it says, so that its end belongs to it."""


class HearevalTask:
    """A task of the HEAR benchmark, and the layout of its embeddings.

    Examples:
        >>> task = Path("task")
        >>> (task / "16000" / "test").mkdir(parents=True)
        >>> metadata = {"splits": ["test"], "embedding_type": "scene"}
        >>> _ = (task / "task_metadata.json").write_text(json.dumps(metadata))
        >>> _ = (task / "labelvocabulary.csv").write_text("idx,label")
        >>> _ = (task / "test.json").write_text('{"bark.wav": ["dog"]}')
        >>> list(HearevalTask(task).paths)
        ['task/16000/test/bark.wav']
    """

    name = "heareval"

    def __init__(self, folder: Path) -> None:
        """Read the task's metadata and labels.

        Raises:
            TaskFolderError: it isn't the folder of a task at 16 kHz, or names files outside.
        """
        self.folder = folder
        self._digests: dict[str, str] = {}
        try:
            metadata = self._read_json("task_metadata.json")
            self.splits = [_checked_name(split, 1) for split in _list(metadata["splits"])]
            if len({*self.splits}) != len(self.splits):
                raise ValueError("it has two splits of one name")
            self.kind = _KINDS[metadata["embedding_type"]]
            self.labels = {split: self._read_labels(split) for split in self.splits}
            if self._is_file("labelvocabulary.csv"):
                self._read("labelvocabulary.csv")
        except OSError as problem:
            raise TaskFolderError(f"{folder} is no folder of a HEAR task ({problem})") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            reason = str(problem)[:300] if isinstance(problem, ValueError) else repr(problem)[:300]
            raise TaskFolderError(f"{folder} is no folder of a HEAR task ({reason})") from None
        if not self._is_file("labelvocabulary.csv"):
            raise TaskFolderError(
                f"{folder} has no labelvocabulary.csv: a HEAR task at 16 kHz has one"
            )
        for split in self.splits:
            name = f"{SAMPLE_RATE}/{split}"
            if not (folder / name).is_dir():
                raise TaskFolderError(f"{folder} has no {name}: a HEAR task at 16 kHz has one")

    def _is_file(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        if path.exists() and not self._is_file(name):  # a pipe would be waited for
            raise ValueError(f"{name} is no file")
        if not path.resolve().is_relative_to(self.folder.resolve()):  # it would be copied
            raise ValueError(f"{name} is a link to a file outside")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"{name} has over {_LARGEST:,} bytes")
        digest = hashlib.sha256(data).hexdigest()
        if self._digests.setdefault(name, digest) != digest:
            raise TaskFolderError(f"{path} has changed since this run began")
        return data

    @property
    def facts(self) -> Mapping[str, str]:
        """The labels and what else is copied into the layout."""
        digests = json.dumps(self._digests, sort_keys=True).encode()
        return {"task_sha256": hashlib.sha256(digests).hexdigest()}

    def _read_json(self, name: str) -> Any:
        data = self._read(name)
        if sum(map(data.count, (b"{", b"[", b","))) > _MAX_VALUES:
            raise ValueError(f"{name} has more than {_MAX_VALUES:,} values")
        return json.loads(data)

    def _read_labels(self, split: str) -> dict[str, list[Any]]:
        """Return the labels of a split, by names that stay inside the folder of any task."""
        read = self._read_json(f"{split}.json")
        if not isinstance(read, dict):
            raise ValueError(f"{split}.json is no object of labels by file")
        labels = {}
        for name, given in read.items():
            event = self.kind == "timestamps"
            labels[_checked_name(name)] = [
                _checked_event(label) if event else _checked_label(label) for label in _list(given)
            ]
        return labels

    @property
    def paths(self) -> Iterator[str]:
        """The task's audio files, split by split."""
        for split in self.splits:
            for file in self.labels[split]:
                yield str(self.folder / str(SAMPLE_RATE) / split / file)

    def check(self, spec: TableSpec, store: Store) -> None:
        """Check that neither the task nor the output folder contains the other.

        Raises:
            OptionError: one is inside the other, or OUT is a URL.
        """
        if not isinstance(store, LocalStore):
            raise OptionError("heareval reads from a folder of this machine, not from a URL")
        task, out = self.folder.resolve(), store.path(spec.name).resolve()
        if task == out or task in out.parents or out in task.parents:
            raise OptionError(
                f"OUT ({out}) and the task ({task}) have to be apart: neither may be in the other"
            )

    def outputs(self, spec: TableSpec) -> Mapping[str, str]:
        """One folder."""
        return {spec.name: "folder"}

    def sink(self, spec: TableSpec, files: ShardFiles) -> Sink:
        """Write raw arrays."""
        return RawShardWriter(spec, files)

    def publish(self, done: CompletedShards, outputs: Outputs) -> None:
        """Make the folder, then put it in place."""
        spec = done.spec
        made = f"{spec.parts}/task"
        final = outputs.path(spec.name)
        assert isinstance(final, Path)
        if outputs.is_in_place(spec.name):
            outputs.move_folder(made, spec.name, {})  # a crash came just after it was put in place
            return
        outputs.clear_folder(made)

        def at(name: str) -> Path:
            """Return where a file is; each time, what the run holds has to be there still."""
            path = outputs.path(f"{made}/{name}")
            assert isinstance(path, Path)
            path.parent.mkdir(parents=True, exist_ok=True)
            return path

        for name in ("task_metadata.json", "labelvocabulary.csv"):
            at(name).write_bytes(self._read(name))
        embeddings = _by_file(done)
        for split in self.splits:
            at(f"{split}.json").write_bytes(self._read(f"{split}.json"))
            self._write_files(split, at, embeddings)
        chance = random.Random(0)  # noqa: S311 - the order is part of the layout
        for split in self.splits:
            self._join(split, at, final, chance)
        at("profile.embeddings.json").write_text(
            json.dumps({"time_elapsed": None, "gpu_max_mem": None, "gpu_device_name": spec.device})
        )
        at(".done.embeddings").touch()
        outputs.move_folder(made, spec.name, outputs.records(made))

    def _write_files(self, split: str, at: _Path, embeddings: Iterator[Floats]) -> None:
        for name, labels in self.labels[split].items():
            values = next(embeddings)
            targets: list[Any] = labels
            if self.kind == "timestamps":
                times = frame_centres(len(values)).tolist()
                at(f"{split}/{name}.timestamps.json").write_text(json.dumps(times))
                targets = labels_at(labels, times, name)
            else:
                values = values[0]
            at(f"{split}/{name}.target-labels.json").write_text(json.dumps(targets))
            np.save(at(f"{split}/{name}.embedding.npy"), values)

    def _join(self, split: str, at: _Path, final: Path, chance: random.Random) -> None:
        """Lay the files of a split end to end, in the shuffled order."""
        names = list(self.labels[split])
        chance.shuffle(names)
        labels: list[Any] = []
        times: list[tuple[str, float]] = []
        rows = size = 0
        with at(f"{split}.embeddings.npy").open("wb") as file:  # bare, despite its name
            for name in names:
                path = f"{split}/{name}"
                values = np.atleast_2d(np.load(at(f"{path}.embedding.npy")))
                file.write(values.tobytes())
                rows, size = rows + len(values), values.shape[1]
                written = json.loads(at(f"{path}.target-labels.json").read_bytes())
                if self.kind == "timestamps":
                    labels += written
                    slug = str(final / path)
                    found = json.loads(at(f"{path}.timestamps.json").read_bytes())
                    times += [(slug, time) for time in found]
                else:
                    labels.append(written)
        at(f"{split}.embedding-dimensions.json").write_text(json.dumps((rows, size)))
        at(f"{split}.target-labels.pkl").write_bytes(pickle.dumps(labels))
        if self.kind == "timestamps":
            at(f"{split}.filename-timestamps.json").write_text(json.dumps(times))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{str(value)[:100]!r} is no list")
    return value


_NOT_IN_NAMES = re.compile("[\0\\\\\ud800-\udfff]")  # half characters, too

_LONGEST = 230
"""Bytes of a part of a name, so that ``.filename-timestamps.json`` can be put behind it."""

_OF_THE_LAYOUT = re.compile(
    r"\.(?:csv|json|npy|pkl|embeddings|embedding-dimensions|filename-timestamps|target-labels)$"
)
"""Ends of names that are written beside those of a task, and might be the same."""


def _checked_name(name: Any, most: int | None = None) -> str:
    """Return a name that stays inside any folder that it is put in.

    Raises:
        ValueError: it is absolute, goes up, or could be written in another way; or the layout has
            no place for it.
    """
    if isinstance(name, str) and name not in {"", "."} and not _NOT_IN_NAMES.search(name):
        path = PurePosixPath(name)
        plain = not path.is_absolute() and ".." not in path.parts and str(path) == name
        if plain and not path.parts[0].startswith(".") and len(path.parts) <= (most or 100):
            for part in path.parts:
                if len(part.encode()) > _LONGEST or _OF_THE_LAYOUT.search(part):
                    raise ValueError(
                        f"{part[:100]!r} is too long for the layout, or a name that it uses itself"
                    )
            return name
    raise ValueError(f"{str(name)[:100]!r} is not a file's or split's name inside the task")


def _checked_label(label: Any) -> Any:
    if isinstance(label, str | int):
        return label
    raise ValueError(f"{str(label)[:100]!r} is no label")


def _checked_event(event: Any) -> dict[str, Any]:
    if isinstance(event, dict) and isinstance(event.get("label"), str | int):
        times = (event.get("start"), event.get("end"))
        if all(isinstance(time, int | float) and abs(time) < _LATEST for time in times):
            return event
    raise ValueError(f"{str(event)[:100]!r} is no event with label, start and end")


def labels_at(events: list[dict[str, Any]], times: list[float], name: str) -> list[list[Any]]:
    """Return the labels of the events that are under way at each of the times in ms.

    Raises:
        TaskFolderError: they are far more than there can be in a recording of this length.

    Examples:
        >>> labels_at([{"start": 0, "end": 10, "label": "dog"}], [0.0, 10.0, 20.0], "bark.wav")
        [['dog'], ['dog'], []]
    """
    # In the order of heareval, whose labels can be numbers and texts, too.
    in_order = sorted(
        (event["start"], event["end"], isinstance(event["label"], str), event["label"])
        for event in events
    )
    inside = [
        (range(bisect_left(times, start), bisect_left(times, end + _INCLUSIVE)), label)
        for (start, end, _, label), _ in groupby(in_order)  # no set: numbers can share a hash
    ]
    letters = sum(len(where) * len(str(label)) for where, label in inside)
    if letters > _MAX_LETTERS * len(times):
        raise TaskFolderError(f"{name} has labels of {letters:,} characters in all: far too many")
    labels: list[list[Any]] = [[] for _ in times]
    for where, label in inside:
        for index in where:
            labels[index].append(label)
    return labels


def _by_file(done: CompletedShards) -> Iterator[Floats]:
    """Yield each file's embeddings [shape=(1 or n_timestamps, size)], in order."""
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
