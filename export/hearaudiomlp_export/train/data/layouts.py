"""Folders of recordings: which clips are in them, who speaks, and to which split each belongs.

Three layouts are known. *Packed*: ``clips.csv`` (and ``running.csv``) list stretches of larger
audio files. *Speech Commands* (Warden 2018, arXiv 1804.03209): a folder per word,
``<speaker>_nohash_<n>.wav`` in it, ``validation_list.txt``, ``testing_list.txt`` and
``_background_noise_``. *Plain*: a folder per word with any audio files in it, optionally a folder
per speaker below that.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hearaudiomlp._text import shorten
from hearaudiomlp.table.find import Skipped, walk
from hearaudiomlp.weights.locate import read_ordinary
from hearaudiomlp_export.train.errors import RecordingsError
from hearaudiomlp_export.train.speech.words import KEYWORDS

TRAINING, VALIDATION, TESTING = "training", "validation", "testing"
WORD, OTHER, RUNNING, NOISE = "word", "other", "running", "noise"

NOISE_FOLDER = "_background_noise_"
RUNNING_FOLDER = "_running_speech_"
"""Running speech in a folder per reader; a ``.txt`` beside each file may have its words."""

_AUDIO = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
_LISTS = {VALIDATION: "validation_list.txt", TESTING: "testing_list.txt"}
_MOST_OF_A_WORD = 2**27 - 1
_LARGEST_LIST = 256 << 20

MOST_CLIPS = 4_000_000
"""Clips that a list may have, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)  # there may be millions of them
class Clip:
    """A stretch of an audio file, and what is heard in it."""

    path: Path
    kind: str
    """``word`` (a keyword), ``other`` (another word), ``running`` (speech) or ``noise``."""

    text: str
    """The word, or all words, in lower case."""

    split: str
    """``training``, ``validation`` or ``testing``; the last is never read."""

    speaker: str
    """Empty if unknown."""

    name: str
    """Of the original clip."""

    start: int = 0
    stop: int | None = None
    """Samples of the file from ``start`` to before ``stop``; ``None``: to the end."""

    sha256: str = ""
    """Of the original samples as little-endian int16; computed from those read where not given."""

    source: str = ""
    licence: str = ""


def hash_split(speaker: str, validation: float = 10.0, testing: float = 10.0) -> str:
    """Return the split of a speaker by the rule of Speech Commands (arXiv 1804.03209, section 5).

    The hash of the speaker decides, so that all of a speaker's clips stay together, also those that
    are added later.

    Args:
        speaker: or a file's name where no speaker is known.
        validation: per cent of the speakers.
        testing: per cent of the speakers.

    Examples:
        >>> hash_split("0a7c2a8d")
        'training'
    """
    name = speaker.encode(errors="surrogateescape")
    number = int(hashlib.sha1(name, usedforsecurity=False).hexdigest(), 16)
    per_cent = number % (_MOST_OF_A_WORD + 1) * (100.0 / _MOST_OF_A_WORD)
    if per_cent < validation:
        return VALIDATION
    return TESTING if per_cent < validation + testing else TRAINING


def speaker_of(below: Path, word: str) -> str:
    """Return who speaks in a file, or "" if its name doesn't say.

    Args:
        below: path of the file in the folder of its word.
        word: that folder's name.

    Examples:
        >>> names = ("0a7c2a8d_nohash_0.wav", "ann/1.wav", "ann-1.wav", "happy_3.wav")
        >>> [speaker_of(Path(name), "happy") for name in names]
        ['0a7c2a8d', 'ann', 'ann', '']
    """
    if len(below.parts) > 1:
        return below.parts[0]
    if "_nohash_" in below.stem:
        return below.stem.partition("_nohash_")[0]
    first, separator, _ = re.sub(r"-", "_", below.stem).partition("_")
    return first if separator and first != word else ""


def _read(path: Path) -> str:
    """Return the text of a list: an ordinary file, and no larger than any needs to be."""
    try:
        return read_ordinary(str(path), _LARGEST_LIST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise RecordingsError(f"{path} can't be read: {problem}") from None


def _rows(path: Path) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(_read(path), newline=""), restval="")


@lru_cache(maxsize=1 << 10)  # clips of one file share its path
def _inside(folder: Path, file: str) -> Path:
    name = Path(file)
    if name.is_absolute() or ".." in name.parts:
        raise ValueError(f"a file outside the folder: {file}")
    return folder / name


def _stretch(folder: Path, row: dict[str, str]) -> tuple[Path, int, int]:
    """Return the file of a row, which has to be in the folder, and the clip's part of it."""
    start, stop = int(row["start"]), int(row["stop"])
    if not 0 <= start <= stop:
        raise ValueError(f"a clip from {start} to {stop}")
    return _inside(folder, row["file"]), start, stop


def _one_of(row: dict[str, str], column: str, known: Sequence[str]) -> str:
    if row[column] not in known:
        raise ValueError(f"{column} is one of {', '.join(known)}, not {row[column]!r}")
    return row[column]


def _packed(folder: Path, keywords: Sequence[str]) -> Iterator[Clip]:
    splits = (TRAINING, VALIDATION, TESTING)
    try:
        for number, row in enumerate(_rows(folder / "clips.csv")):
            if number == MOST_CLIPS:
                raise ValueError(f"more than {MOST_CLIPS:,} clips")
            word, kind = _phrase(row["word"], keywords), _one_of(row, "kind", (WORD, OTHER, NOISE))
            if keywords != KEYWORDS and kind in (WORD, OTHER):
                kind = _kind(word, keywords)
            path, start, stop = _stretch(folder, row)
            yield Clip(
                path, kind, word, _one_of(row, "split", splits), row["speaker"], row["clip"],
                start, stop, row["sha256"], row.get("repository") or "", row.get("licence") or "",
            )  # fmt: skip
        if (folder / "running.csv").exists():
            for row in _rows(folder / "running.csv"):
                path, start, stop = _stretch(folder, row)
                yield Clip(
                    path, RUNNING, row["text"].lower(), _one_of(row, "split", splits),
                    row["reader"], row["utterance"], start, stop,
                )  # fmt: skip
    except (KeyError, TypeError, ValueError, csv.Error) as problem:
        if isinstance(problem, RecordingsError):
            raise
        raise RecordingsError(
            f"{folder}: clips.csv or running.csv lacks a column or has a bad entry "
            f"({shorten(problem)})"
        ) from problem


def _listed(folder: Path) -> dict[str, str] | None:
    """Return the splits of the clips in the official lists, or ``None`` without lists."""
    if not any((folder / name).exists() for name in _LISTS.values()):
        return None
    return {
        line.strip(): split
        for split, name in _LISTS.items()
        if (folder / name).exists()
        for line in _read(folder / name).splitlines()
        if line.strip()
    }


def _kind(word: str, keywords: Sequence[str]) -> str:
    if word == NOISE_FOLDER:
        return NOISE
    if word == RUNNING_FOLDER:
        return RUNNING
    return WORD if word in keywords else OTHER


def _phrase(name: str, keywords: Sequence[str]) -> str:
    """Return the keyword that a folder or a label stands for, else its own name."""
    spaced = " ".join(name.replace("_", " ").lower().split())
    return spaced if spaced in keywords else name


def _folders(folder: Path, keywords: Sequence[str]) -> Iterator[Clip]:
    listed = _listed(folder)
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        word = _phrase(place.name, keywords)
        kind = _kind(word, keywords)
        if kind == OTHER and place.name.startswith((".", "_")):
            continue
        files = (Path(file.path) for file in walk(str(place), Skipped()))
        for path in sorted(path for path in files if path.suffix.lower() in _AUDIO):
            name = path.relative_to(folder).as_posix()
            speaker = "" if kind == NOISE else speaker_of(path.relative_to(place), place.name)
            if listed is not None and kind in (WORD, OTHER):
                split = listed.get(name, TRAINING)
            else:
                # Words have testing set aside, as in the public data; noise and readers haven't.
                share = 10.0 if kind in (WORD, OTHER) else 0.0
                split = hash_split(speaker or name, testing=share)
            text = "" if kind == NOISE else word
            if kind == RUNNING:
                said = path.with_suffix(".txt")
                text = _read(said).lower() if said.exists() else ""
            yield Clip(path, kind, text, split, speaker, name)


def list_clips(folder: Path, keywords: Sequence[str] = KEYWORDS) -> list[Clip]:
    """Return the clips of a folder in one of the three layouts.

    Args:
        folder: of recordings.
        keywords: the words to be named; with a user's own, there need not be recordings of any.

    Raises:
        RecordingsError: it holds no keyword, its lists are damaged, or a speaker is in two splits.
    """
    if not folder.is_dir():
        raise RecordingsError(f"{folder} is no folder")
    packed = (folder / "clips.csv").exists()
    clips = list((_packed if packed else _folders)(folder, keywords))
    if keywords != KEYWORDS and not clips:
        raise RecordingsError(
            f"{folder} has no recordings: expected clips.csv, or a folder per word"
        )
    for split in (TRAINING, VALIDATION) if keywords == KEYWORDS else ():
        if not any(clip.kind == WORD and clip.split == split for clip in clips):
            raise RecordingsError(
                f"{folder} has no keyword for {split}: expected clips.csv, or a folder per word "
                f"({', '.join(KEYWORDS[:3])} ...) with recordings of at least some ten speakers"
            )
    _check_speakers(folder, clips)
    return clips


def _check_speakers(folder: Path, clips: Iterable[Clip]) -> None:
    splits: dict[str, str] = {}
    for clip in clips:
        if clip.kind not in (WORD, RUNNING):  # what is measured
            continue
        if clip.speaker and splits.setdefault(clip.speaker, clip.split) != clip.split:
            raise RecordingsError(
                f"{folder}: speaker {clip.speaker!r} is in {splits[clip.speaker]} and in "
                f"{clip.split} ({clip.name}); what is measured would be known already"
            )
