"""Recordings as windows of one second, placed and disturbed as sliding windows will meet them.

Live and in files, windows slide over the sound a quarter of a second at a time: a word is anywhere
in them, and cut off in some. So each recording is placed at several random offsets; and it is
played a little faster or slower (another speaker), through another microphone, at another level,
with a little noise.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.resampling import load_soxr, resample
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW

CUT = 0.2
"""Share of a sound that may be outside a window that still counts as one with the sound."""

ALIGNMENTS = 3
"""Where the middle of a word may be in a window: before, at or behind that of the window."""

_APART = WINDOW // 5  # from the middle of one of these places to that of the next

_STEP = 160
_DEEP_DB = 30.0  # below the loudest: where a sound begins and ends
_JITTER = WINDOW // 10

_SPEED = 0.17  # of the logarithm
_SPEEDS = 12  # different ones of each recording
_EQUALIZER_KHZ = (0.0, 0.3, 0.8, 1.5, 2.5, 4.0, 6.0, 8.0)
_EQUALIZER_DB = 4.0
_LEVEL_DB = (-12.0, 6.0)
_NOISE_DB = (5.0, 40.0)
_NOISY = 0.7  # share of the windows with noise


def find_sound(samples: Floats) -> tuple[int, int]:
    """Return where the sound in a recording begins and ends, in samples.

    It is where the level, smoothed over 50 ms, is within 30 dB of the loudest and clearly above the
    background.

    Args:
        samples: mono at 16 kHz [shape=(n,)].

    Examples:
        >>> samples = np.zeros(16_000, np.float32)
        >>> samples[4_000:8_000] = 0.5
        >>> start, stop = find_sound(samples)
        >>> abs(start - 4_000) < 500, abs(stop - 8_000) < 500
        (True, True)
    """
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % _STEP + 4 * _STEP))
    energy = np.square(padded).reshape(-1, _STEP).mean(axis=1)
    levels = 10.0 * np.log10(np.convolve(energy, np.full(5, 0.2), mode="same") + 1e-10)
    levels = levels[: -(-len(samples) // _STEP)]
    loudest = levels.max()
    background = np.percentile(levels, 10)
    threshold = max(loudest - _DEEP_DB, background + 0.35 * (loudest - background))
    above = np.flatnonzero(levels >= threshold)
    return int(above[0]) * _STEP, min(len(samples), (int(above[-1]) + 1) * _STEP)


class Placed(NamedTuple):
    """Windows of a recording.

    Examples:
        >>> windows, alignments = place(np.ones(8_000, np.float32), 4, np.random.default_rng(0))
        >>> windows.shape, alignments.shape
        ((4, 16000), (4,))
    """

    windows: Floats
    """[shape=(n, 16000)], float32."""

    alignments: npt.NDArray[np.int64]
    """From 0 to ``ALIGNMENTS - 1``, for each window; what is much longer is in the middle."""


def _starts(
    samples: Floats, count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where windows start, in samples, and their alignments.

    A window that starts before 0 begins with silence.
    """
    start, stop = find_sound(samples)
    cut = CUT * (stop - start)
    low, high = stop - WINDOW - cut, start + cut
    if low <= high:
        starts = np.asarray(rng.uniform(low, high, count), np.int64)
        from_middle = np.rint(((start + stop - WINDOW) / 2 - starts) / _APART).astype(np.int64)
        return starts, np.clip(from_middle + ALIGNMENTS // 2, 0, ALIGNMENTS - 1)
    return _starts_within(samples, start, stop, count, rng), np.full(count, ALIGNMENTS // 2)


def _starts_within(
    samples: Floats, start: int, stop: int, count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    if stop - start <= 2 * WINDOW:  # a word, and more that is loud: where most of it is
        power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
        best = int((power[WINDOW:] - power[:-WINDOW]).argmax()) if len(samples) > WINDOW else 0
        return np.asarray(rng.integers(best - _JITTER, best + _JITTER + 1, count))
    return np.asarray(rng.integers(start, stop - WINDOW + 1, count))  # sound all along


def cut_window(samples: Floats, start: int) -> npt.NDArray[np.float64]:
    """Return the window that starts at a sample, with zeros outside the recording.

    Examples:
        >>> cut_window(np.ones(10, np.float32), -2)[:4].tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    window = np.zeros(WINDOW)
    first, last = max(0, start), min(len(samples), start + WINDOW)
    if first < last:
        window[first - start : last - start] = samples[first:last]
    return window


def make_noise(rng: np.random.Generator, count: int, samples: int = WINDOW) -> Floats:
    """Return white, pink and brown noise of RMS 1 [shape=(count, samples)].

    Examples:
        >>> make_noise(np.random.default_rng(0), 2).shape
        (2, 16000)
    """
    spectrum = np.fft.rfft(rng.standard_normal((count, samples)))
    slope = rng.integers(0, 3, (count, 1)) / 2.0
    noise = np.fft.irfft(spectrum / np.maximum(1.0, np.arange(samples // 2 + 1)) ** slope, samples)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise), axis=1, keepdims=True)))


def _at_speed(samples: Floats, factor: float) -> Floats:
    return resample(load_soxr("fit", "fit uses soxr"), samples, SAMPLE_RATE * factor)


def _equalized(
    windows: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    spectrum = np.fft.rfft(windows)
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2000, spectrum.shape[1])
    gains = rng.normal(0.0, _EQUALIZER_DB, (len(windows), len(_EQUALIZER_KHZ)))
    curves = [np.interp(frequencies, _EQUALIZER_KHZ, row) for row in gains]
    return np.asarray(np.fft.irfft(spectrum * 10.0 ** (np.array(curves) / 20.0), windows.shape[1]))


def place(samples: Floats, count: int, rng: np.random.Generator) -> Placed:
    """Cut windows out of a recording, each disturbed in another way.

    Args:
        samples: mono at 16 kHz [shape=(n,)].
        count: how many windows.
        rng: what draws offsets and disturbances.

    Raises:
        MissingPackageError: soxr isn't installed.

    Examples:
        >>> place(np.ones(8_000, np.float32), 4, np.random.default_rng(0)).windows.shape
        (4, 16000)
    """
    windows = np.empty((count, WINDOW))
    alignments = np.empty(count, np.int64)
    for share in np.array_split(np.arange(count), min(_SPEEDS, count)):
        played = _at_speed(samples, float(np.exp(rng.uniform(-_SPEED, _SPEED))))
        starts, alignments[share] = _starts(played, len(share), rng)
        windows[share] = [cut_window(played, start) for start in starts]
    windows = _equalized(windows, rng)
    rms = np.sqrt(np.mean(np.square(windows), axis=1, keepdims=True))
    below = 10.0 ** (-rng.uniform(*_NOISE_DB, (count, 1)) / 20.0)
    noise = (rng.random((count, 1)) < _NOISY) * rms * below * make_noise(rng, count)
    gain = 10.0 ** (rng.uniform(*_LEVEL_DB, (count, 1)) / 20.0)
    disturbed = np.clip(gain * (windows + noise), -1.0, 1.0)
    return Placed(np.asarray(disturbed, np.float32), alignments)
