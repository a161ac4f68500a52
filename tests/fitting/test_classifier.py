"""The classifier against scikit-learn, and what the splits and the tail promise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest, norm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hearaudiomlp.fitting.alarms import Tail
from hearaudiomlp.fitting.calibration import calibrate
from hearaudiomlp.fitting.classifier import (
    Settings,
    Windows,
    choose,
    fit_linear,
    held_out_logits,
    split_groups,
)
from hearaudiomlp.fitting.evaluation import Recall


def windows(classes: int, per_class: int = 40, size: int = 3) -> Windows:
    rng = np.random.default_rng(classes)
    targets = np.repeat(np.arange(classes), per_class)
    components = rng.normal(targets[:, None, None], 2.0, (len(targets), 7, size))
    groups = 10 * targets + rng.integers(0, 5, len(targets))
    middle = np.ones(len(targets), int)
    return Windows(components.astype(np.float32), targets, groups, targets == classes - 1, middle)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("pooling", ["mean", "means of 7 stretches"])
def test_probabilities_are_those_of_scikit_learn(classes: int, pooling: str) -> None:
    data = windows(classes)
    pooled = data.components if "7" in pooling else data.components.mean(axis=1, keepdims=True)
    features = pooled.reshape(len(data), -1)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000))
    reference.fit(features, data.targets)
    fitted = fit_linear(data, classes, Settings(pooling, 0.03))
    ours = softmax(fitted.logits(data.components), axis=1)
    np.testing.assert_allclose(ours, reference.predict_proba(features), atol=5e-3)


def test_a_word_may_look_opposite_early_and_late() -> None:
    """A single row of weights can't separate large positive and negative values from small ones."""
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 0, 1], 60)
    alignments = np.repeat([0, 2, 0], 60)
    components = rng.normal(size=(180, 7, 2)) + np.repeat([3.0, -3.0, 0.0], 60)[:, None, None]
    data = Windows(components, targets, np.arange(180), targets == 1, alignments)
    right = fit_linear(data, 2, Settings("mean", 1.0)).logits(components).argmax(axis=1) == targets
    assert right.mean() > 0.95
    as_one = replace(data, alignments=0 * alignments)
    wrong = fit_linear(as_one, 2, Settings("mean", 1.0)).logits(components).argmax(axis=1)
    assert (wrong == targets)[targets == 1].mean() < 0.6


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=12), st.integers(0, 99))
def test_no_group_is_on_both_sides(rows: list[tuple[int, int]], seed: int) -> None:
    targets, groups = np.array(rows).T
    data = Windows(np.zeros((len(rows), 7, 1)), targets, groups, targets == 2, 0 * targets)
    seen = []
    for held_out in split_groups(data, seed):
        fitted_to = data.of(np.setdiff1d(groups, held_out))
        assert not set(fitted_to.groups) & set(held_out)
        seen += list(held_out)
    assert set(seen) == set(groups)


def test_held_out_logits_do_not_know_their_group() -> None:
    """Labels at random, the same within a group: only a leak would make them predictable."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    targets = rng.integers(0, 2, 60)[groups]
    centres = rng.normal(size=(60, 7, 20))[groups]
    components = centres + 0.01 * rng.normal(size=centres.shape)
    data = Windows(components, targets, groups, targets == 1, 0 * targets)
    logits, _ = held_out_logits(data, data, 2, Settings("means of 7 stretches", 1.0), seed=0)
    assert (logits.argmax(axis=1) == targets).mean() < 0.7
    fitted = fit_linear(data, 2, Settings("means of 7 stretches", 1.0))
    assert (fitted.logits(data.components).argmax(axis=1) == targets).mean() > 0.8


@pytest.mark.parametrize("helps", [False, True])
def test_phonemes_are_used_where_they_help(helps: bool) -> None:
    """The last components tell the classes apart, or are noise."""
    data = windows(2, per_class=80, size=6)
    rng = np.random.default_rng(0)
    components = rng.normal(size=data.components.shape).astype(np.float32)
    components[..., :3] += 0.1 * data.targets[:, None, None]
    components[..., 3:] += 2.0 * helps * data.targets[:, None, None]
    data = replace(data, components=components)
    chosen, scores = choose(data, 2, 0, (3, 6))
    assert chosen.components == (6 if helps else 3)
    assert chosen in scores
    assert fit_linear(data, 2, chosen).weights.shape[-1] == chosen.components


def test_tail_of_a_normal_sample() -> None:
    sample = np.random.default_rng(1).normal(3.0, 2.0, 5_000)
    tail = Tail.of(sample)
    assert tail.value(1e-4) == pytest.approx(norm.isf(1e-4, 3.0, 2.0), abs=0.6)
    assert tail.share(tail.value(1e-5)) == pytest.approx(1e-5, rel=1e-6)


def test_calibration_keeps_other_sound_below_the_threshold() -> None:
    data = windows(3, per_class=400)
    logits, _ = held_out_logits(data, data, 3, Settings("mean", 0.03), seed=0)
    calibrated = calibrate(data, logits).logits(logits)
    assert softmax(calibrated[data.speech], axis=1)[:, :-1].max() < 0.75


@pytest.mark.parametrize(("found", "count"), [(0, 10), (9, 10), (37, 40), (40, 40)])
def test_interval_is_wilsons(found: int, count: int) -> None:
    expected = binomtest(found, count).proportion_ci(method="wilson")
    assert Recall("a", found, count).interval == pytest.approx((expected.low, expected.high))
