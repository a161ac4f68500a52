"""How well a classifier does on recordings that it wasn't fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.fitting.alarms import THRESHOLD, alarm_rate, margins
from hearaudiomlp.fitting.classifier import Integers, Windows
from hearaudiomlp.keywords.hits import HOP_S, find_hits, softmax

THRESHOLDS = tuple(number / 100 for number in range(30, 100, 5))
"""Of the curve."""


@dataclass(frozen=True)
class Recall:
    """How many recordings of a class were found."""

    label: str
    found: int
    count: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.found / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the share.

        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22(158), 1927.

        Examples:
            >>> low, high = Recall("robin", 9, 10).interval
            >>> round(low, 3), round(high, 3)
            (0.596, 0.982)
        """
        z = 1.959964
        centre = (self.share + z**2 / (2 * self.count)) / (1 + z**2 / self.count)
        spread = self.share * (1 - self.share) / self.count + z**2 / (4 * self.count**2)
        half = z * math.sqrt(spread) / (1 + z**2 / self.count)
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Results:
    """Figures of a classifier, by cross-validation.

    Examples:
        >>> recalls = (Recall("robin", 9, 10), Recall("wren", 5, 10))
        >>> confusions = np.array([[9, 0, 1], [0, 5, 5], [0, 0, 0]])
        >>> learning = ((0.8, 0.9), (0.3, 0.5))
        >>> Results(("robin", "wren", "other"), confusions, recalls, (), 0.5, learning).advice
        'wren'
    """

    labels: tuple[str, ...]
    """The classes, everything else last."""

    confusions: Integers
    """Recordings of each class by what was found in them [shape=(n_labels, n_labels)]."""

    recalls: tuple[Recall, ...]
    """Of each class, at the default threshold."""

    curve: tuple[tuple[float, float, float], ...]
    """Threshold, recall of all classes on average, windows of other sound an hour that reach it."""

    false_alarms: float
    """Windows of other sound an hour that reach the default threshold: an estimate."""

    learning: tuple[tuple[float, float], ...]
    """Of each class, the share of windows recognized with half of its recordings, and with all."""

    @property
    def advice(self) -> str:
        """Name the class of which more recordings would help most.

        The share that is missed is taken to fall as a power of the number of recordings.
        """
        gains = []
        for recall, (half, full) in zip(self.recalls, self.learning, strict=True):
            missed = max(1e-3, 1 - full)
            power = max(0.0, math.log(max(1e-3, 1 - half) / missed) / math.log(2))
            more = (recall.count / (recall.count + 10)) ** max(power, 0.1)
            gains.append(missed * (1 - more))
        return self.labels[int(np.argmax(gains))]


@dataclass(frozen=True)
class Slid:
    """Recordings in windows one hop apart, as a spotter sees them.

    Examples:
        >>> zeros = np.zeros(4, int)
        >>> windows = Windows(np.zeros((4, 7, 2)), zeros, zeros, zeros == 1, zeros)
        >>> len(Slid(windows, np.array([0, 0, 1, 1]), np.zeros(4, bool)).windows)
        4
    """

    windows: Windows

    clips: Integers
    """Number of the recording of each window [shape=(n,)]."""

    quiet: npt.NDArray[np.bool_]
    """Whether each window counts as silence [shape=(n,)]."""


def find_words(
    slid: Slid, logits: Floats, labels: Sequence[str], threshold: float
) -> dict[int, str]:
    """Return the word of the most probable hit in each recording; without hits, the last label.

    Args:
        slid: the recordings.
        logits: of their windows [shape=(n, n_labels)].
        labels: the classes.
        threshold: averaged probability from which a word counts as found.

    Examples:
        >>> zeros = np.zeros(4, int)
        >>> windows = Windows(np.zeros((4, 7, 2)), zeros, zeros, zeros == 1, zeros)
        >>> slid = Slid(windows, np.array([0, 0, 1, 1]), np.zeros(4, bool))
        >>> logits = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [0.0, 9.0]])
        >>> find_words(slid, logits, ("robin", "other"), threshold=0.5)
        {0: 'robin', 1: 'other'}
    """
    probabilities = softmax(logits)[:, :-1] * ~slid.quiet[:, None]
    found = {}
    for clip in np.unique(slid.clips):
        rows = probabilities[slid.clips == clip]
        starts = [number * HOP_S for number in range(len(rows))]
        hits = find_hits(starts, rows, labels[:-1], threshold=threshold)
        best = max(hits, key=lambda hit: hit.probability, default=None)
        found[int(clip)] = labels[-1] if best is None else best.word
    return found


def evaluate(
    labels: Sequence[str],
    slid: Slid,
    seen: Floats,
    speech: Floats,
    learning: Sequence[tuple[float, float]],
) -> Results:
    """Measure a classifier.

    Args:
        labels: the classes, everything else last.
        slid: the recordings as a spotter sees them.
        seen: calibrated logits of their windows, by cross-validation.
        speech: calibrated logits of other sound, by cross-validation.
        learning: see :attr:`Results.learning`.

    Examples:
        >>> targets = np.array([0, 0, 1, 1])
        >>> windows = Windows(np.zeros((4, 7, 2)), targets, targets, targets == 1, targets)
        >>> slid = Slid(windows, targets, np.zeros(4, bool))
        >>> logits = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [0.0, 9.0]])
        >>> speech = np.random.default_rng(0).normal([0.0, 9.0], size=(100, 2))
        >>> evaluate(("robin", "other"), slid, logits, speech, [(1.0, 1.0)]).confusions.tolist()
        [[1, 0], [0, 1]]
    """
    truth = dict(zip(slid.clips.tolist(), slid.windows.targets.tolist(), strict=True))
    confusions = np.zeros((len(labels), len(labels)), np.int64)
    curve = []
    for threshold in sorted({*THRESHOLDS, THRESHOLD}):
        words = find_words(slid, seen, labels, threshold)
        counts = np.zeros_like(confusions)
        for clip, word in words.items():
            counts[truth[clip], labels.index(word)] += 1
        shares = counts.diagonal()[:-1] / counts.sum(axis=1)[:-1]
        curve.append((threshold, float(shares.mean()), alarm_rate(margins(speech), threshold)))
        if threshold == THRESHOLD:
            confusions = counts
    recalls = tuple(
        Recall(label, int(confusions[index, index]), int(confusions[index].sum()))
        for index, label in enumerate(labels[:-1])
    )
    at_default = next(alarms for threshold, _, alarms in curve if threshold == THRESHOLD)
    return Results(tuple(labels), confusions, recalls, tuple(curve), at_default, tuple(learning))
