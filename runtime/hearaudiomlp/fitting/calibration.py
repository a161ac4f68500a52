"""From a classifier's logits to probabilities that suit the default threshold."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.fitting.alarms import SURE, alarm_margins, margins
from hearaudiomlp.fitting.classifier import Linear, Windows
from hearaudiomlp.keywords.hits import softmax

_SCALES = np.geomspace(0.25, 8.0, 21)


@dataclass(frozen=True)
class Calibration:
    """From logits to logits whose probabilities suit the default threshold.

    Examples:
        >>> Calibration(2.0, np.array([1.0, 0.0])).logits(np.array([[1.0, 1.0]])).tolist()
        [[3.0, 2.0]]
    """

    scale: float

    shift: npt.NDArray[np.float64]
    """[shape=(n_classes,)]"""

    def logits(self, values: Floats) -> Floats:
        """Return calibrated logits [shape=(n, n_classes)]."""
        return np.asarray(self.scale * values + self.shift, np.float32)

    def model(self, linear: Linear) -> Linear:
        """Return a classifier with the calibration folded in."""
        return Linear(self.scale * linear.weights, self.logits(linear.bias.T).T)


def calibrate(train: Windows, logits: Floats) -> Calibration:
    """Find scale and shift, so that the default threshold suits a classifier.

    A word's probability is ``SURE`` at the margin of ``alarm_margins``, or halfway from
    there to what nine in ten of the word's windows reach, where that is more: sounds that are easy
    to tell apart need no false alarms. The scale is that of the smallest loss on held-out windows,
    where words and everything else weigh alike.

    Args:
        train: the windows that it was fitted to.
        logits: of these windows, by cross-validation.

    Examples:
        >>> targets = np.repeat([0, 1], 20)
        >>> other = np.random.default_rng(0).normal(size=40)
        >>> logits = np.stack([10.0 * (targets == 0), other], axis=1)
        >>> zeros = np.zeros((40, 7, 2))
        >>> windows = Windows(zeros, targets, np.arange(40), targets == 1, 0 * targets)
        >>> calibrate(windows, logits).scale > 0
        True
    """
    words = logits.shape[1] - 1
    values = margins(logits)
    found = [np.quantile(values[train.targets == word, word], 0.1) for word in range(words)]
    alarms = alarm_margins(logits[train.speech])
    edges = np.maximum(alarms, (alarms + found) / 2)
    counts = np.bincount(train.targets, minlength=words + 1)
    weight = 1.0 / np.maximum(counts, 1)[train.targets]
    weight[train.targets == words] *= words

    def calibration(scale: float) -> Calibration:
        shift = math.log(SURE / (1 - SURE)) - scale * edges
        return Calibration(scale, np.append(shift, 0.0))

    def loss(scale: float) -> float:
        probabilities = softmax(calibration(scale).logits(logits))
        right = probabilities[np.arange(len(train)), train.targets]
        return float(-np.sum(weight * np.log(right + 1e-9)))

    return calibration(min(map(float, _SCALES), key=loss))
