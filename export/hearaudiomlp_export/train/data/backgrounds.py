"""A bank of what is heard behind words: sounds, babble, recorded noise; and rooms."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.sounds import SOUNDS, make_sound, room_response

Samples = npt.NDArray[np.float32]

ROOM = 8000
"""Samples of a room response."""

PADDED = 24000
"""Length of the Fourier transforms: a window and a room response, and a product of 2, 3 and 5."""

_LENGTH = 3 * SAMPLE_RATE


class Backgrounds:
    """A bank of sounds, babble and room responses, made once from a seed."""

    def __init__(
        self, parts: Sequence[Part], seed: int, each: int = 16, recorded: Part | None = None
    ) -> None:
        """Make the bank.

        Args:
            parts: where babble takes its words from.
            seed: of all of it.
            each: sounds of every kind, 3 s each; five times as many room responses.
            recorded: real noise, all of which joins the synthetic.
        """
        self.names: list[str] = []
        sounds = []
        for kind, name in enumerate(SOUNDS):
            for number in range(each):
                rng = np.random.default_rng([seed, 100, kind, number])
                sounds.append(make_sound(name, rng, _LENGTH))
                self.names.append(name)
        for number in range(4 * each):
            rng = np.random.default_rng([seed, 101, number])
            sounds.append(_babble(rng, parts, _LENGTH))
            self.names.append("babble")
        if recorded is not None:
            pieces = _pieces(recorded)
            sounds += pieces
            self.names += ["recorded"] * len(pieces)
        self.sounds: Samples = np.stack(sounds)
        rooms = [
            room_response(np.random.default_rng([seed, 102, number]), ROOM)
            for number in range(5 * each)
        ]
        self.rooms = torch.fft.rfft(torch.from_numpy(np.stack(rooms)), n=PADDED)


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


def _pieces(recorded: Part) -> list[Samples]:
    """Cut recordings into pieces of 3 s with a peak of one half."""
    pieces = []
    for clip in recorded.clips():
        for start in range(0, len(clip) - _LENGTH + 1, _LENGTH):
            piece = clip[start : start + _LENGTH] / np.float32(32768)
            peak = float(np.abs(piece).max())
            if peak > 0:
                pieces.append(np.asarray(0.5 * piece / peak, np.float32))
    return pieces
