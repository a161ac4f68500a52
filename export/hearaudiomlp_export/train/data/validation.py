"""What is measured on recordings that training doesn't hear: words named, and false alarms."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hearaudiomlp.keywords import (
    HOP_S,
    QUIET_DB,
    Hit,
    find_hits,
    mask_quiet,
    rms_dbfs,
    softmax,
)
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.recordings import Recordings
from hearaudiomlp_export.train.speech.words import KEYWORDS

Windows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Logits = Callable[[Windows], Windows]
"""Maps windows [shape=(n, 16000)] to keyword logits [shape=(n, 35)]."""

RICH = 500
"""Recordings in training from which on a word counts as rich."""

_HOP = round(HOP_S * SAMPLE_RATE)


def bare_windows(part: Part) -> tuple[Windows, Labels]:
    """Return each clip's first second, filled up with zeros, and the number of its word.

    Returns:
        Windows [shape=(n, 16000)] and labels [shape=(n,)].
    """
    windows = np.zeros((len(part), WINDOW), np.float32)
    for row, clip in zip(windows, part.clips(), strict=True):
        samples = clip[:WINDOW] / np.float32(32768)
        row[: len(samples)] = samples
    return windows, np.array([KEYWORDS.index(word) for word in part.words], np.int64)


def sliding_windows(samples: Windows) -> Windows:
    """Return windows of a sound, one every ``HOP_S`` seconds, the last filled up with zeros."""
    beyond = max(0, len(samples) - WINDOW)
    padded = np.zeros(WINDOW + -(-beyond // _HOP) * _HOP, np.float32)
    padded[: len(samples)] = samples
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::_HOP]


def spot(samples: Windows, logits: Logits) -> list[Hit]:
    """Return what ``hearaudiomlp keywords`` hears in a sound with its defaults."""
    windows = sliding_windows(samples)
    probabilities = mask_quiet(softmax(logits(windows)), rms_dbfs(windows), QUIET_DB)
    starts = [number * HOP_S for number in range(len(windows))]
    return find_hits(starts, probabilities, KEYWORDS)


@dataclass(frozen=True)
class Figures:
    """What one checkpoint reaches."""

    accuracy: float
    """Share of the words' windows that are named right, out of all 35 words."""

    rich: float
    """The same, of the words with many recordings in training (``RICH``)."""

    poor: float
    """The same, of the others."""

    alarms_per_hour: float | None
    """Hits in running speech whose word isn't in its text; ``None`` without running speech."""

    confusions: list[list[int]]
    """Windows by the word that was spoken (row) and named (column)."""


class Validation:
    """Measures networks on the validation split."""

    def __init__(self, recordings: Recordings, rich: frozenset[str]) -> None:
        """Prepare.

        Args:
            recordings: of the validation split.
            rich: the words that training has many recordings of.
        """
        self._windows, self._labels = bare_windows(recordings.words)
        self._rich = np.isin(np.array(recordings.words.words), sorted(rich))
        self._running = recordings.running

    def measure(self, logits: Logits) -> Figures:
        """Return the figures of a network."""
        named = logits(self._windows).argmax(axis=1)
        right = named == self._labels
        confusions = np.zeros((len(KEYWORDS), len(KEYWORDS)), int)
        np.add.at(confusions, (self._labels, named), 1)
        return Figures(
            accuracy=_share(right),
            rich=_share(right[self._rich]),
            poor=_share(right[~self._rich]),
            alarms_per_hour=self._alarms(logits),
            confusions=confusions.tolist(),
        )

    def _alarms(self, logits: Logits) -> float | None:
        if not len(self._running):
            return None
        alarms = 0
        for clip, text in zip(self._running.clips(), self._running.words, strict=True):
            said = text.split()
            hits = spot(clip.astype(np.float32) / np.float32(32768), logits)
            alarms += sum(hit.word not in said for hit in hits)
        return alarms / (len(self._running.pcm) / SAMPLE_RATE / 3600)


def _share(right: npt.NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else 0.0


def rich_words(part: Part) -> frozenset[str]:
    """Return the keywords that ``part`` has at least ``RICH`` recordings of."""
    return frozenset(word for word in KEYWORDS if part.words.count(word) >= RICH)
