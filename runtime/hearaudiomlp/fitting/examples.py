"""The user's recordings: a folder for each class, or a CSV of path, start, end and label."""

import csv
import io
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from hearaudiomlp._text import is_formula, printable, shorten
from hearaudiomlp._types import Floats
from hearaudiomlp.errors import (
    AudioFileChangedError,
    AudioFileError,
    AudioFileNotFoundError,
    ExamplesError,
)
from hearaudiomlp.fitting.recording import LongRecording
from hearaudiomlp.keywords.hits import QUIET_DB, rms_dbfs
from hearaudiomlp.signal.windows import to_samples
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp.storage.atomic import record_of
from hearaudiomlp.table.find import Skipped, walk
from hearaudiomlp.weights.locate import read_ordinary

OTHER_FOLDERS = ("other", "_other_", "_background_", "_background_noise_", "_unknown_", "_silence_")
"""Names of folders, and labels in a CSV, whose recordings are examples of everything else."""

LONGEST_LABEL = 100
"""Characters of a label, as in every model file."""

FEWEST = 2
"""Recordings of a class: with one, nothing could be held out."""

MOST_CLIPS = 10_000
"""Recordings that are fitted to, so that time and memory stay bounded."""

MOST_ROWS = 1_000_000
"""Rows of a CSV."""

_LARGEST_CSV = 1 << 26  # bytes
_MOST_LABELS = 1_000
_SHORTEST_S = 0.05


@dataclass(frozen=True)
class Clip:
    """A recording, or a part of one, of a class.

    Examples:
        >>> Clip("calls/robin/1.wav", "robin", start=2.0, end=3.0).end
        3.0
    """

    path: str
    label: str | None
    """None for everything else."""

    start: float = 0.0
    """Seconds."""

    end: float | None = None
    """Seconds; None for the end of the recording."""

    group: str = ""
    """What must be on one side of a split only: the recording, or what the CSV says."""


@dataclass
class Examples:
    """Clips that can be fitted to, and the SHA-256 of their files.

    Examples:
        >>> Examples([Clip("1.wav", "robin"), Clip("2.wav", None)]).labels
        ('robin',)
    """

    clips: list[Clip]

    sha256: dict[str, str] = field(default_factory=dict)
    """Of each file."""

    left_out: int = 0
    """Number of clips that there are too many of."""

    states: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Size in bytes and date in nanoseconds of each file when it was read first."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in alphabetical order, without that of everything else."""
        return tuple(sorted({clip.label for clip in self.clips if clip.label is not None}))


def read_label(text: str) -> str | None:
    r"""Return a label, or None if it stands for everything else.

    Raises:
        ExamplesError: it can't be the label of a class.

    Examples:
        >>> read_label("robin"), read_label("_other_")
        ('robin', None)
        >>> read_label("ro\tbin")
        Traceback (most recent call last):
        ...
        hearaudiomlp.errors.ExamplesError: the label ro\tbin has characters that can't be printed
    """
    if text.casefold() in OTHER_FOLDERS:
        return None
    if not text.strip():
        raise ExamplesError("a label is empty")
    if text != text.strip():
        raise ExamplesError(f"the label {shorten(text, 40)!r} begins or ends with a space")
    if is_formula(text):  # where it is written: in a CSV, which spreadsheets open
        raise ExamplesError(
            f"the label {shorten(text, 40)} begins like a formula of a spreadsheet, with {text[0]}"
        )
    if len(text) > LONGEST_LABEL:
        raise ExamplesError(
            f"the label {shorten(text, 40)} is too long: at most {LONGEST_LABEL} characters"
        )
    if printable(text) != text:
        raise ExamplesError(f"the label {printable(text)} has characters that can't be printed")
    return text


def find_clips(source: str | os.PathLike[str]) -> list[Clip]:
    """List the clips of a folder that has a folder for each class, or of a CSV.

    Args:
        source: the folder, or a file whose name ends in ``.csv`` with the columns ``path`` and
            ``label`` and, if wanted, ``start`` and ``end`` in seconds, and ``group``. Relative
            paths start from the CSV's folder.

    Raises:
        ExamplesError: there is no such folder or file, or it isn't laid out like that.

    Examples:
        >>> find_clips("recordings")
        Traceback (most recent call last):
        ...
        hearaudiomlp.errors.ExamplesError: a class needs at least 2 recordings, so that one can be
        held out, and b has one
    """
    path = Path(source)
    if path.is_dir():
        clips = list(_in_folders(path))
    elif path.suffix.lower() == ".csv":
        clips = list(_in_csv(path))
    elif path.exists():
        raise ExamplesError(f"{path} is neither a folder nor a .csv")
    else:
        raise ExamplesError(f"there is no folder or CSV {path}")
    _check_labels(clips, path)
    return clips


def _in_folders(folder: Path) -> Iterator[Clip]:
    for sub in sorted(folder.iterdir()):
        if not sub.is_dir() or sub.name.startswith("."):
            continue
        label = read_label(os.fsencode(sub.name).decode(errors="surrogateescape"))
        for file in walk(str(sub), Skipped()):
            if os.path.isfile(file.path):  # noqa: PTH113 - raises nothing where a path is too long
                yield Clip(file.path, label, group=file.path)


def _in_csv(path: Path) -> Iterator[Clip]:
    try:
        text = read_ordinary(str(path), _LARGEST_CSV).decode("utf-8-sig")
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ExamplesError(f"can't read {path}: {shorten(reason)}") from None
    rows = csv.DictReader(io.StringIO(text, newline=""))  # names may have any line break in them
    try:
        names = rows.fieldnames or []
        if missing := {"path", "label"} - set(names):
            raise ExamplesError(
                f"{path} has no column {' and no column '.join(sorted(missing))}: its first line "
                "names the columns path, label and, if wanted, start, end and group"
            )
        for number, row in enumerate(rows):
            if number == MOST_ROWS:
                raise ExamplesError(f"{path} has more than {MOST_ROWS:,} rows")
            if row["path"] is None or row["label"] is None:
                raise ExamplesError(f"{path}, line {rows.line_num}: too few columns")
            try:
                yield _row_clip(path, row)
            except ExamplesError as problem:
                raise ExamplesError(f"{path}, line {rows.line_num}: {problem}") from None
    except csv.Error as problem:
        raise ExamplesError(f"{path}, line {rows.line_num}: {shorten(problem)}") from None


def _row_clip(path: Path, row: dict[str, str]) -> Clip:
    file = str(path.parent / row["path"])
    start, end = _seconds(row.get("start"), 0.0), _seconds(row.get("end"), None)
    if end is not None and end <= (start or 0.0):
        raise ExamplesError(f"end {end:g} isn't after start {start:g}")
    group = (row.get("group") or "").strip() or file
    return Clip(file, read_label(row["label"]), start or 0.0, end, group)


def _seconds(text: str | None, default: float | None) -> float | None:
    if text is None or not text.strip():
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise ExamplesError(f"{shorten(text, 40)} is no time in seconds")
    return value


def _check_labels(clips: list[Clip], source: Path) -> None:
    groups: dict[str, set[str]] = {}
    for clip in clips:
        if clip.label is not None:
            groups.setdefault(clip.label, set()).add(clip.group)
    if not groups:
        raise ExamplesError(
            f"{source} has no class with recordings in it: make a folder for each class, named as "
            "the class, with its recordings"
        )
    if len(groups) > _MOST_LABELS:
        raise ExamplesError(f"{len(groups):,} classes: at most {_MOST_LABELS:,}")
    folded: dict[str, str] = {}
    for label in groups:
        twin = folded.setdefault(label.casefold(), label)
        if twin != label:
            raise ExamplesError(f"the labels {twin} and {label} differ in case alone")
    few = sorted(label for label, found in groups.items() if len(found) < FEWEST)
    if few:
        raise ExamplesError(
            f"a class needs at least {FEWEST} recordings, so that one can be held out, and "
            f"{', '.join(few[:5])} {'has' if len(few) == 1 else 'have'} one"
        )


def read_examples(clips: Sequence[Clip], most: int = MOST_CLIPS, seed: int = 0) -> Examples:
    """Check that clips can be read and fitted to. Their samples aren't kept.

    Args:
        clips: what :func:`find_clips` found.
        most: of more clips, so many are chosen at random, spread evenly over the classes.
        seed: of what is chosen.

    Raises:
        ExamplesError: a recording can't be read, is silent, or ends before the clip starts. All
            such problems are listed.
        MissingPackageError: the extra ``[audio]`` isn't installed.

    Examples:
        >>> examples = read_examples([Clip("recordings/a/one.wav", "a", group="anna")])
        >>> examples.labels, list(examples.sha256)
        (('a',), ['recordings/a/one.wav'])
    """
    chosen = _choose(clips, most, seed)
    examples = Examples([], left_out=len(clips) - len(chosen))
    problems: list[str] = []
    read = _reader(examples.states)
    for clip in chosen:
        try:
            read(clip)
            if clip.path not in examples.sha256:
                examples.sha256[clip.path] = _sha256(clip.path)
            examples.clips.append(clip)
        except (AudioFileError, AudioFileNotFoundError, ExamplesError) as problem:
            problems.append(str(problem))
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ExamplesError("; ".join(problems[:5]) + more)
    return examples


def read_samples(examples: Examples) -> Iterator[Floats]:
    """Read clips one after the other, so that one recording is in memory at a time.

    Args:
        examples: what :func:`read_examples` returned.

    Yields:
        The samples of each clip, mono at 16 kHz [shape=(n,)].

    Raises:
        ExamplesError: a recording is silent, or ends before the clip starts.
        AudioFileError: a recording can't be read, or isn't what it was.

    Examples:
        >>> clip = Clip("recordings/a/one.wav", "a", start=0.25, group="anna")
        >>> [samples.shape for samples in read_samples(Examples([clip]))]
        [(4000,)]
    """
    return map(_reader(examples.states), examples.clips)


def _choose(clips: Sequence[Clip], most: int, seed: int) -> list[Clip]:
    """Return clips in the order of their files: all, or the first of each class, then the next."""
    if len(clips) > most:
        seen: Counter[str | None] = Counter()
        places = []
        for index in np.random.default_rng(seed).permutation(len(clips)):
            label = clips[index].label
            places.append((seen[label], int(index)))
            seen[label] += 1
        clips = [clips[index] for _, index in sorted(places)[:most]]
    return sorted(clips, key=lambda clip: clip.path)


def _reader(states: dict[str, tuple[int, int]]) -> Callable[[Clip], Floats]:
    """Return a function that reads clips; of consecutive ones of one file, that is opened once.

    What is computed is what was checked, and has the SHA-256 that the report states: a file may
    not change between the first and the second reading.
    """

    @lru_cache(maxsize=1)
    def opened(path: str) -> LongRecording:
        return LongRecording(path)

    def read(clip: Clip) -> Floats:
        samples = _part(clip, opened(clip.path))
        status = Path(clip.path).stat()
        state = status.st_size, status.st_mtime_ns
        if states.setdefault(clip.path, state) != state:
            raise AudioFileChangedError(f"{clip.path}: has changed since it was checked")
        return samples

    return read


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return record_of(file)[1]


def _part(clip: Clip, recording: LongRecording) -> Floats:
    stop = None if clip.end is None else to_samples(clip.end)
    part = recording.read(to_samples(clip.start), stop)
    where = clip.path if stop is None and not clip.start else f"{clip.path} from {clip.start:g} s"
    if len(part) < _SHORTEST_S * SAMPLE_RATE:
        raise ExamplesError(f"{where}: only {len(part) / SAMPLE_RATE:.2f} s of sound")
    levels = rms_dbfs(np.pad(part, (0, -len(part) % WINDOW)).reshape(-1, WINDOW))
    if clip.label is not None and levels.max() < QUIET_DB:
        raise ExamplesError(f"{where}: silent ({levels.max():.0f} dB of full scale)")
    return part
