"""Scene pooling, with torch's own interpolation as the reference."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.signal.scene import Resizer, scene_embedding, scene_of_pieces


def by_torch(frames: np.ndarray, steps: int) -> np.ndarray:
    """The published algorithm, feature-major, with torch.nn.functional.interpolate."""
    x = torch.from_numpy(frames).transpose(1, 2)
    length = x.shape[-1]
    if length < steps:
        x = torch.nn.functional.pad(x, (0, steps - length))
    else:
        halvings = math.floor(math.log2(length / steps))
        sizes = [length := length // 2 for _ in range(halvings)]
        if frames.shape[1] / steps != 2**halvings:
            sizes.append(steps)
        for size in sizes:
            x = torch.nn.functional.interpolate(x, size=size, mode="linear", align_corners=True)
    return x.flatten(1).numpy()


@settings(deadline=None)
@given(n_frames=st.integers(1, 5000), steps=st.sampled_from([16, 198]), size=st.integers(1, 3))
def test_scene_embedding_is_that_of_torch(n_frames: int, steps: int, size: int) -> None:
    frames = np.random.default_rng(n_frames).standard_normal((2, n_frames, size), np.float32)
    found = scene_embedding(frames, steps)
    assert found.dtype == np.float32
    assert found.shape == (2, size * steps)
    np.testing.assert_allclose(found, by_torch(frames, steps), atol=2e-6)


@pytest.mark.parametrize("windows", [1, 2, 3, 60, 3600])
@pytest.mark.parametrize("steps", [16, 198])
def test_lengths_that_occur(windows: int, steps: int) -> None:
    frames = np.random.default_rng(1).standard_normal((1, 100 * windows - 2, 1), np.float32)
    np.testing.assert_allclose(scene_embedding(frames, steps), by_torch(frames, steps), atol=2e-6)


@given(old=st.integers(2, 300), new=st.integers(2, 300))
def test_resizing_keeps_both_ends_and_stays_between_neighbours(old: int, new: int) -> None:
    frames = np.random.default_rng(old).standard_normal((1, old, 1), np.float32)
    found = Resizer(old, new).push(frames)
    np.testing.assert_allclose(found[:, [0, -1]], frames[:, [0, -1]], atol=1e-4)
    assert frames.min() - 1e-6 <= found.min()
    assert found.max() <= frames.max() + 1e-6


@settings(deadline=None)
@given(
    n_frames=st.integers(1, 3000),
    steps=st.sampled_from([16, 198]),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
)
def test_pieces_give_the_same_bits_as_the_whole(n_frames: int, steps: int, cuts: list[int]) -> None:
    frames = np.random.default_rng(n_frames).standard_normal((2, n_frames, 3), np.float32)
    edges = [0, *sorted(min(cut, n_frames) for cut in cuts), n_frames]
    pieces = [frames[:, start:stop] for start, stop in itertools.pairwise(edges)]
    found = scene_of_pieces(pieces, n_frames, steps)
    np.testing.assert_array_equal(found, scene_embedding(frames, steps))


def test_resizing_keeps_few_frames_at_a_time() -> None:
    resizer, piece = Resizer(1_000_000, 16), np.zeros((1, 10_000, 1), np.float32)
    tracemalloc.start()
    try:
        for _ in range(100):
            resizer.push(piece)
            assert tracemalloc.get_traced_memory()[0] < 50_000  # a piece has 40,000 bytes
    finally:
        tracemalloc.stop()


def test_too_few_frames_are_followed_by_zeros() -> None:
    frames = np.ones((1, 3, 2), np.float32)
    expected = np.array([[1, 1, 1, 0, 0, 1, 1, 1, 0, 0]], np.float32)
    np.testing.assert_array_equal(scene_embedding(frames, 5), expected)


def test_no_frames_give_zeros() -> None:
    found = scene_embedding(np.zeros((2, 0, 8), np.float32), 16)
    np.testing.assert_array_equal(found, np.zeros((2, 128), np.float32))
