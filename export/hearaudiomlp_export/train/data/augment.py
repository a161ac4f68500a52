"""Batches of one-second windows: words put into rooms, noise, microphones and telephones.

All that is drawn comes from the seed and the number of the batch, so that a run that goes on
from a saved state sees what an uninterrupted one would have seen. The filters of a window
(room, equalizer, band limits) are multiplied in the frequency domain, in one pass for a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.sounds import SOUNDS, make_sound, room_response
from hearaudiomlp_export.train.speech.words import KEYWORDS

Samples = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_ROOM = 8000
_PADDED = 24000  # WINDOW + _ROOM, and a product of 2, 3 and 5
_BINS = _PADDED // 2 + 1
NOT_A_KEYWORD = -1


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


class Backgrounds:
    """A bank of sounds, babble and room responses, made once from a seed."""

    def __init__(self, parts: Sequence[Part], seed: int, each: int = 16) -> None:
        """Make the bank.

        Args:
            parts: where babble takes its words from.
            seed: of all of it.
            each: sounds of every kind, 3 s each; five times as many room responses.
        """
        length = 3 * SAMPLE_RATE
        self.names: list[str] = []
        sounds = []
        for kind, name in enumerate(SOUNDS):
            for number in range(each):
                rng = np.random.default_rng([seed, 100, kind, number])
                sounds.append(make_sound(name, rng, length))
                self.names.append(name)
        for number in range(4 * each):
            rng = np.random.default_rng([seed, 101, number])
            sounds.append(_babble(rng, parts, length))
            self.names.append("babble")
        self.sounds: Samples = np.stack(sounds)
        rooms = [
            room_response(np.random.default_rng([seed, 102, number]), _ROOM)
            for number in range(5 * each)
        ]
        self.rooms = torch.fft.rfft(torch.from_numpy(np.stack(rooms)), n=_PADDED)


def _babble(rng: np.random.Generator, parts: Sequence[Part], n: int) -> Samples:
    wave = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(3, 9))):
        start, level = 0, rng.uniform(0.3, 1)
        while start < n:
            part = parts[int(rng.integers(len(parts)))]
            clip = part.clip(int(rng.integers(len(part))))[: n - start] / 32768.0
            wave[start : start + len(clip)] += level * clip
            start += len(clip) + int(rng.exponential(0.1) * SAMPLE_RATE)
    return np.asarray(0.5 * wave / np.abs(wave).max(), np.float32)


def resampled(clip: npt.NDArray[np.int16], speed: float) -> Samples:
    """Return ``clip`` played ``speed`` times as fast: pitch, formants and duration together."""
    positions = np.arange(0, max(len(clip) - 1, 0), speed)
    whole = positions.astype(np.int64)
    part = (positions - whole).astype(np.float32)
    samples = clip.astype(np.float32) / 32768.0
    return samples[whole] * (1 - part) + samples[np.minimum(whole + 1, len(clip) - 1)] * part


def _place(rng: np.random.Generator, length: int) -> int:
    """Draw where in the window a clip of ``length`` begins; negative: its start is cut off."""
    spare = WINDOW - length
    if spare <= 0:
        return int(spare * rng.random())
    where = rng.random()
    if where < 0.3:  # a trimmed clip with zeros appended
        return int(rng.integers(0, min(spare, 800) + 1))
    if where < 0.6:  # a recorded second
        return int(spare * np.clip(rng.normal(0.5, 0.15), 0, 1))
    return int(rng.integers(0, spare + 1))


def _paste(window: Samples, clip: Samples, start: int) -> None:
    kept = clip[max(0, -start) :][: max(0, WINDOW - max(0, start))]
    window[max(0, start) : max(0, start) + len(kept)] += kept


class Augmenter:
    """Makes batches of windows from the corpus."""

    def __init__(
        self,
        parts: Sequence[Part],
        shares: Sequence[float],
        backgrounds: Backgrounds,
        strength: Strength,
        seed: int,
    ) -> None:
        """Prepare.

        Args:
            parts: the corpus.
            shares: of each part in a batch; they add up to one.
            backgrounds: noises and rooms.
            strength: of the disturbances.
            seed: with the number of a batch, it decides everything drawn.
        """
        self._parts = parts
        self._shares = np.array(shares) / sum(shares)
        self._backgrounds = backgrounds
        self._strength = strength
        self._seed = seed
        index = {word: number for number, word in enumerate(KEYWORDS)}
        self._labels = [np.array([index.get(w, NOT_A_KEYWORD) for w in p.words]) for p in parts]
        self._keywords = [np.flatnonzero(labels >= 0) for labels in self._labels]
        self._others = [np.flatnonzero(labels < 0) for labels in self._labels]

    def batch(
        self, number: int, size: int, negatives: float, sounds: float
    ) -> tuple[Tensor, Tensor]:
        """Return windows and labels.

        Args:
            number: of the batch.
            size: windows in it.
            negatives: share of windows with another word.
            sounds: share of windows with no word at all.

        Returns:
            Windows [shape=(size, 16000), float32] and labels [shape=(size,), int64], where
            ``NOT_A_KEYWORD`` stands for all that is none.
        """
        rng = np.random.default_rng([self._seed, 7, number])
        windows = np.zeros((size, WINDOW), np.float32)
        spans = np.zeros((size, 2), np.int64)
        labels = np.full(size, NOT_A_KEYWORD)
        kinds = rng.random(size)
        for row in range(size):
            if kinds[row] < sounds:
                spans[row] = (0, WINDOW)
                if rng.random() < 0.7:
                    windows[row] = self._sound(rng) * rng.random()
                continue
            of = self._others if kinds[row] < sounds + negatives else self._keywords
            part = int(rng.choice(len(self._parts), p=self._shares))
            chosen = int(of[part][rng.integers(len(of[part]))])
            labels[row] = self._labels[part][chosen]
            spans[row] = self._speak(rng, windows[row], self._parts[part].clip(chosen))
        disturbed = self._disturb(rng, windows, spans)
        return disturbed, torch.from_numpy(labels)

    def _sound(self, rng: np.random.Generator) -> Samples:
        sound = self._backgrounds.sounds[int(rng.integers(len(self._backgrounds.sounds)))]
        start = int(rng.integers(len(sound) - WINDOW))
        cut: Samples = sound[start : start + WINDOW]
        return cut

    def _speak(
        self, rng: np.random.Generator, window: Samples, clip: npt.NDArray[np.int16]
    ) -> tuple[int, int]:
        """Put a word into ``window``; return where it begins and ends."""
        if rng.random() < 0.4:  # cut a little short, as automatic trimming does
            lost = (rng.random(2) ** 2 * 0.12 * len(clip)).astype(int)
            clip = clip[lost[0] : len(clip) - lost[1]]
        word = resampled(clip, float(np.clip(np.exp(rng.normal(0.05, 0.13)), 0.75, 1.4)))
        start = _place(rng, len(word))
        _paste(window, word, start)
        if rng.random() < self._strength.other_words:
            part = self._parts[int(rng.integers(len(self._parts)))]
            gap = int(rng.uniform(0.03, 0.2) * SAMPLE_RATE)
            before = resampled(part.clip(int(rng.integers(len(part)))), 1.0)
            after = resampled(part.clip(int(rng.integers(len(part)))), 1.0)
            # No more than a third of a second of either: the window's word is the one in between.
            _paste(
                window,
                before[-SAMPLE_RATE // 3 :],
                start - gap - min(len(before), SAMPLE_RATE // 3),
            )
            _paste(window, after[: SAMPLE_RATE // 3], start + len(word) + gap)
            return 0, WINDOW
        return max(0, start), min(WINDOW, start + len(word))

    def _disturb(self, rng: np.random.Generator, windows: Samples, spans: Indices) -> Tensor:
        strength, size = self._strength, len(windows)
        powers = np.square(windows).sum(axis=1) / np.maximum(1, spans[:, 1] - spans[:, 0])
        noises = np.zeros_like(windows)
        for row in np.flatnonzero(rng.random(size) < strength.noise):
            noise = self._sound(rng)
            snr = rng.uniform(0, 35)
            level = np.sqrt(max(powers[row], 1e-8) / (np.square(noise).mean() + 1e-9))
            noises[row] = noise * level * 10 ** (-snr / 20)
        spectrum = torch.fft.rfft(torch.from_numpy(windows), n=_PADDED)
        in_room = np.flatnonzero(rng.random(size) < strength.room)
        rooms = rng.integers(len(self._backgrounds.rooms), size=len(in_room))
        spectrum[in_room] *= self._backgrounds.rooms[rooms]
        noisy = np.flatnonzero(noises.any(axis=1))
        if len(noisy):
            spectrum[noisy] += torch.fft.rfft(torch.from_numpy(noises[noisy]), n=_PADDED)
        channel = np.stack([_channel(rng, strength) for _ in range(size)])
        spectrum *= torch.from_numpy(channel)
        wave = torch.fft.irfft(spectrum, n=_PADDED)[:, :WINDOW].numpy()
        return torch.from_numpy(self._record(rng, wave, spans))

    def _record(self, rng: np.random.Generator, wave: Samples, spans: Indices) -> Samples:
        """Set the level, clip, quantize, and cut to the word, as recorders and editors do."""
        strength = self._strength
        peaks = np.abs(wave).max(axis=1)
        for row in range(len(wave)):
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
            if rng.random() < strength.zero_padding:
                start, end = spans[row]
                margin = rng.exponential(0.02, size=2) * SAMPLE_RATE
                wave[row, : max(0, start - int(margin[0]))] = 0
                wave[row, end + int(margin[1]) :] = 0
        return wave


_FREQUENCY = np.fft.rfftfreq(_PADDED, 1 / SAMPLE_RATE).astype(np.float32)
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
