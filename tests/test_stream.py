"""Streams against the same sounds computed whole, to the bit."""

import gc
import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hearaudiomlp
from hearaudiomlp.errors import AudioTypeError, AudioValueError
from hearaudiomlp.stream import Stream

SAMPLES = 40_000
FIXTURES = [HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Noise whose level changes, with digital silence in it."""
    rng = np.random.default_rng(6)
    rms_dbfs = np.repeat(rng.uniform(0, 0.5, 25), SAMPLES // 25)
    sound = (rms_dbfs * rng.standard_normal(SAMPLES)).astype(np.float32)
    sound[12_000:14_500] = 0
    return sound


@pytest.fixture(scope="module")
def whole(model: hearaudiomlp.Model, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and timestamps of the whole sound."""
    embeddings, timestamps = model.timestamp_embeddings(sound[None])
    return embeddings[0], timestamps[0]


def pieces(sound: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    edges = [0, *sorted(min(cut, len(sound)) for cut in cuts), len(sound)]
    return [sound[start:stop] for start, stop in itertools.pairwise(edges)]


def joined(stream: Stream, parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    frames = [frames for part in parts for frames in stream.push(part)] + stream.flush()
    if not frames:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
    return (
        np.concatenate([f.embeddings for f in frames]),
        np.concatenate([f.timestamps for f in frames]),
    )


def check_splits(model: Any, sound: np.ndarray, whole: Any, n: int, cuts: list[int]) -> None:
    embeddings, timestamps = joined(Stream(model), pieces(sound[:n], cuts))
    if n == SAMPLES:
        expected = whole
    else:
        alone = model.timestamp_embeddings(sound[None, :n])
        expected = alone[0][0], alone[1][0]
    assert embeddings.dtype == timestamps.dtype == np.float32
    assert embeddings.tobytes() == expected[0].tobytes()
    assert timestamps.tobytes() == expected[1].tobytes()


CUTS = st.lists(st.integers(0, SAMPLES), max_size=12)


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(cuts=CUTS)
def test_a_stream_gives_the_bits_of_the_whole(
    model: Any, sound: Any, whole: Any, cuts: Any
) -> None:
    check_splits(model, sound, whole, SAMPLES, cuts)


@settings(max_examples=40, deadline=None, suppress_health_check=FIXTURES)
@given(n=st.integers(0, SAMPLES), cuts=CUTS)
def test_a_stream_of_any_length_does(model: Any, sound: Any, whole: Any, n: int, cuts: Any) -> None:
    check_splits(model, sound, whole, n, cuts)


@pytest.mark.splits
@settings(max_examples=3000, deadline=None, suppress_health_check=FIXTURES)
@given(n=st.one_of(st.just(SAMPLES), st.integers(0, SAMPLES)), cuts=CUTS)
def test_thousands_of_splits(model: Any, sound: Any, whole: Any, n: int, cuts: Any) -> None:
    check_splits(model, sound, whole, n, cuts)


@pytest.mark.parametrize("size", [1, 159, 16_000, 9_600_000])
def test_pushes_of_one_size(model: Any, size: int) -> None:
    n = {1: 16_321, 9_600_000: 9_600_000}.get(size, 50_000)
    sound = (0.1 * np.random.default_rng(1).standard_normal(n)).astype(np.float32)
    found = joined(Stream(model), [sound[at : at + size] for at in range(0, n, size)])
    expected = model.timestamp_embeddings(sound[None])
    assert found[0].tobytes() == expected[0][0].tobytes()
    assert found[1].tobytes() == expected[1][0].tobytes()


def test_frames_come_when_their_window_is_complete(model: Any, noise: Callable[..., Any]) -> None:
    stream = Stream(model)
    sound = noise(40_000)
    assert stream.push(sound[:15_919]) == []
    (first,) = stream.push(sound[15_919:15_920])
    assert len(first.embeddings) == len(first.timestamps) == 99
    np.testing.assert_array_equal(first.timestamps, 10.0 * np.arange(1, 100))
    (second,) = stream.push(sound[15_920:31_920])
    assert (len(second.embeddings), second.timestamps[0]) == (100, 1000.0)
    (rest,) = stream.push(sound[31_920:]) + stream.flush()
    assert rest.timestamps[-1] == 2500.0


def test_a_new_sound_begins_after_flush_and_reset(model: Any, sound: Any, whole: Any) -> None:
    stream = Stream(model)
    stream.push(sound[:20_000])
    stream.reset()
    assert stream.n_samples == 0
    for _ in range(2):
        assert joined(stream, [sound])[0].tobytes() == whole[0].tobytes()
    assert stream.flush() == []


def test_tensors_come_back_as_tensors(model: Any, sound: Any, whole: Any) -> None:
    stream = Stream(model)
    frames = stream.push(torch.from_numpy(sound).double()) + stream.flush()
    assert all(isinstance(f.embeddings, torch.Tensor) for f in frames)
    assert torch.cat([f.embeddings for f in frames]).numpy().tobytes() == whole[0].tobytes()


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        ([0.0, 1.0], AudioTypeError),
        (np.zeros(5, np.int16), AudioTypeError),
        (np.zeros((1, 5), np.float32), AudioValueError),
        (np.float32(0.5), AudioValueError),
        (np.array([0.0, np.nan]), AudioValueError),
    ],
)
def test_what_is_refused_leaves_the_stream_as_it_was(
    model: Any, sound: Any, whole: Any, samples: Any, error: type[Exception]
) -> None:
    stream = Stream(model)
    first = stream.push(sound[:17_000])
    with pytest.raises(error):
        stream.push(samples)
    frames = first + stream.push(sound[17_000:]) + stream.flush()
    assert np.concatenate([f.embeddings for f in frames]).tobytes() == whole[0].tobytes()


@pytest.mark.filterwarnings("ignore:audio reaches")
def test_an_overflow_resets_the_stream(model: Any, sound: Any, whole: Any) -> None:
    stream = Stream(model)
    stream.push(sound[:7_000])
    with pytest.raises(AudioValueError, match="so loud"):
        stream.push(np.full(20_000, 1e30, np.float32) * sound[:20_000])
    assert stream.n_samples == 0
    assert joined(stream, [sound])[0].tobytes() == whole[0].tobytes()


def growth(push: Callable[[np.ndarray], object]) -> int:
    """Return the bytes that half a minute more of audio keeps in memory."""
    one = np.full(1_600, 0.1, np.float32)
    tracemalloc.start()
    try:
        found = []
        for _ in range(2):
            for _ in range(300):
                push(one)
            gc.collect()
            found.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return found[1] - found[0]


def test_memory_is_constant(model: Any) -> None:
    assert growth(Stream(model).push) < 8_000  # a second of samples has 64,000
