"""What is done to windows: rooms, noise, microphones, telephones, recorders.

The filters of a window (room, equalizer, band limits) are multiplied in the frequency domain, in
one pass for a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.train.data.backgrounds import PADDED, Backgrounds

Samples = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_BINS = PADDED // 2 + 1
_CHANNELS = 512


@dataclass(frozen=True)
class Strength:
    """How likely each disturbance is."""

    room: float = 0.5
    noise: float = 0.65
    equalizer: float = 0.7
    low_pass: float = 0.5
    """Telephone band, or a cut between 2.8 and 7 kHz."""

    clipping: float = 0.1
    codec: float = 0.25
    """8-bit mu-law, or few linear bits."""

    zero_padding: float = 0.5
    """Nothing but digital zeros around the word, as when a short clip fills a window."""

    other_words: float = 0.1
    """The end of one word before, the beginning of one after."""

    hiss: float = 0.0
    """White noise of -40 dB or less below full scale."""


class Disturber:
    """Disturbs batches of windows, each window with a strength of its own."""

    def __init__(self, backgrounds: Backgrounds, seed: int) -> None:
        """Prepare.

        Args:
            backgrounds: noises and rooms.
            seed: of the microphones and lines.
        """
        self._backgrounds = backgrounds
        self._seed = seed
        self._banks: dict[Strength, Tensor] = {}

    def sound(self, rng: np.random.Generator) -> Samples:
        """Draw a second of a background [shape=(16000,)]."""
        sound = self._backgrounds.sounds[int(rng.integers(len(self._backgrounds.sounds)))]
        start = int(rng.integers(len(sound) - WINDOW))
        cut: Samples = sound[start : start + WINDOW]
        return cut

    def disturb(
        self,
        rng: np.random.Generator,
        windows: Samples,
        spans: Indices,
        strengths: Sequence[Strength],
    ) -> Tensor:
        """Return the windows disturbed.

        Args:
            rng: source of randomness.
            windows: [shape=(n, 16000)].
            spans: where the word in each begins and ends [shape=(n, 2)].
            strengths: how much is done to each.
        """
        size = len(windows)
        powers = np.square(windows).sum(axis=1) / np.maximum(1, spans[:, 1] - spans[:, 0])
        noises = np.zeros_like(windows)
        for row in np.flatnonzero(rng.random(size) < [each.noise for each in strengths]):
            noise = self.sound(rng)
            snr = rng.uniform(0, 35)
            level = np.sqrt(max(powers[row], 1e-8) / (np.square(noise).mean() + 1e-9))
            noises[row] = noise * level * 10 ** (-snr / 20)
        spectrum = torch.fft.rfft(torch.from_numpy(windows), n=PADDED)
        in_room = np.flatnonzero(rng.random(size) < [each.room for each in strengths])
        rooms = rng.integers(len(self._backgrounds.rooms), size=len(in_room))
        spectrum[in_room] *= self._backgrounds.rooms[rooms]
        noisy = np.flatnonzero(noises.any(axis=1))
        if len(noisy):
            spectrum[noisy] += torch.fft.rfft(torch.from_numpy(noises[noisy]), n=PADDED)
        for strength in dict.fromkeys(strengths):
            rows = np.flatnonzero([each == strength for each in strengths])
            bank = self._channels(strength)
            spectrum[rows] *= bank[rng.integers(len(bank), size=len(rows))]
        wave = torch.fft.irfft(spectrum, n=PADDED)[:, :WINDOW].numpy()
        return torch.from_numpy(_record(rng, wave, spans, strengths))

    def _channels(self, strength: Strength) -> Tensor:
        """Return a bank of responses [shape=(n, bins)], made once for each strength."""
        if strength not in self._banks:
            rng = np.random.default_rng([self._seed, 9])
            made = [_channel(rng, strength) for _ in range(_CHANNELS)]
            self._banks[strength] = torch.from_numpy(np.stack(made))
        return self._banks[strength]


def _record(
    rng: np.random.Generator, wave: Samples, spans: Indices, strengths: Sequence[Strength]
) -> Samples:
    """Set the level, clip, quantize, and cut to the word, as recorders and editors do."""
    peaks = np.abs(wave).max(axis=1)
    for row, strength in enumerate(strengths):
        if peaks[row] > 0:
            peak = 10 ** (-rng.uniform(0, 34) / 20)
            if rng.random() < strength.clipping:
                peak = rng.uniform(1.0, 4.0)
            wave[row] *= peak / peaks[row]
            np.clip(wave[row], -1, 1, out=wave[row])
        if rng.random() < strength.codec:
            wave[row] = _coded(rng, wave[row])
        if rng.random() < 0.05:
            wave[row] += rng.normal(0, 0.01)
        if rng.random() < strength.hiss:
            level = 10 ** rng.uniform(-4.5, -2.0)
            wave[row] += level * rng.standard_normal(WINDOW, np.float32)
        if rng.random() < strength.zero_padding:
            start, end = spans[row]
            margin = rng.exponential(0.02, size=2) * SAMPLE_RATE
            wave[row, : max(0, start - int(margin[0]))] = 0
            wave[row, end + int(margin[1]) :] = 0
    return wave


_FREQUENCY = np.fft.rfftfreq(PADDED, 1 / SAMPLE_RATE).astype(np.float32)
_OCTAVES = np.log2(np.maximum(_FREQUENCY, 50.0) / 50.0).astype(np.float32)


def _channel(rng: np.random.Generator, strength: Strength) -> Samples:
    """Return the magnitude response of a microphone and a line [shape=(bins,)]."""
    response = np.ones(_BINS, np.float32)
    if rng.random() < strength.equalizer:
        knots = rng.normal(0, rng.uniform(0, 5), size=9)
        decibels = np.interp(_OCTAVES, np.arange(9), knots) + rng.normal(0, 1.5) * _OCTAVES
        response *= (10 ** (decibels / 20)).astype(np.float32)
    if rng.random() < strength.low_pass:
        telephone = rng.random() < 0.7
        cut = rng.uniform(3300, 4000) if telephone else np.exp(rng.uniform(7.95, 8.85))
        order = rng.uniform(8, 40)
        response /= np.sqrt(1 + (_FREQUENCY / cut) ** (2 * order)).astype(np.float32)
        if telephone and rng.random() < 0.4:
            low = rng.uniform(100, 350)
            response /= np.sqrt(1 + (low / np.maximum(_FREQUENCY, 1.0)) ** 6).astype(np.float32)
    elif rng.random() < 0.2:
        low = rng.uniform(40, 250)
        response /= np.sqrt(1 + (low / np.maximum(_FREQUENCY, 1.0)) ** 4).astype(np.float32)
    return response


def _coded(rng: np.random.Generator, wave: Samples) -> Samples:
    if rng.random() < 0.5:  # ITU-T G.711 mu-law
        compressed = np.sign(wave) * np.log1p(255 * np.abs(wave)) / np.log(256)
        quantized = np.round(compressed * 127) / 127
        expanded = np.sign(quantized) * np.expm1(np.abs(quantized) * np.log(256)) / 255
        return np.asarray(expanded, np.float32)
    steps = 2.0 ** rng.integers(7, 13)
    return np.asarray(np.round(wave * steps) / steps, np.float32)
