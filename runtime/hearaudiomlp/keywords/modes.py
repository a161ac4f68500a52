"""Modes of spotting: which words the probabilities of successive windows report.

``words`` reports what :class:`~hearaudiomlp.keywords.hits.HitFinder` finds, but at the beginning
of a hit and not at its end. The other modes are those of the windowed inference of "Attention-Free
Keyword Spotting" (arXiv 2110.07749): each window by itself says its most probable word, if that
reaches the threshold.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import OptionError
from hearaudiomlp.keywords.hits import Hit, HitFinder
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW

REFRACTORY_S = 1.0
"""Seconds after a word in which it isn't reported again, by default."""

_WINDOW_S = WINDOW / SAMPLE_RATE
_WORD_S = 0.5


class Trigger(Protocol):
    """A mode of spotting."""

    def push(self, starts: Sequence[float], probabilities: Floats, /) -> list[Hit]:
        """Take the next windows; return the words that they decide.

        Args:
            starts: where the windows start, in seconds, ascending.
            probabilities: of the words [shape=(n, n_labels)]; zeros for silence.
        """

    def finish(self) -> list[Hit]:
        """End the sound; return the words that its end decides."""


class _Onsets(HitFinder):
    """A finder of hits that also reports when one begins."""

    def __init__(
        self, labels: Sequence[str], threshold: float, smoothing: float, refractory: float
    ) -> None:
        super().__init__(labels, threshold=threshold, smoothing=smoothing)
        self._refractory = refractory
        self._announced: dict[str, float] = {}
        self._seen: object = None
        self.begun: list[Hit] = []

    def _settle(self) -> Iterator[Hit]:
        yield from super()._settle()
        run = self._run
        if run is not None and run is not self._seen:
            self._seen = run
            word = self._labels[run.word]
            if run.first - self._announced.get(word, -np.inf) >= self._refractory:
                self._announced[word] = run.first
                # It is first heard in a window that ends about when the word does.
                end = run.first + _WINDOW_S
                self.begun.append(Hit(word, end - _WORD_S, end, run.probability))

    def forget(self) -> None:
        self._announced.clear()


class OnsetMode:
    """Reports each hit of :class:`~hearaudiomlp.keywords.hits.HitFinder` as soon as it begins.

    The end of a hit isn't known then, so the times are those of a word of half a second.

    Examples:
        >>> import hearaudiomlp
        >>> labels = hearaudiomlp.load_model().labels
        >>> rows = np.zeros((3, 35), np.float32)
        >>> rows[:, labels.index("yes")] = 0.7, 0.9, 0.8
        >>> mode = OnsetMode(labels, threshold=0.6, smoothing=0.5, refractory=1.0)
        >>> [hit.word for hit in mode.push([0.0, 0.25, 0.5], rows) + mode.finish()]
        ['yes']
    """

    def __init__(
        self, labels: Sequence[str], threshold: float, smoothing: float, refractory: float
    ) -> None:
        """Start before the first window; for the options see :class:`hearaudiomlp.spotter.Spotter`.

        Raises:
            OptionError: an option has an invalid value.
        """
        if not 0.0 <= refractory < np.inf:
            raise OptionError(f"refractory is seconds, not negative, and not {refractory!r}")
        self._onsets = _Onsets(labels, threshold, smoothing, refractory)

    def _begun(self, over: Iterator[Hit]) -> list[Hit]:
        for _ in over:
            pass
        begun, self._onsets.begun = self._onsets.begun, []
        return begun

    def push(self, starts: Sequence[float], probabilities: Floats) -> list[Hit]:
        """Take the next windows; return the words that begin to be heard in them."""
        return self._begun(self._onsets.push(starts, probabilities))

    def finish(self) -> list[Hit]:
        """Return the words that the end of the sound decides."""
        begun = self._begun(self._onsets.finish())
        self._onsets.forget()
        return begun


class EveryWindowMode:
    """Every window whose most probable word reaches the threshold.

    Examples:
        >>> import hearaudiomlp
        >>> labels = hearaudiomlp.load_model().labels
        >>> rows = np.zeros((3, 35), np.float32)
        >>> rows[:, labels.index("yes")] = 0.7, 0.9, 0.8
        >>> mode = EveryWindowMode(labels, threshold=0.75)
        >>> [hit.start for hit in mode.push([0.0, 0.25, 0.5], rows)]
        [0.25, 0.5]
    """

    def __init__(self, labels: Sequence[str], threshold: float) -> None:
        """Start before the first window.

        Raises:
            OptionError: the threshold isn't over 0 and at most 1.
        """
        if not 0.0 < threshold <= 1.0:
            raise OptionError(f"threshold has to be over 0 and at most 1, not {threshold!r}")
        self._labels, self._threshold = tuple(labels), threshold

    def push(self, starts: Sequence[float], probabilities: Floats) -> list[Hit]:
        """Return a hit, as long as the window, for each window that reaches the threshold."""
        return [
            Hit(self._labels[row.argmax()], float(start), start + _WINDOW_S, float(row.max()))
            for start, row in zip(starts, probabilities, strict=True)
            if row.max() >= self._threshold
        ]

    def finish(self) -> list[Hit]:
        """Return nothing: every window is decided by itself."""
        return []


class BestWindowMode:
    """The most probable of all windows, if it reaches the threshold: one word for the sound.

    Examples:
        >>> import hearaudiomlp
        >>> labels = hearaudiomlp.load_model().labels
        >>> rows = np.zeros((3, 35), np.float32)
        >>> rows[:, labels.index("yes")] = 0.7, 0.9, 0.8
        >>> mode = BestWindowMode(labels, threshold=0.6)
        >>> mode.push([0.0, 0.25, 0.5], rows)
        []
        >>> [hit.start for hit in mode.finish()]
        [0.25]
    """

    def __init__(self, labels: Sequence[str], threshold: float) -> None:
        """Start before the first window; as for :class:`EveryWindowMode`."""
        self._windows = EveryWindowMode(labels, threshold)
        self._best: Hit | None = None

    def push(self, starts: Sequence[float], probabilities: Floats) -> list[Hit]:
        """Return nothing: the end decides."""
        for hit in self._windows.push(starts, probabilities):
            if self._best is None or hit.probability > self._best.probability:
                self._best = hit
        return []

    def finish(self) -> list[Hit]:
        """Return the best window's hit, if there is one."""
        best, self._best = self._best, None
        return [] if best is None else [best]


class VoteMode:
    """The word of most windows: one word for the sound.

    Examples:
        >>> import hearaudiomlp
        >>> labels = hearaudiomlp.load_model().labels
        >>> rows = np.zeros((3, 35), np.float32)
        >>> rows[:, labels.index("yes")] = 0.7, 0.9, 0.8
        >>> mode = VoteMode(labels, threshold=0.6)
        >>> mode.push([0.0, 0.25, 0.5], rows)
        []
        >>> [(hit.word, hit.start, hit.end) for hit in mode.finish()]
        [('yes', 0.0, 1.5)]
    """

    def __init__(self, labels: Sequence[str], threshold: float) -> None:
        """Start before the first window; as for :class:`EveryWindowMode`."""
        self._labels = tuple(labels)
        self._windows = EveryWindowMode(labels, threshold)
        self._votes: Counter[str] = Counter()
        self._spans: dict[str, Hit] = {}

    def push(self, starts: Sequence[float], probabilities: Floats) -> list[Hit]:
        """Return nothing: the end decides."""
        for hit in self._windows.push(starts, probabilities):
            self._votes[hit.word] += 1
            span = self._spans.get(hit.word, hit)
            highest = max(span.probability, hit.probability)
            self._spans[hit.word] = Hit(hit.word, span.start, hit.end, highest)
        return []

    def finish(self) -> list[Hit]:
        """Return the word with most votes (of several the first label), from its first window on.

        Its times are those of the first and the last window that say it, its probability is the
        highest among them.
        """
        words = [word for word in self._labels if word in self._votes]
        found = [self._spans[max(words, key=self._votes.__getitem__)]] if words else []
        self._votes.clear()
        self._spans.clear()
        return found
