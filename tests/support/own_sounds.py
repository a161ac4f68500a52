"""Two kinds of synthetic calls, each a little different."""

from pathlib import Path

import numpy as np
import soundfile


def call(rising: bool, number: int, seconds: float = 0.6) -> np.ndarray:
    """Return a sweep between 500 and 2500 Hz, up or down, in a second of faint noise."""
    rng = np.random.default_rng(100 * rising + number)
    n = int(16_000 * seconds * rng.uniform(0.8, 1.2))
    low, high = rng.uniform(400, 600), rng.uniform(2200, 2800)
    sweep = np.linspace(low, high, n) if rising else np.linspace(high, low, n)
    sound = 0.3 * np.sin(2 * np.pi * np.cumsum(sweep) / 16_000) * np.hanning(n)
    samples = 1e-3 * rng.standard_normal(16_000)
    at = rng.integers(0, 16_000 - n)
    samples[at : at + n] += sound
    return samples.astype(np.float32)


def write_calls(folder: Path, count: int) -> Path:
    for label, rising in (("fall", False), ("rise", True)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            soundfile.write(folder / label / f"{number}.wav", call(rising, number), 16_000)
    return folder
