"""Recordings of real people, decoded once: words, other words, running speech and noise."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import spreadsheet_cell
from hearaudiomlp.audio import read_audio
from hearaudiomlp.storage.atomic import FileRecord, replacing
from hearaudiomlp.storage.ownership import check_output, refuse_inputs
from hearaudiomlp_export.train.data.corpus import (
    Part,
    damaged,
    open_part,
    read_facts,
    write_facts,
)
from hearaudiomlp_export.train.data.layouts import (
    NOISE,
    OTHER,
    RUNNING,
    TRAINING,
    VALIDATION,
    WORD,
    Clip,
)
from hearaudiomlp_export.train.errors import CorpusError, RecordingsError

Pcm = npt.NDArray[np.int16]

_KINDS = (WORD, OTHER, RUNNING, NOISE)


@dataclass
class Recordings:
    """What was recorded for one split, by kind; a kind may have no clips."""

    words: Part
    others: Part
    running: Part
    noise: Part


def check_train_output(
    path: Path, *, overwrite: bool, start: Path | None, recordings: Path | None
) -> None:
    """Refuse to replace what isn't ours, or what training reads.

    Args:
        path: the file to be written.
        overwrite: whether an ordinary file may be replaced all the same.
        start: the weights to start from.
        recordings: the folder of recordings: all in it counts as read.

    Raises:
        OutputExistsError: there is such a file.
    """
    check_output(path, overwrite=overwrite, inputs=[] if start is None else [start])
    if recordings is not None and path.exists():
        refuse_inputs(path, [path] if path.resolve().is_relative_to(recordings.resolve()) else [])


def fingerprint(clips: Sequence[Clip]) -> str:
    """Return what distinguishes sets of clips: names, splits and the files' sizes and times."""
    digest = hashlib.sha256()
    seen: dict[Path, tuple[int, int]] = {}
    for clip in clips:
        if clip.path not in seen:
            status = clip.path.stat()
            seen[clip.path] = (status.st_size, status.st_mtime_ns)
        digest.update(
            repr((
                clip.name, clip.kind, clip.text, clip.split, clip.start, clip.stop, seen[clip.path]
            )).encode()
        )  # fmt: skip
    return digest.hexdigest()[:16]


def _decoded(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Pcm]]:
    """Yield the samples of each clip; files that hold several are decoded once."""
    path, samples = None, np.zeros(0, np.int16)
    for clip in clips:
        if clip.path != path:
            path = clip.path
            heard = read_audio(path).samples
            samples = np.clip(np.round(heard * 32768.0), -32768, 32767).astype("<i2")
        if clip.start > len(samples):
            raise RecordingsError(f"{clip.name} begins after the end of {path}")
        yield clip, samples[clip.start : clip.stop]


def prepare(clips: Sequence[Clip], folder: Path) -> Iterator[int]:
    """Decode what isn't there yet; yield the number of clips that are done.

    Args:
        clips: as listed; those for testing are left alone.
        folder: for ``<split>-<kind>.pcm`` (int16, end to end) and ``.json`` (all else); made if
            need be.

    Raises:
        AudioFileError: a file can't be decoded.
        RecordingsError: a file is shorter than the list of clips has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for split in (TRAINING, VALIDATION):
        for kind in _KINDS:
            chosen = [clip for clip in clips if clip.split == split and clip.kind == kind]
            about = folder / f"{split}-{kind}.json"
            if about.exists():
                done += len(chosen)
                yield done
                continue
            lengths, hashes = [], []
            written: list[FileRecord] = []
            with replacing(about.with_suffix(".pcm"), before=written.append) as file:
                for clip, pcm in _decoded(chosen):
                    raw = pcm.tobytes()
                    file.write(raw)
                    lengths.append(len(pcm))
                    hashes.append(clip.sha256 or hashlib.sha256(raw).hexdigest())
                    done += 1
                    yield done
            listed = {
                "ends": np.cumsum(lengths, dtype=np.int64).tolist(),
                "words": [clip.text for clip in chosen],
                "voices": [clip.speaker for clip in chosen],
                "names": [clip.name for clip in chosen],
                "sources": [clip.source for clip in chosen],
                "licences": [clip.licence for clip in chosen],
                "sha256": hashes,
            }
            write_facts(about, listed, written[0])


def load(folder: Path, split: str) -> Recordings:
    """Open the decoded recordings of a split; the samples stay on disk until they are used.

    Raises:
        CorpusError: what :func:`prepare` wrote isn't there, or isn't whole.
    """
    parts = []
    for kind in _KINDS:
        path = folder / f"{split}-{kind}.json"
        if not path.exists():
            raise CorpusError(f"{path} is missing: the recordings have not been decoded")
        raw = path.with_suffix(".pcm")
        facts = read_facts(path, raw)
        _sources(path, facts)
        # An empty file can't be mapped.
        count = raw.stat().st_size // 2
        pcm = np.memmap(raw, "<i2", "r", shape=(count,)) if count else np.zeros(0, np.int16)
        parts.append(open_part(path, facts, pcm))
    return Recordings(*parts)


def _sources(about: Path, facts: dict[str, Any]) -> list[list[str]]:
    """Return sources, licences, names, hashes and words of the clips of a part."""
    columns = [facts.get(name) for name in ("sources", "licences", "names", "sha256", "words")]
    texts = [one for one in columns if isinstance(one, list) and set(map(type, one)) <= {str}]
    if len(texts) < len(columns) or len(set(map(len, texts))) > 1:
        raise damaged(about)
    return texts


def write_manifest(folder: Path, path: Path, check: Callable[[], None] | None = None) -> None:
    """List the clips that training heard, with what identifies each, as CSV.

    Args:
        folder: where :func:`prepare` put them.
        path: the file to write.
        check: as for :func:`hearaudiomlp.storage.atomic.replacing`.
    """
    with replacing(path, check=check) as file:
        lines = [("source", "licence", "kind", "word", "clip", "sha256")]
        for kind in _KINDS:
            about = folder / f"{TRAINING}-{kind}.json"
            sources, licences, names, hashes, said = _sources(about, read_facts(about))
            words = said if kind in (WORD, OTHER) else [""] * len(said)
            kinds = [kind] * len(words)
            lines += zip(sources, licences, kinds, words, names, hashes, strict=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            map(spreadsheet_cell, line) for line in lines
        )
        file.write(text.getvalue().encode(errors="surrogateescape"))
