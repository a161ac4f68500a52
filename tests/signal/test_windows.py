"""Cutting and stitching, against the published padding written out the slow way."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.errors import OptionError
from hearaudiomlp.signal import windows
from hearaudiomlp.spec import FRAMES, WINDOW

LENGTHS = st.integers(0, 3 * WINDOW + 500)


def padded(audio: np.ndarray) -> np.ndarray:
    """Step 1 of the published arithmetic: 80 zeros left, 240 right, then whole seconds."""
    audio = np.pad(audio, ((0, 0), (80, 240)))
    return np.pad(audio, ((0, 0), (0, -audio.shape[1] % WINDOW)))


@given(n_sounds=st.integers(1, 3), n_samples=LENGTHS)
def test_windows_are_those_of_the_padded_sounds(n_sounds: int, n_samples: int) -> None:
    audio = np.arange(1, n_sounds * n_samples + 1, dtype=np.float32).reshape(n_sounds, n_samples)
    expected = padded(audio).reshape(-1, WINDOW)
    total = n_sounds * windows.count_windows(n_samples)
    np.testing.assert_array_equal(windows.cut_windows(audio, 0, total), expected)


@given(n_samples=LENGTHS, data=st.data())
def test_any_range_of_windows_is_a_slice_of_them_all(n_samples: int, data: st.DataObject) -> None:
    audio = np.random.default_rng(0).standard_normal((2, n_samples)).astype(np.float32)
    total = 2 * windows.count_windows(n_samples)
    start = data.draw(st.integers(0, total))
    stop = data.draw(st.integers(start, total))
    expected = windows.cut_windows(audio, 0, total)[start:stop]
    np.testing.assert_array_equal(windows.cut_windows(audio, start, stop), expected)


def slid(sliding: windows.SlidingWindows, sound: np.ndarray, cuts: list[int]) -> np.ndarray:
    """All windows of a sound that comes in pieces; what they were, once all have come."""
    edges = [0, *sorted(min(cut, len(sound)) for cut in cuts), len(sound)]
    pieces = [sound[start:stop] for start, stop in itertools.pairwise(edges)]
    found = [block for piece in pieces for block in sliding.push(piece)]
    assert sliding.n_samples == len(sound)
    return np.concatenate([*found, *sliding.flush()])


CUTS = st.lists(st.integers(0, 3 * WINDOW + 500), max_size=9)


@given(n_samples=LENGTHS, cuts=CUTS)
def test_pieces_give_the_windows_of_the_embeddings(n_samples: int, cuts: list[int]) -> None:
    sound = np.arange(1, n_samples + 1, dtype=np.float32)
    sliding = windows.SlidingWindows(WINDOW, 80, 240)
    expected = windows.cut_windows(sound[None], 0, windows.count_windows(n_samples))
    for _ in range(2):
        np.testing.assert_array_equal(slid(sliding, sound, cuts), expected)
        sliding.reset()


@settings(deadline=None)
@given(
    n_samples=LENGTHS,
    hop=st.one_of(st.sampled_from([1, 160, 4_000, WINDOW]), st.integers(300, WINDOW)),
    pads=st.tuples(st.integers(0, 500), st.integers(0, 500)),
    cuts=CUTS,
)
def test_overlapping_windows_end_with_the_first_that_reaches_the_end(
    n_samples: int, hop: int, pads: tuple[int, int], cuts: list[int]
) -> None:
    n_samples = min(n_samples, WINDOW + 9 * hop)  # not too many windows
    sound = np.arange(1, n_samples + 1, dtype=np.float32)
    found = slid(windows.SlidingWindows(hop, *pads), sound, cuts)
    whole = np.pad(sound, pads)
    starts = [0]
    while starts[-1] + WINDOW < len(whole):
        starts.append(starts[-1] + hop)
    whole = np.pad(whole, (0, WINDOW))
    np.testing.assert_array_equal(found, [whole[start : start + WINDOW] for start in starts])


def test_windows_stay_what_they_are_when_samples_follow() -> None:
    sliding = windows.SlidingWindows(4_000)
    rng = np.random.default_rng(0)
    found, copies = [], []
    for _ in range(100):
        for block in sliding.push(rng.standard_normal(3_000).astype(np.float32)):
            found.append(block)
            copies.append(block.copy())
    for block, copy in zip(found, copies, strict=True):
        np.testing.assert_array_equal(block, copy)


@pytest.mark.parametrize("size", [100, 16_000])
def test_memory_is_constant(size: int) -> None:
    sliding = windows.SlidingWindows(4_000)
    piece = np.zeros(size, np.float32)
    tracemalloc.start()
    try:
        kept = []
        for _ in range(2):
            for _ in range(400):
                assert len(list(sliding.push(piece))) <= 1
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert kept[1] - kept[0] < 8_000


@pytest.mark.parametrize("hop", [0.0, -0.25, 0.0099, 1.01, float("nan"), float("inf")])
def test_hops_out_of_range(hop: float) -> None:
    with pytest.raises(OptionError, match=r"from 0\.01 to 1 second"):
        windows.hop_samples(hop)


@given(n_sounds=st.integers(1, 3), n_windows=st.integers(1, 4))
def test_stitching_repeats_edges_and_drops_the_outermost(n_sounds: int, n_windows: int) -> None:
    frames = np.arange(n_sounds * n_windows * FRAMES, dtype=np.float32).reshape(-1, FRAMES, 1)
    expected = [
        [
            value
            for window in sound
            for value in (window[0], *window, window[-1])
        ][1:-1]
        for sound in frames.reshape(n_sounds, n_windows, FRAMES)
    ]  # fmt: skip
    np.testing.assert_array_equal(windows.stitch(frames, n_sounds)[:, :, 0], expected)


@given(n_samples=st.integers(0, 10**9))
def test_there_is_a_frame_for_every_timestamp(n_samples: int) -> None:
    stitched = 100 * windows.count_windows(n_samples) - 2
    assert windows.count_timestamps(n_samples) <= stitched


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(0, 1), (1, 1), (15_680, 1), (15_681, 2), (31_680, 2), (31_681, 3)]
)
def test_number_of_windows(n_samples: int, expected: int) -> None:
    assert windows.count_windows(n_samples) == expected


def test_timestamps_are_every_ten_milliseconds() -> None:
    found = windows.timestamps(2, 16_000)
    assert found.dtype == np.float32
    assert found.shape == (2, 100)
    np.testing.assert_array_equal(found[1], 10.0 * np.arange(1, 101))


def test_clips_are_bare_windows_filled_with_zeros() -> None:
    clip = np.ones((2, 5), np.float32)
    found = windows.clip_windows(clip)
    assert found.shape == (2, WINDOW)
    assert found[:, :5].all()
    assert not found[:, 5:].any()
