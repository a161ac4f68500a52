"""Where words are put in windows, and what is known of it."""

import numpy as np
import pytest

from hearaudiomlp.fitting.placing import ALIGNMENTS, find_sound, place


@pytest.mark.parametrize("at", [2_000, 20_000])
def test_alignment_is_where_the_word_is(at: int) -> None:
    recording = np.zeros(30_000, np.float32)
    recording[at : at + 4_800] = np.random.default_rng(1).normal(0, 0.3, 4_800)
    placed = place(recording, 200, np.random.default_rng(0))
    middles = []
    for window in placed.windows:
        # Noise and cut ends blur it: the middle of the power is near that of the word.
        power = np.square(window.astype(np.float64))
        middles.append((power * np.arange(len(power))).sum() / power.sum())
    by_alignment = [np.mean(np.array(middles)[placed.alignments == n]) for n in range(ALIGNMENTS)]
    assert np.diff(by_alignment).min() > 1_600  # a tenth of a second
    assert abs(by_alignment[1] - 8_000) < 800


def test_sounds_that_fill_the_window_are_in_its_middle() -> None:
    for seconds in (2.3, 4):
        hiss = np.random.default_rng(0).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)
        start, stop = find_sound(hiss)
        assert stop - start > 16_000
        placed = place(hiss, 30, np.random.default_rng(0))
        assert set(placed.alignments) == {ALIGNMENTS // 2}
