"""Keyword spotting: from the probabilities of windows to the words spoken, and when.

KW-MLP distinguishes 35 words in windows of one second, and always names one of them: it has no
"none of these". Three things keep it from reporting words that nobody said. Windows that are too
quiet count as silence (:func:`mask_quiet`). Probabilities are averaged over neighboring windows,
because a word is whole in several windows and a chance likeness, half of a longer word say, only
in one. And what is left has to reach a threshold (:class:`HitFinder`).

Everything here is numpy and knows neither files nor models, so it serves recordings and live audio
alike.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import OptionError
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW

HOP_S = 0.25
"""Seconds from one window to the next, by default."""

THRESHOLD = 0.6
"""Averaged probability from which a word counts as spoken."""

SMOOTHING_S = 0.5
"""Seconds over which probabilities are averaged: full width at half weight."""

MERGE_S = 0.3
"""Seconds between hits of one word that are bridged."""

QUIET_DB = -60.0
"""Level of a window, in dB below full scale (RMS), under which it counts as silence."""

_WINDOW_S = WINDOW / SAMPLE_RATE
_SHORTEST_S = 0.5  # of a hit; words last about as long
_SLACK = 1e-6  # seconds; times are sums of decimal fractions


@dataclass(frozen=True)
class Hit:
    """A word that was spoken.

    Examples:
        >>> hit = Hit("yes", 0.5, 1.25, 0.9)
        >>> hit.within(1.0)
        Hit(word='yes', start=0.5, end=1.0, probability=0.9)
    """

    word: str
    start: float
    """Seconds, about where the word begins."""

    end: float
    """Seconds, about where it ends."""

    probability: float
    """The highest averaged probability, from the threshold to 1."""

    def within(self, duration: float) -> "Hit":
        """Return the hit, cut off at the end of a sound of ``duration`` seconds."""
        return replace(self, start=min(self.start, duration), end=min(self.end, duration))


def softmax(logits: Floats) -> Floats:
    """Turn keyword logits into probabilities [shape=(n, n_words)] that add up to one.

    Examples:
        >>> softmax(np.array([[0.0, 0.0]]))
        array([[0.5, 0.5]])
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def rms_dbfs(windows: Floats) -> npt.NDArray[np.float64]:
    """Return the RMS levels of windows [shape=(n, n_samples)] in dB below full scale.

    Digital silence has -infinity; a sine from -1 to 1 has -3.

    Examples:
        >>> rms_dbfs(np.array([[1.0, -1.0], [0.1, 0.1], [0.0, 0.0]])).round(1)
        array([  0., -20., -inf])
    """
    power = np.mean(np.square(windows, dtype=np.float64), axis=1)
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(power))


def mask_quiet(probabilities: Floats, window_levels: npt.ArrayLike, quiet: float) -> Floats:
    """Return the probabilities with zeros for the windows whose level is under ``quiet`` dB.

    Examples:
        >>> mask_quiet(np.array([[0.5, 0.5], [0.9, 0.1]]), [-20.0, -90.0], quiet=-60.0)
        array([[0.5, 0.5],
               [0. , 0. ]])
    """
    loud = np.asarray(window_levels) >= quiet
    silenced: Floats = probabilities * loud[:, None].astype(np.float32)
    return silenced


def window_probabilities(
    logits: Floats, windows: Floats, quiet: float = QUIET_DB, other: int | None = None
) -> Floats:
    """Return the probabilities of the words in windows, zeros where a window is quiet.

    Args:
        logits: keyword logits [shape=(n, n_words)].
        windows: the samples that they were computed from [shape=(n, n_samples)].
        quiet: level in dB below full scale (RMS) under which a window counts as silence.
        other: index of the label that stands for everything else, whose probability becomes 0, so
            that it is never found; None if there is no such label.

    Returns:
        The probabilities [shape=(n, n_words)], float32.

    Examples:
        >>> windows = np.stack([np.full(16_000, 0.1), np.zeros(16_000)])
        >>> window_probabilities(np.zeros((2, 4), np.float32), windows).tolist()
        [[0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]
    """
    probabilities = softmax(logits)
    if other is not None:
        probabilities[:, other] = 0.0
    return mask_quiet(probabilities, rms_dbfs(windows), quiet)


@dataclass
class _Run:
    """Successive windows with the same word."""

    word: int
    first: float
    last: float
    probability: float

    def hit(self, labels: Sequence[str]) -> Hit:
        # All windows of the run hold the word, so it is in what they have in common, around the
        # middle. Windows that hold only most of it hear it too, which makes that too short; and
        # a run of more than a window's length is a word spoken again.
        middle = (self.first + self.last + _WINDOW_S) / 2
        length = self.last - self.first
        spoken = max(_SHORTEST_S, _WINDOW_S - length) + max(0.0, length - _WINDOW_S)
        start = max(0.0, middle - spoken / 2)
        return Hit(labels[self.word], start, middle + spoken / 2, self.probability)


class HitFinder:
    """Finds words in the probabilities of successive windows, in pieces of any size.

    The word of a window is the most probable one on average, if its probability reaches
    ``threshold``. The average covers the windows within ``smoothing`` seconds before and after;
    their weights fall from 1 for the window itself to 0 at ``smoothing``. Windows of the same word,
    no more than ``merge`` seconds apart and with no other word between them, are one hit. So a word
    that is repeated without a second's pause is one longer hit. The results don't depend on how the
    windows are split into pieces.

    Examples:
        >>> finder = HitFinder(["no", "yes"], smoothing=0)
        >>> heard = np.array([[0.1, 0.2], [0.1, 0.9], [0.1, 0.9], [0.1, 0.2]])
        >>> [*finder.push([0.0, 0.25, 0.5, 0.75], heard), *finder.finish()]
        [Hit(word='yes', start=0.5, end=1.25, probability=0.9)]
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        threshold: float = THRESHOLD,
        smoothing: float = SMOOTHING_S,
        merge: float = MERGE_S,
    ) -> None:
        """Start before the first window.

        Args:
            labels: the words, in the order of the probabilities.
            threshold: over 0, at most 1.
            smoothing: seconds; 0 takes each window as it is.
            merge: seconds.

        Raises:
            OptionError: an option has an invalid value.
        """
        if not 0.0 < threshold <= 1.0:
            raise OptionError(f"threshold has to be over 0 and at most 1, not {threshold!r}")
        if not (0.0 <= smoothing < np.inf and 0.0 <= merge < np.inf):
            raise OptionError("smoothing and merge are seconds, not negative")
        self._labels = tuple(labels)
        self._threshold, self._merge = threshold, merge + _SLACK
        self._smoothing = smoothing
        self._reach = max(0.0, smoothing - _SLACK)  # a window that far away would weigh nothing
        self._rows: deque[tuple[float, Floats]] = deque()  # those within reach of what is to come
        self._settled = 0  # of these rows
        self._run: _Run | None = None

    def push(self, starts: Sequence[float], probabilities: Floats) -> Iterator[Hit]:
        """Take the next windows; yield the hits that are over.

        Args:
            starts: where the windows start, in seconds, ascending.
            probabilities: of the words [shape=(n, n_labels)]; zeros for silence.
        """
        for start, row in zip(starts, probabilities, strict=True):
            self._rows.append((float(start), row))
            while self._rows[self._settled][0] + self._reach < start:
                yield from self._settle()

    def finish(self) -> Iterator[Hit]:
        """Yield the hits that the end of the sound ends; the next push starts a new sound."""
        while self._settled < len(self._rows):
            yield from self._settle()
        yield from self._end_run()
        self._rows.clear()
        self._settled = 0

    def _settle(self) -> Iterator[Hit]:
        """Decide on the first window that isn't settled yet."""
        start = self._rows[self._settled][0]
        while self._rows[0][0] < start - self._reach:
            self._rows.popleft()
            self._settled -= 1
        near = [row for row in self._rows if row[0] <= start + self._reach]
        self._settled += 1
        weights = [1.0 - abs(time - start) / (self._smoothing or 1.0) for time, _ in near]
        average = np.average([row for _, row in near], axis=0, weights=weights)
        word = int(average.argmax())
        probability = float(average[word])
        run = self._run
        if probability < self._threshold:
            if run is not None and start - run.last > self._merge:
                yield from self._end_run()
        elif run is not None and word == run.word and start - run.last <= self._merge:
            run.last, run.probability = start, max(run.probability, probability)
        else:
            yield from self._end_run()
            self._run = _Run(word, start, start, probability)

    def _end_run(self) -> Iterator[Hit]:
        run, self._run = self._run, None
        if run is not None:
            yield run.hit(self._labels)


def find_hits(
    starts: Sequence[float],
    probabilities: Floats,
    labels: Sequence[str],
    *,
    threshold: float = THRESHOLD,
    smoothing: float = SMOOTHING_S,
    merge: float = MERGE_S,
) -> list[Hit]:
    """Return the hits in the probabilities of all windows of a sound; see :class:`HitFinder`.

    Args:
        starts: where the windows start, in seconds, ascending.
        probabilities: of the words [shape=(n, n_labels)]; zeros for silence.
        labels: the words.
        threshold: averaged probability from which a word counts as spoken.
        smoothing: seconds over which probabilities are averaged.
        merge: seconds between hits of one word that are bridged.

    Examples:
        >>> heard = np.array([[0.1, 0.2], [0.1, 0.9], [0.1, 0.9], [0.1, 0.2]])
        >>> find_hits([0.0, 0.25, 0.5, 0.75], heard, ["no", "yes"], smoothing=0)
        [Hit(word='yes', start=0.5, end=1.25, probability=0.9)]
    """
    finder = HitFinder(labels, threshold=threshold, smoothing=smoothing, merge=merge)
    return [*finder.push(starts, probabilities), *finder.finish()]
