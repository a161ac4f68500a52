"""What is computed of recordings before anything is fitted."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from hearaudiomlp.fitting import features
from hearaudiomlp.fitting.examples import Clip, Examples
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import read_model_file


class NoTaps:
    """Instead of an encoder, which takes time: what it would return, but zeros."""

    def __init__(self, *_: object, **__: object) -> None:
        """Load nothing."""

    def summarize(self, windows: np.ndarray) -> np.ndarray:
        """Return means of zero."""
        return np.zeros((len(windows), 7, 624), np.float32)


def test_of_many_recordings_neither_samples_nor_windows_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch of windows at a time, however many recordings there are."""

    def read(examples: Examples) -> Iterator[np.ndarray]:
        return (np.ones(24_000, np.float32) for _ in examples.clips)

    monkeypatch.setattr(features, "Taps", NoTaps)
    monkeypatch.setattr(features, "read_samples", read)
    source = read_model_file(locate(None).read())
    clips = [Clip(f"{n}.wav", None if n else "a", group=f"{n}") for n in range(800)]
    tracemalloc.start()
    try:
        train, slid, _ = features.compute_windows(source, Examples(clips), 0, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    windows = len(slid.windows) + int(np.sum(train.groups < 800))
    assert windows > 4_800
    assert peak < 0.8 * windows * 64_000


def test_long_recordings_are_seen_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes at most, and of everything else windows from all over it."""
    long = np.ones(620 * 16_000, np.float32)
    monkeypatch.setattr(features, "Taps", NoTaps)
    monkeypatch.setattr(features, "read_samples", lambda examples: (long for _ in examples.clips))
    source = read_model_file(locate(None).read())
    clips = [Clip("a.wav", None, group="a"), Clip("b.wav", None, group="b")]
    train, slid, _ = features.compute_windows(source, Examples(clips), 0, 1)
    assert np.bincount(slid.clips).tolist() == [2_400, 2_400]
    assert np.bincount(train.groups)[:2].tolist() == [40, 40]
