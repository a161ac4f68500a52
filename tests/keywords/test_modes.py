"""Modes of spotting, against their own definitions."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearaudiomlp.keywords.hits import find_hits, softmax
from hearaudiomlp.keywords.modes import BestWindowMode, EveryWindowMode, OnsetMode, VoteMode
from hearaudiomlp.spec import ENCODERS

LABELS = ENCODERS["kwmlp"].labels


def random_rows(seed: int, n: int) -> np.ndarray:
    """Probabilities in which a few words last for some windows each."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((n, len(LABELS)))
    for _ in range(n // 4):
        at, word = rng.integers(n), rng.integers(4)
        logits[at : at + rng.integers(1, 6), word] += 8
    return softmax(logits.astype(np.float32))


def in_pieces(trigger: Any, rows: np.ndarray, sizes: list[int]) -> list[Any]:
    found, at = [], 0
    for size in [*sizes, len(rows)]:
        starts = (0.25 * np.arange(at, min(at + size, len(rows)))).tolist()
        found += trigger.push(starts, rows[at : at + size])
        at = min(at + size, len(rows))
    return found + trigger.finish()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 999), sizes=st.lists(st.integers(0, 20), max_size=6))
def test_words_are_announced_once_for_each_hit_and_before_it_is_over(
    seed: int, sizes: list[int]
) -> None:
    rows = random_rows(seed, 60)
    starts = (0.25 * np.arange(60)).tolist()
    announced = in_pieces(OnsetMode(LABELS, 0.6, 0.5, 0.0), rows, sizes)
    hits = find_hits(starts, rows, LABELS, threshold=0.6, smoothing=0.5)
    assert [hit.word for hit in announced] == [hit.word for hit in hits]
    for one, hit in zip(announced, hits, strict=True):
        assert one.probability <= hit.probability
        assert one.start <= hit.end


def test_a_word_is_announced_before_the_windows_that_end_it() -> None:
    rows = np.full((12, len(LABELS)), 0.001, np.float32)
    rows[3:7, 5] = 0.95
    words = OnsetMode(LABELS, 0.6, 0.5, 1.0)
    when = [n for n in range(12) if words.push([0.25 * n], rows[n : n + 1])]
    assert when == [5]  # the third window averages .71, and is settled two windows later
    assert words.finish() == []


def test_refractory_time_passes_between_announcements_of_one_word() -> None:
    rows = np.full((40, len(LABELS)), 0.001, np.float32)
    rows[4:8, 5] = rows[12:16, 5] = rows[10:12, 7] = 0.95
    often = in_pieces(OnsetMode(LABELS, 0.6, 0.0, 0.0), rows, [])
    seldom = in_pieces(OnsetMode(LABELS, 0.6, 0.0, 3.0), rows, [])
    assert [hit.word for hit in often] == [LABELS[5], LABELS[7], LABELS[5]]
    assert [hit.word for hit in seldom] == [LABELS[5], LABELS[7]]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), sizes=st.lists(st.integers(0, 20), max_size=6))
def test_modes_of_the_paper(seed: int, sizes: list[int]) -> None:
    rows = random_rows(seed, 40)
    over = [n for n in range(40) if rows[n].max() >= 0.85]
    expected = [
        (LABELS[rows[n].argmax()], 0.25 * n, 0.25 * n + 1, float(rows[n].max())) for n in over
    ]
    found = in_pieces(EveryWindowMode(LABELS, 0.85), rows, sizes)
    assert [(h.word, h.start, h.end, h.probability) for h in found] == expected
    best = in_pieces(BestWindowMode(LABELS, 0.85), rows, sizes)
    assert [hit.word for hit in best] == [max(expected, key=lambda one: one[3])[0]] * bool(expected)
    vote = in_pieces(VoteMode(LABELS, 0.85), rows, sizes)
    counts = np.bincount(rows[over].argmax(axis=1), minlength=len(LABELS)) if over else None
    assert [hit.word for hit in vote] == ([] if counts is None else [LABELS[counts.argmax()]])
