"""The sounds of the kit, made from nothing but arithmetic and a seed.

Their lengths are what they are for: something in the pipeline changes at each. There is no sample
at all, fewer than a timestamp needs, exactly one timestamp, the sample with which a second window
begins, two sounds at a time, a half-filled last window, and, by repetition, a minute.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 16_000
PCM = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Sound:
    """One entry of the kit."""

    name: str
    samples: PCM
    """[shape=(n_sounds, n_samples)]"""

    repeat: int = 1
    """How often the samples are played end to end."""


def _pcm(*sounds: npt.NDArray[np.float64]) -> PCM:
    return np.rint(np.stack(sounds) * 32767.0).clip(-32768, 32767).astype(np.int16)


def _chirp(n_samples: int) -> npt.NDArray[np.float64]:
    seconds = np.arange(n_samples) / RATE
    return 0.5 * np.sin(2.0 * np.pi * (100.0 * seconds + 3500.0 * seconds**2))


def _vowels(n_samples: int) -> npt.NDArray[np.float64]:
    """Sum the harmonics of a gliding voice under three formants that move from vowel to vowel."""
    formants = np.array([[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480]])
    seconds = np.arange(n_samples) / RATE
    place = seconds * 3.0 % len(formants)
    corners = np.arange(len(formants) + 1)
    closed = np.concatenate([formants, formants[:1]])
    tracks = [np.interp(place, corners, closed[:, number]) for number in range(3)]
    pitch = 120.0 + 30.0 * np.sin(2.0 * np.pi * 0.7 * seconds)
    phase = 2.0 * np.pi * np.cumsum(pitch) / RATE
    voice = np.zeros(n_samples)
    for harmonic in range(1, 40):
        frequency = harmonic * pitch
        gain = sum(1.0 / (1.0 + ((frequency - track) / 90.0) ** 2) for track in tracks)
        voice += gain * np.sin(harmonic * phase) * (frequency < 7000.0)
    syllables = 0.5 - 0.5 * np.cos(2.0 * np.pi * 3.0 * seconds)
    return 0.6 * voice * syllables / max(1.0, float(np.abs(voice).max()))


def sounds() -> tuple[Sound, ...]:
    """Return the sounds of the kit."""
    noise = np.random.default_rng(7).standard_normal(RATE)
    tone = 0.3 * np.sin(2.0 * np.pi * 440.0 * np.arange(RATE) / RATE)
    click = np.zeros(159)
    click[80] = 0.9
    vowels = _pcm(_vowels(40_000))
    return (
        Sound("empty", np.zeros((1, 0), np.int16)),
        Sound("click", _pcm(click)),
        Sound("shortest", _pcm(0.1 * noise[:160])),
        Sound("silence", np.zeros((1, 8_000), np.int16)),
        Sound("chirp", _pcm(_chirp(15_681))),
        Sound("two", _pcm(tone, 0.1 * noise)),
        Sound("vowels", vowels),
        Sound("minute", vowels, repeat=24),
    )
