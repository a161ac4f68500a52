"""Batches of one-second windows: words put into rooms, noise, microphones and telephones.

All that is drawn comes from the seed and the number of the batch, so that a run that resumes from a
saved state sees what an uninterrupted one would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.train.data.backgrounds import Backgrounds
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.disturb import Disturber, Strength
from hearaudiomlp_export.train.data.recordings import Recordings
from hearaudiomlp_export.train.speech.phrases import is_said
from hearaudiomlp_export.train.speech.words import KEYWORDS

Samples = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

NOT_A_KEYWORD = -1


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


@dataclass(frozen=True)
class Real:
    """How recordings of real people are used."""

    share: float = 0.85
    """Of recordings among the windows of a word that has very many of them."""

    half: float = 40.0
    """Recordings of a word that make it half of that share."""

    others: float = 0.5
    """Of recordings among the words that are no keywords."""

    whole: float = 0.65
    """Share of stretches of running speech that fill the window; the others are fragments."""

    strength: Strength = field(
        default_factory=lambda: Strength(
            room=0.25,
            noise=0.5,
            equalizer=0.5,
            low_pass=0.35,
            clipping=0.05,
            codec=0.15,
            zero_padding=0.4,
            other_words=0.08,
            hiss=0.25,
        )
    )
    """Of the disturbances; recordings are disturbed already."""


def _labels(part: Part, keywords: Sequence[str]) -> Indices:
    index = {word: number for number, word in enumerate(keywords)}
    return np.array([index.get(word, NOT_A_KEYWORD) for word in part.words])


def _normalized(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``rows`` scaled to add up to one along the last axis; zeros stay zeros."""
    sums = rows.sum(axis=-1, keepdims=True)
    return np.asarray(rows / np.where(sums > 0, sums, 1.0))


def _numbers_by_word(part: Part, keywords: Sequence[str]) -> list[Indices]:
    labels = _labels(part, keywords)
    return [np.flatnonzero(labels == number) for number in range(len(keywords))]


@dataclass(frozen=True)
class Mix:
    """What the windows of a batch hold; the rest are keywords."""

    negatives: float = 0.06
    """Share of windows with a word that is no keyword."""

    sounds: float = 0.04
    """Share of windows with no word."""

    running: float = 0.0
    """Share of windows cut from running speech."""


class Augmenter:
    """Makes batches of windows from the corpus, and from recordings if there are any."""

    def __init__(
        self,
        parts: Sequence[Part],
        shares: Sequence[float],
        backgrounds: Backgrounds,
        strength: Strength,
        seed: int,
        *,
        recordings: Recordings | None = None,
        real: Real | None = None,
        keywords: Sequence[str] = KEYWORDS,
        cut: float = 0.0,
    ) -> None:
        """Prepare.

        Args:
            parts: the corpus.
            shares: of each part in a batch; they add up to one.
            backgrounds: noises and rooms.
            strength: of the disturbances.
            seed: with the number of a batch, it decides everything drawn.
            recordings: of real people.
            real: how much of them, and how strongly they are disturbed.
            keywords: the words or phrases to be named.
            cut: share of the windows of words whose beginning or end, up to 30 % of it, is
                outside, as when windows slide over a sound.
        """
        self._parts = parts
        self._shares = np.array(shares) / sum(shares)
        self._disturber = Disturber(backgrounds, seed)
        self._strength = strength
        self._seed = seed
        self._recordings = recordings
        self._real = real or Real()
        self._keywords = keywords
        self._cut = cut
        self._by_word = [_numbers_by_word(part, keywords) for part in parts]
        others = [_labels(part, keywords) == NOT_A_KEYWORD for part in parts]
        self._others = [np.flatnonzero(other) for other in others]
        spoken_others = self._shares * [len(numbers) > 0 for numbers in self._others]
        self._shares_of_others = _normalized(spoken_others)
        there = np.array([[len(numbers) > 0 for numbers in found] for found in self._by_word])
        self._shares_of_word = _normalized((self._shares[:, None] * there).T)
        spoken = there.any(axis=0)
        if recordings is not None:
            self._real_by_word = _numbers_by_word(recordings.words, keywords)
            counts = np.array([len(numbers) for numbers in self._real_by_word])
            real_shares = self._real.share * counts / (counts + self._real.half)
            self._real_share = np.where(spoken, real_shares, 1.0)
            spoken |= counts > 0
            lengths = np.diff(recordings.running.ends, prepend=0)
            self._utterances = _normalized(lengths)
            self._said = np.array(
                [[is_said(word, text) for word in keywords] for text in recordings.running.words]
            )

        self._spoken = np.flatnonzero(spoken)

    def batch(self, number: int, size: int, mix: Mix) -> tuple[Tensor, Tensor, Tensor]:
        """Return windows, labels, and the words that may be in them besides.

        Args:
            number: of the batch.
            size: windows in it.
            mix: what the windows hold.

        Returns:
            Windows [shape=(size, 16000), float32]; labels [shape=(size,), int64], where
            ``NOT_A_KEYWORD`` stands for all that is none; and the keywords that may be heard in
            a stretch of running speech [shape=(size, n_keywords), bool].
        """
        rng = np.random.default_rng([self._seed, 7, number])
        windows = np.zeros((size, WINDOW), np.float32)
        spans = np.zeros((size, 2), np.int64)
        labels = np.full(size, NOT_A_KEYWORD)
        possible = np.zeros((size, len(self._keywords)), bool)
        strengths = [self._strength] * size
        kinds = rng.random(size)
        running = mix.running if self._recordings and len(self._recordings.running) else 0.0
        bounds = np.cumsum([mix.sounds, mix.negatives, running])
        for row in range(size):
            if kinds[row] < bounds[0]:
                spans[row] = (0, WINDOW)
                if rng.random() < 0.7:
                    windows[row] = self._disturber.sound(rng) * rng.random()
                continue
            if bounds[1] <= kinds[row] < bounds[2]:
                chosen = self._run_on(rng, windows[row], spans[row])
                possible[row] = self._said[chosen]
                strengths[row] = self._real.strength
                continue
            if kinds[row] < bounds[1]:
                part, chosen, real = self._choose_other(rng)
            else:
                labels[row] = self._spoken[rng.integers(len(self._spoken))]
                part, chosen, real = self._choose(rng, int(labels[row]))
            if real:
                strengths[row] = self._real.strength
            spans[row] = self._speak(rng, windows[row], part.clip(chosen), strengths[row])
        disturbed = self._disturber.disturb(rng, windows, spans, strengths)
        return disturbed, torch.from_numpy(labels), torch.from_numpy(possible)

    def _choose(self, rng: np.random.Generator, label: int) -> tuple[Part, int, bool]:
        """Draw a clip of a keyword: of the recordings the more often, the more there are."""
        if self._recordings is not None and rng.random() < self._real_share[label]:
            numbers = self._real_by_word[label]
            return self._recordings.words, int(numbers[rng.integers(len(numbers))]), True
        which = int(rng.choice(len(self._parts), p=self._shares_of_word[label]))
        numbers = self._by_word[which][label]
        return self._parts[which], int(numbers[rng.integers(len(numbers))]), False

    def _choose_other(self, rng: np.random.Generator) -> tuple[Part, int, bool]:
        others = self._recordings.others if self._recordings is not None else None
        if others is not None and len(others) and rng.random() < self._real.others:
            return others, int(rng.integers(len(others))), True
        which = int(rng.choice(len(self._parts), p=self._shares_of_others))
        return self._parts[which], int(rng.choice(self._others[which])), False

    def _run_on(self, rng: np.random.Generator, window: Samples, span: Indices) -> int:
        """Cut a stretch of running speech into ``window``; return the number of the utterance."""
        assert self._recordings is not None
        part = self._recordings.running
        chosen = int(rng.choice(len(part), p=self._utterances))
        clip = part.clip(chosen)
        whole = rng.random() < self._real.whole
        speed = float(np.clip(np.exp(rng.normal(0.0, 0.1)), 0.8, 1.25))
        seconds = 1.0 if whole else rng.uniform(0.25, 0.8)
        length = int(seconds * SAMPLE_RATE * speed) + 2
        start = int(rng.integers(max(1, len(clip) - length)))
        said = resampled(clip[start : start + length], speed)[:WINDOW]
        at = 0 if whole else _place(rng, len(said))
        _paste(window, said, at)
        span[:] = (at, min(WINDOW, at + len(said)))
        return chosen

    def _speak(
        self,
        rng: np.random.Generator,
        window: Samples,
        clip: npt.NDArray[np.int16],
        strength: Strength,
    ) -> tuple[int, int]:
        """Put a word into ``window``; return where it begins and ends."""
        if rng.random() < 0.4:  # cut a little short, as automatic trimming does
            lost = (rng.random(2) ** 2 * 0.12 * len(clip)).astype(int)
            clip = clip[lost[0] : len(clip) - lost[1]]
        word = resampled(clip, float(np.clip(np.exp(rng.normal(0.05, 0.13)), 0.75, 1.4)))
        start = _place(rng, len(word))
        if self._cut and rng.random() < self._cut:
            lost_samples = int(0.3 * len(word) * rng.random())
            start = -lost_samples if rng.random() < 0.5 else WINDOW - len(word) + lost_samples
        _paste(window, word, start)
        if rng.random() < strength.other_words:
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
