"""Windows of one second that overlap, of a sound whose samples come in pieces.

Keyword spotting takes bare windows at every hop. Each frame of the spectrogram is computed once,
whichever windows it is in (:mod:`hearaudiomlp.inference.halves`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import AudioValueError, OptionError
from hearaudiomlp.inference.halves import BANDS, count_frames
from hearaudiomlp.model import Model
from hearaudiomlp.signal.arrays import ToCaller, validate_audio
from hearaudiomlp.spec import FRAMES, HOP, SAMPLE_RATE, WINDOW

_PIECE = 4 * WINDOW  # samples that are taken in at a time, so that memory is bounded


@dataclass(frozen=True)
class Block:
    """Consecutive windows and what the model makes of them."""

    starts: npt.NDArray[np.float64]
    """Where the windows start, in seconds [shape=(n,)]."""

    windows: Floats
    """Their samples [shape=(n, 16000)]: a view of memory that is used again for the next block."""

    outputs: dict[str, Floats]
    """Those of :meth:`Model.encode <hearaudiomlp.model.Model.encode>`, by name."""


def take_samples(samples: Any) -> tuple[Floats, ToCaller]:
    """Check one sound's samples and convert them to float32; see :func:`validate_audio`.

    Raises:
        AudioTypeError: they are no array of floating-point numbers.
        AudioValueError: they aren't one-dimensional, or have NaN or infinity in them.
    """
    shape = getattr(samples, "shape", None)
    if shape is not None and len(shape) != 1:
        raise AudioValueError(
            f"a stream takes samples of the shape (n_samples,), one sound, not {tuple(shape)}"
        )
    sounds, to_caller = validate_audio(samples if shape is None else samples[None])
    return sounds[0], to_caller


def hop_samples(hop: float) -> int:
    """Return a hop in samples.

    Raises:
        OptionError: it isn't a multiple of 10 ms, from 10 ms to a second.
    """
    frames = round(hop * SAMPLE_RATE / HOP) if math.isfinite(hop) else 0
    if not 1 <= frames <= WINDOW // HOP or abs(frames * HOP / SAMPLE_RATE - hop) > 1e-9:
        raise OptionError(f"hop is a multiple of 0.01 s, from 0.01 s to 1 s, not {hop!r}")
    return frames * HOP


class SlidingWindows:
    """Windows at every hop, each computed as soon as its last sample is there.

    What comes out doesn't depend on how the sound is split into pieces, and is to the bit what
    :meth:`Model.encode <hearaudiomlp.model.Model.encode>` gives for the same windows.
    """

    def __init__(self, model: Model, hop: float = 0.25) -> None:
        """Begin before the first sample.

        Args:
            model: of either encoder.
            hop: seconds from one window to the next, a multiple of 0.01.

        Raises:
            OptionError: hop has a value that it can't have.
        """
        self._hop = hop_samples(hop)
        self._block = model.block
        self._halves = model.halves()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of another sound."""
        # One buffer for good: fresh memory for every push would cost more than is saved.
        self._buffer = np.empty(WINDOW + _PIECE, np.float32)
        self._first = self._last = 0  # in the buffer: the next window's first sample, and the end
        self._mel = np.zeros((0, BANDS), np.float32)  # from the next window's first frame on
        self._given = 0
        self.n_samples = 0
        """Samples taken so far."""

    def push(self, samples: Floats) -> Iterator[Block]:
        """Take the next samples; give the windows that they complete, in blocks.

        Args:
            samples: mono at 16 kHz, float32 [shape=(n,)]. They are taken in while the blocks are
                gone through, to the end.

        Raises:
            AudioValueError: they are so loud that float32 overflows; :meth:`reset` is due then.
        """
        for at in range(0, len(samples), _PIECE):
            piece = samples[at : at + _PIECE]
            self.n_samples += len(piece)
            self._take(piece)
            yield from self._blocks()

    def flush(self) -> Iterator[Block]:
        """Give the windows that only zeros complete, so that all samples were in some window.

        Then begin anew, as :meth:`reset` does.
        """
        if self.n_samples:
            windows = 1 + -(-max(0, self.n_samples - WINDOW) // self._hop)
            stop = (windows - 1) * self._hop + WINDOW
            self._take(np.zeros(stop - self.n_samples, np.float32))
            yield from self._blocks()
        self.reset()

    def _take(self, samples: Floats) -> None:
        if self._last + len(samples) > len(self._buffer):
            kept = self._buffer[self._first : self._last].copy()
            self._first, self._last = 0, len(kept)
            self._buffer[: len(kept)] = kept
        self._buffer[self._last : self._last + len(samples)] = samples
        self._last += len(samples)

    def _complete_mel(self) -> None:
        """Compute the frames that aren't yet; all at once is cheaper than as they come."""
        done = self._first + len(self._mel) * HOP
        if count_frames(self._last - done):
            new = self._halves.power_mel(self._buffer[done : self._last])
            self._mel = np.concatenate([self._mel, new])

    def _blocks(self) -> Iterator[Block]:
        if self._last - self._first >= WINDOW:
            self._complete_mel()
        while (room := self._last - self._first - WINDOW) >= 0:
            n = min(self._block, room // self._hop + 1)
            step = self._hop // HOP
            mels = [self._mel[first : first + FRAMES] for first in range(0, n * step, step)]
            size = self._buffer.itemsize
            block = Block(
                (self._given + np.arange(n)) * self._hop / SAMPLE_RATE,
                np.ndarray(
                    (n, WINDOW),
                    np.float32,
                    self._buffer,
                    self._first * size,
                    (self._hop * size, size),
                ),
                self._halves.encode(np.stack(mels)),
            )
            self._given += n
            self._first += n * self._hop
            self._mel = self._mel[n * step :]
            yield block
