"""What the speech synthesizers have in common: voices, and clips without silent ends."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from hearaudiomlp.spec import SAMPLE_RATE

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """A voice of one synthesizer and the manner in which it speaks."""

    name: str
    rate: float = 1.0
    """Speed; 1 is the voice's own, 2 is twice as fast."""

    pitch: float = 1.0
    """Mean pitch; 1 is the voice's own."""

    intonation: float = 1.0
    """Range of the pitch; 1 is the voice's own, 0 is a monotone."""


def trim(samples: Samples, rate: int, below_peak: float = 40.0) -> Samples:
    """Cut what is silent off both ends.

    Args:
        samples: [shape=(n,)].
        rate: in Hz.
        below_peak: decibels below the loudest 10 ms that count as silence.

    Returns:
        The part between the first and the last loud 10 ms, with 10 ms more at each end.
    """
    hop = rate // 100
    n_frames = len(samples) // hop
    if n_frames == 0:
        return samples[:0]
    power = np.square(samples[: n_frames * hop]).reshape(n_frames, hop).mean(axis=1)
    if not power.max() > 0:
        return samples[:0]
    loud = np.flatnonzero(power > power.max() * 10 ** (-below_peak / 10))
    return samples[max(0, loud[0] - 1) * hop : (loud[-1] + 2) * hop]


def to_clip(samples: Samples, rate: int) -> npt.NDArray[np.int16]:
    """Trim, resample to 16 kHz and scale to a peak of one half.

    Args:
        samples: [shape=(n,)], of any level.
        rate: in Hz.

    Returns:
        PCM [shape=(m,)], empty if nothing was spoken.
    """
    trimmed = trim(samples, rate)
    if not len(trimmed):
        return np.zeros(0, np.int16)
    resampled = soxr.resample(trimmed, rate, SAMPLE_RATE)
    peak = float(np.abs(resampled).max())
    pcm: npt.NDArray[np.int16] = np.round(resampled * (16384 / max(peak, 1e-9))).astype(np.int16)
    return pcm
