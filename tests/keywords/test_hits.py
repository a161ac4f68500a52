"""From the probabilities of windows to hits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.errors import OptionError
from hearaudiomlp.keywords import hits
from hearaudiomlp.keywords.hits import Hit, HitFinder, find_hits

LABELS = ("yes", "no", "up")


def rows(*words: str | None, p: float = 0.9) -> np.ndarray:
    """Probabilities of windows that are sure of a word, or silent."""
    table = np.zeros((len(words), len(LABELS)), np.float32)
    for row, word in zip(table, words, strict=True):
        if word is not None:
            row[:] = (1 - p) / 2
            row[LABELS.index(word)] = p
    return table


def spotted(*words: str | None, hop: float = 0.25, **options: float) -> list[Hit]:
    return find_hits(np.arange(len(words)) * hop, rows(*words), LABELS, **options)


def test_a_word_that_several_windows_hear() -> None:
    [hit] = spotted(None, None, None, "no", "no", "no", None, None, None)
    assert hit.word == "no"
    assert (hit.start + hit.end) / 2 == pytest.approx(1.0 + 0.5)  # window 4 is the middle one
    assert hit.probability == pytest.approx(0.9)


def test_a_word_of_one_window_only_is_chance() -> None:
    assert spotted(None, None, "no", None, None) == []
    assert [hit.word for hit in spotted(None, None, "no", None, None, smoothing=0)] == ["no"]


def test_a_short_sound_has_one_window_and_that_counts() -> None:
    assert [hit.word for hit in spotted("up")] == ["up"]
    assert spotted(None) == []
    assert spotted() == []


def test_neighbouring_hits_are_merged_and_others_are_not() -> None:
    none = [None] * 4
    assert len(spotted("no", "no", "no", None, "no", "no", "no", smoothing=0)) == 2
    assert len(spotted("no", "no", "no", None, "no", "no", "no", smoothing=0, merge=0.5)) == 1
    hits = spotted("no", "no", "no", *none, "no", "no", "no", *none, "up", "up", "up")
    assert [hit.word for hit in hits] == ["no", "no", "up"]
    assert [hit.word for hit in spotted("no", "no", "no", "yes", "yes", "yes", "no", "no")] == [
        "no", "yes", "no",
    ]  # fmt: skip


def test_where_a_word_is_located() -> None:
    [hit] = spotted(None, None, None, "no", "no", "no", None, None, None, smoothing=0)
    # windows from 0.75, 1 and 1.25 s hold it: they have 1.25 to 1.75 s in common
    assert (hit.start, hit.end) == (1.25, 1.75)
    [hit] = spotted(*["no"] * 9)  # windows from 0 to 2 s: spoken again and again
    assert (hit.start, hit.end) == (0.75, 2.25)
    [hit] = spotted("no", smoothing=0)
    assert (hit.start, hit.end) == (0.0, 1.0)
    assert hit.within(0.4) == Hit("no", 0.0, 0.4, hit.probability)


def test_threshold_is_on_the_average() -> None:
    windows = [None, None, "no", "no", None, None]
    average = 0.9 * 1.5 / 2
    assert len(spotted(*windows, threshold=average - 0.001)) == 1
    assert len(spotted(*windows, threshold=average + 0.001)) == 0


@pytest.mark.parametrize(
    "options", [{"threshold": 0}, {"threshold": 1.1}, {"threshold": float("nan")},
                {"smoothing": -1}, {"smoothing": float("inf")}, {"merge": -0.1}],
)  # fmt: skip
def test_options_that_cannot_be_meant(options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        HitFinder(LABELS, **options)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    hop=st.sampled_from([0.05, 0.1, 0.25, 1.0]),
    smoothing=st.sampled_from([0.0, 0.3, 0.5, 2.0]),
    threshold=st.sampled_from([0.4, 0.6, 0.9]),
)
def test_hits_are_those_of_a_plain_rule_however_windows_come(  # noqa: PLR0917
    seed, n, cuts, hop, smoothing, threshold
) -> None:
    rng = np.random.default_rng(seed)
    said = np.repeat(rng.integers(0, 3, n), rng.integers(1, 6, n))[:n]
    table = hits.softmax(rng.normal(0, 1, (n, 3)) + 4 * np.eye(3)[said]).astype(np.float32)
    starts = np.arange(n) * hop

    finder = HitFinder(LABELS, threshold=threshold, smoothing=smoothing)
    edges = sorted({0, n, *(cut for cut in cuts if cut < n)})
    found = []
    for start, stop in itertools.pairwise(edges):
        found += finder.push(starts[start:stop], table[start:stop])
    found += finder.finish()

    distance = np.abs(starts[:, None] - starts)
    kernel = np.clip(1 - distance / smoothing, 0, None) if smoothing else np.eye(n)
    average = kernel @ table.astype(np.float64) / kernel.sum(axis=1, keepdims=True)
    runs: list[list[int]] = []
    for i in np.flatnonzero(average.max(axis=1, initial=0) >= threshold):
        word = average[i].argmax()
        if runs and average[runs[-1][-1]].argmax() == word and (
            (i - runs[-1][-1]) * hop <= hits.MERGE_S + 1e-6
        ):  # fmt: skip
            runs[-1].append(i)
        else:
            runs.append([i])
    assert [hit.word for hit in found] == [LABELS[average[run[0]].argmax()] for run in runs]
    for hit, run in zip(found, runs, strict=True):
        assert hit.probability == pytest.approx(average[run].max())
        assert 0 <= hit.end - hit.start <= max(1, starts[run[-1]] - starts[run[0]]) + 1e-6


def test_the_finder_starts_over_after_the_end() -> None:
    finder = HitFinder(LABELS)
    for _ in range(2):
        hits = [*finder.push([0, 0.25], rows("no", "no")), *finder.finish()]
        assert hits == spotted("no", "no")


def test_softmax_and_levels() -> None:
    logits = np.array([[1000.0, 999.0, 0.0]], np.float32)
    np.testing.assert_allclose(hits.softmax(logits), [[0.7310586, 0.2689414, 0.0]], rtol=1e-6)
    sine = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000).astype(np.float32)
    np.testing.assert_allclose(
        hits.rms_dbfs(np.stack([sine, sine / 1000, 0 * sine])),
        [-3.01, -63.01, -np.inf],
        atol=0.01,
    )
    quiet = hits.mask_quiet(rows("no", "no", "no"), [-3.0, -63.0, -np.inf], -60.0)
    assert quiet.sum(axis=1).tolist() == pytest.approx([1, 0, 0])
