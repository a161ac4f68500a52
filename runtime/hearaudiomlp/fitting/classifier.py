"""A linear classifier of windows: fitted and chosen by grouped cross-validation.

Multinomial logistic regression with an L2 penalty, on standardized features. A word that is early
in a window and the same word late in it look different, so each word has a row of weights for each
of these alignments, and the highest counts. Pooling, penalty and whether phonemes are heard are
chosen by what a spotter needs: the share of windows with a sound in them whose score is above one
that other sound reaches a few times an hour. Recordings, and the speakers of the negatives, are on
one side of each split only.
"""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import needs_extra, require_address_space
from hearaudiomlp.fitting.alarms import alarm_margins, margins
from hearaudiomlp.fitting.placing import ALIGNMENTS
from hearaudiomlp.fitting.taps import STRETCHES

Integers = npt.NDArray[np.int64]

FOLDS = 4
"""Most folds of the cross-validation."""

POOLINGS = {"means of 7 stretches": STRETCHES, "mean": 1}
"""How windows are pooled: the stretches that remain."""

STRENGTHS = (0.003, 0.03)
"""Inverse strengths of the penalty that are tried."""

_NEVER = -100.0
"""Logit of what has no windows to fit to."""

_COST = 0.02  # of phonemes, in windows recognized: they make a larger file


def import_sklearn() -> Any:
    """Import what is used of scikit-learn.

    Raises:
        MissingPackageError: it isn't installed.
        MemoryLimitError: it would abort.

    Examples:
        >>> import_sklearn().__name__
        'sklearn'
    """
    require_address_space(2048, "scikit-learn")
    with needs_extra("fit", "fit uses scikit-learn"):
        import sklearn.linear_model
        import sklearn.model_selection
    return sklearn


@dataclass(frozen=True)
class Windows:
    """Windows to fit to or to classify.

    Examples:
        >>> targets = np.repeat([0, 1], 6)  # a word, and everything else
        >>> groups, middle = np.arange(12) // 2, np.ones(12, int)
        >>> windows = Windows(np.zeros((12, 7, 2)), targets, groups, targets == 1, middle)
        >>> len(windows), len(windows.of(np.array([0, 1])))
        (12, 4)
    """

    components: Floats
    """[shape=(n, 7, n_components)]"""

    targets: Integers
    """Index of the class of each window; the last class is everything else [shape=(n,)]."""

    groups: Integers
    """What must be on one side of a split [shape=(n,)]."""

    speech: npt.NDArray[np.bool_]
    """Whether false alarms are estimated from a window [shape=(n,)]."""

    alignments: Integers
    """Where in a window its word is, from 0 to ``ALIGNMENTS - 1`` [shape=(n,)]."""

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.targets)

    def of(self, groups: Integers) -> "Windows":
        """Return the windows of these groups."""
        return self.rows(np.isin(self.groups, groups))

    def rows(self, chosen: npt.NDArray[np.bool_]) -> "Windows":
        """Return the windows that are chosen [shape=(n,)]."""
        return Windows(
            self.components[chosen],
            self.targets[chosen],
            self.groups[chosen],
            self.speech[chosen],
            self.alignments[chosen],
        )


@dataclass(frozen=True)
class Linear:
    """A fitted classifier of windows: the logit of a class is its highest of all alignments.

    Examples:
        >>> weights = np.zeros((3, 2, 7, 5), np.float32)
        >>> linear = Linear(weights, np.array([[0, 9], [1, 0], [2, 2]], np.float32))
        >>> linear.logits(np.ones((1, 7, 5), np.float32)).tolist()
        [[9.0, 1.0, 2.0]]
    """

    weights: Floats
    """[shape=(n_classes, n_alignments, 7, n_components)]"""

    bias: Floats
    """[shape=(n_classes, n_alignments)]"""

    def logits(self, components: Floats) -> Floats:
        """Return the logits [shape=(n, n_classes)] of windows [shape=(n, 7, n_components)].

        Components beyond those that it was fitted to are ignored.
        """
        flat = components[..., : self.weights.shape[-1]].reshape(len(components), -1)
        rows = flat @ self.weights.reshape(self.bias.size, -1).T
        result: Floats = (rows.reshape(-1, *self.bias.shape) + self.bias).max(axis=2)
        return result


@dataclass(frozen=True)
class Settings:
    """What cross-validation chooses.

    Examples:
        >>> Settings("mean", 0.03).pooling in POOLINGS
        True
    """

    pooling: str
    strength: float

    components: int | None = None
    """How many of the components are used, the first ones; all, if None."""


def fit_linear(windows: Windows, classes: int, settings: Settings) -> Linear:
    """Fit logistic regression on standardized features, and fold the standardization in.

    Args:
        windows: what to fit to.
        classes: number of classes, everything else included; one may have no window.
        settings: pooling and penalty.

    Examples:
        >>> targets = np.repeat([0, 1], 20)
        >>> rng = np.random.default_rng(0)
        >>> components = rng.normal(5 * targets[:, None, None], size=(40, 7, 2))
        >>> middle = np.ones(40, int)
        >>> windows = Windows(components, targets, np.arange(40), targets == 1, middle)
        >>> logits = fit_linear(windows, 2, Settings("mean", 0.03)).logits(components)
        >>> bool((logits.argmax(axis=1) == targets).all())
        True
    """
    sklearn = import_sklearn()
    import threadpoolctl  # scikit-learn needs it, too

    components = windows.components[..., : settings.components]
    count, _, size = components.shape
    kept = POOLINGS[settings.pooling]
    pooled = components.reshape(count, kept, -1, size).mean(axis=2)
    features = pooled.reshape(count, -1)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    aligned = np.where(windows.targets < classes - 1, windows.alignments, 0)
    rows = ALIGNMENTS * windows.targets + aligned
    model = sklearn.linear_model.LogisticRegression(C=settings.strength, max_iter=200, tol=1e-3)
    # The products are small: threads of BLAS would wait for each other most of the time.
    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore")  # near the minimum is near enough
        model.fit((features - mean) / spread, rows)
    scaled, offsets = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(model.classes_) == 2:  # one row, of the second class against the first
        scaled, offsets = np.concatenate([-scaled, scaled]) / 2, np.r_[-offsets, offsets] / 2
    count = classes * ALIGNMENTS
    weights, bias = np.zeros((count, features.shape[1])), np.full(count, _NEVER)
    weights[model.classes_] = scaled / spread
    bias[model.classes_] = offsets - weights[model.classes_] @ mean
    per_stretch = weights.reshape(count, kept, 1, size) * (kept / STRETCHES)
    spread_out = np.repeat(per_stretch, STRETCHES // kept, axis=2).astype(np.float32)
    shape = (classes, ALIGNMENTS)
    return Linear(
        spread_out.reshape(*shape, STRETCHES, size), bias.reshape(shape).astype(np.float32)
    )


def split_groups(windows: Windows, seed: int) -> Iterator[Integers]:
    """Yield the groups of each fold, those of every class spread over the folds.

    Args:
        windows: what to split.
        seed: of the shuffle.

    Examples:
        >>> groups = np.repeat(np.arange(8), 3)
        >>> zeros = np.zeros(24, int)
        >>> windows = Windows(np.zeros((24, 7, 2)), groups % 2, groups, zeros == 1, zeros)
        >>> [len(held_out) for held_out in split_groups(windows, 0)]
        [2, 2, 2, 2]
    """
    rng = np.random.default_rng(seed)
    by_class = []
    for target in np.unique(windows.targets):
        groups = np.unique(windows.groups[windows.targets == target])
        by_class.append(rng.permutation(groups))
    count = max(2, min(FOLDS, *map(len, by_class)) if len(by_class) > 1 else FOLDS)
    for fold in range(count):
        yield np.concatenate([groups[fold::count] for groups in by_class])


def held_out_logits(
    train: Windows,
    test: Windows,
    classes: int,
    settings: Settings,
    *,
    seed: int,
    part: float = 1.0,
) -> tuple[Floats, Floats]:
    """Cross-validate: classify the windows of each group by a fit without it.

    Args:
        train: windows to fit to.
        test: other windows of the same groups.
        classes: number of classes.
        settings: pooling and penalty.
        seed: of the split.
        part: share of the recordings of each word that is fitted to.

    Returns:
        Logits of the windows of ``train`` and of ``test`` [shape=(n, classes)].

    Examples:
        >>> targets = np.repeat([0, 1], 20)
        >>> rng = np.random.default_rng(0)
        >>> components = rng.normal(5 * targets[:, None, None], size=(40, 7, 2))
        >>> middle = np.ones(40, int)
        >>> windows = Windows(components, targets, np.arange(40), targets == 1, middle)
        >>> logits, _ = held_out_logits(windows, windows, 2, Settings("mean", 0.03), seed=0)
        >>> bool((logits.argmax(axis=1) == targets).all())
        True
    """
    results = [np.zeros((len(windows), classes), np.float32) for windows in (train, test)]
    for held_out in split_groups(train, seed):
        kept = np.setdiff1d(train.groups, held_out)
        model = fit_linear(_thinned(train.of(kept), classes, part), classes, settings)
        for windows, logits in zip((train, test), results, strict=True):
            chosen = np.isin(windows.groups, held_out)
            logits[chosen] = model.logits(windows.components[chosen])
    return results[0], results[1]


def _thinned(windows: Windows, classes: int, part: float) -> Windows:
    """Return the windows of a share of the groups of each word, and all of everything else."""
    if part >= 1.0:
        return windows
    kept = [np.unique(windows.groups[windows.targets == classes - 1])]
    for target in range(classes - 1):
        groups = np.unique(windows.groups[windows.targets == target])
        kept.append(groups[: max(1, round(part * len(groups)))])
    return windows.of(np.concatenate(kept))


def recognized(train: Windows, logits: Floats, classes: int) -> tuple[float, ...]:
    """Return the share of the windows of each word that are above ``alarm_margins``.

    Args:
        train: windows.
        logits: of these windows, by cross-validation.
        classes: number of classes.

    Examples:
        >>> targets = np.repeat([0, 1], 20)
        >>> other = np.random.default_rng(0).normal(size=40)
        >>> logits = np.stack([10.0 * (targets == 0), other], axis=1)
        >>> zeros = np.zeros((40, 7, 2))
        >>> windows = Windows(zeros, targets, np.arange(40), targets == 1, 0 * targets)
        >>> recognized(windows, logits, 2)
        (1.0,)
    """
    above = margins(logits) > alarm_margins(logits[train.speech])
    return tuple(
        float(above[train.targets == target, target].mean()) for target in range(classes - 1)
    )


def choose(
    train: Windows, classes: int, seed: int, sizes: Sequence[int | None] = (None,)
) -> tuple[Settings, dict[Settings, float]]:
    """Choose pooling and components by cross-validation, and then the penalty for these.

    Where all windows are recognized, nothing else is tried.

    Args:
        train: windows to fit to.
        classes: number of classes.
        seed: of the splits.
        sizes: numbers of components: those of the encoder alone, those with phonemes.

    Returns:
        The best settings, and of all the share of held-out windows above ``alarm_margins``.

    Examples:
        >>> targets = np.repeat([0, 1], 20)
        >>> rng = np.random.default_rng(0)
        >>> components = rng.normal(5 * targets[:, None, None], size=(40, 7, 2))
        >>> middle = np.ones(40, int)
        >>> windows = Windows(components, targets, np.arange(40), targets == 1, middle)
        >>> settings, scores = choose(windows, 2, seed=0)
        >>> scores[settings]
        1.0
    """
    scores: dict[Settings, float] = {}

    def score(settings: Settings) -> float:
        logits, _ = held_out_logits(train, train, classes, settings, seed=seed)
        scores[settings] = float(np.mean(recognized(train, logits, classes)))
        return scores[settings]

    for size, pooling in itertools.product(sizes, POOLINGS):
        if score(settings := Settings(pooling, STRENGTHS[0], size)) == 1.0:
            return settings, scores
    best = max(scores, key=lambda one: scores[one] - _COST * sizes.index(one.components))
    stronger = [replace(best, strength=strength) for strength in STRENGTHS[1:]]
    return max([best, *stronger], key=lambda one: scores.get(one) or score(one)), scores
