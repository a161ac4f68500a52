"""How often other sound is taken for a word: margins, and the tail of those of other sound.

The margin that is reached a few times an hour is far in the tail of what a thousand windows of
other sound show, so it is extrapolated from the largest tenth as in a normal probability plot: a
margin is a sum of hundreds of terms.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.keywords.hits import HOP_S

ALARMS_PER_HOUR = 5.0
"""Windows an hour of other sound whose probability of a class may be :data:`SURE` or more.

A spotter averages neighboring windows, and most of these are alone: docs/own-words.md has what
is left."""

THRESHOLD = 0.5
"""Averaged probability from which a class counts as found: the threshold in the files' metadata.

Lower than that of the bundled keywords: a word may fill a single window."""

SURE = 0.65
"""Probability of a window with the margin that :data:`ALARMS_PER_HOUR` windows reach."""

_WINDOWS_PER_HOUR = 3600 / HOP_S
_NORMAL = NormalDist()


def margins(logits: Floats) -> Floats:
    """Return how far each word is above everything else [shape=(n, n_words)].

    Examples:
        >>> margins(np.array([[3.0, 2.0, 1.0]])).tolist()
        [[2.0, 1.0]]
    """
    difference: Floats = logits[:, :-1] - logits[:, -1:]
    return difference


@dataclass(frozen=True)
class Tail:
    """The upper tail of a sample, as that of a normal distribution: how often values are above one.

    Examples:
        >>> tail = Tail.of(np.random.default_rng(0).normal(size=20_000))
        >>> abs(tail.value(1e-4) - 3.72) < 0.2
        True
        >>> abs(tail.share(tail.value(1e-4)) - 1e-4) < 1e-9
        True
    """

    mean: float
    spread: float

    @classmethod
    def of(cls, values: Floats) -> "Tail":
        """Fit a line through the largest tenth of a normal probability plot."""
        largest = np.sort(values)[-max(2, len(values) // 10) :]
        ranks = np.arange(len(values) - len(largest), len(values))
        normal = [_NORMAL.inv_cdf(share) for share in (ranks + 0.5) / len(values)]
        spread, mean = np.polyfit(normal, largest, 1)
        return cls(float(mean), max(1e-6, float(spread)))

    def value(self, share: float) -> float:
        """Return the value that only a share of values is above."""
        return self.mean + self.spread * _NORMAL.inv_cdf(1.0 - share)

    def share(self, value: float) -> float:
        """Return the share of values above one."""
        return 1.0 - _NORMAL.cdf((value - self.mean) / self.spread)


def alarm_margins(logits: Floats) -> npt.NDArray[np.float64]:
    """Return the margin of each word that other sound is above in :data:`ALARMS_PER_HOUR` windows.

    Args:
        logits: of windows of other sound [shape=(n, n_classes)].

    Examples:
        >>> logits = np.random.default_rng(0).normal(size=(1000, 3))
        >>> alarm_margins(logits).shape
        (2,)
    """
    values = margins(logits)
    share = ALARMS_PER_HOUR / _WINDOWS_PER_HOUR / values.shape[1]
    return np.array([Tail.of(column).value(share) for column in values.T])


def alarm_rate(values: Floats, threshold: float) -> float:
    """Return how many windows an hour of other sound reach a threshold: an estimate.

    Args:
        values: calibrated margins of windows of other sound [shape=(n, n_words)].
        threshold: a probability.

    Examples:
        >>> values = np.random.default_rng(0).normal(-5.0, 1.0, (1000, 2))
        >>> alarm_rate(values, 0.5) < 1.0
        True
    """
    margin = math.log(threshold / (1 - threshold))
    return _WINDOWS_PER_HOUR * sum(Tail.of(column).share(margin) for column in values.T)
