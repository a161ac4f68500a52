"""Live audio: timestamp embeddings of a sound whose samples arrive in pieces.

The windows of the embeddings don't overlap, so a second of audio costs the same as offline. For
keywords in overlapping windows see :mod:`hearaudiomlp.spotter`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats, Turns
from hearaudiomlp.model import Model
from hearaudiomlp.signal import windows
from hearaudiomlp.signal.arrays import ToCaller, validate_samples
from hearaudiomlp.spec import PAD_LEFT, PAD_RIGHT, WINDOW


@dataclass(frozen=True)
class Frames:
    """Consecutive timestamp embeddings of a sound: those of one window.

    Examples:
        >>> import hearaudiomlp
        >>> stream = hearaudiomlp.Stream(hearaudiomlp.load_model())
        >>> [frames] = stream.push(np.zeros(16_000, np.float32))
        >>> frames.embeddings.shape, float(frames.timestamps[-1])
        ((99, 64), 990.0)
    """

    embeddings: Any
    """float32 [shape=(n, timestamp_embedding_size)], the same kind of array as was pushed."""

    timestamps: Any
    """Milliseconds since the first sample of the sound [shape=(n,)], float32, likewise."""


class Stream:
    """Timestamp embeddings of live audio.

    Everything that is pushed before :meth:`flush` is one sound. Its frames, concatenated, equal
    ``model.timestamp_embeddings(sound)`` bit by bit, however the sound was split. A stream keeps
    about a second of audio, however long the sound. Threads that call the same stream take turns;
    many streams may share one model.

    Examples:
        >>> import hearaudiomlp
        >>> stream = hearaudiomlp.Stream(hearaudiomlp.load_model())
        >>> sound = hearaudiomlp.read_audio("samples/words.flac").samples
        >>> frames = []
        >>> for i in range(0, len(sound), 1600):  # as a microphone gives them, 0.1 s at a time
        ...     frames += stream.push(sound[i : i + 1600])
        >>> frames += stream.flush()
        >>> np.concatenate([part.embeddings for part in frames]).shape
        (638, 64)
    """

    def __init__(self, model: Model) -> None:
        """Start before the first sample.

        Args:
            model: of either encoder.
        """
        self._model = model
        self._turns = Turns()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample starts a new sound.

        Examples:
            >>> stream = hearaudiomlp.Stream(hearaudiomlp.load_model())
            >>> stream.push(np.zeros(100))
            []
            >>> stream.reset()
            >>> stream.n_samples
            0
        """
        with self._turns:
            self._sliding = windows.SlidingWindows(WINDOW, PAD_LEFT, PAD_RIGHT)
            self._given = 0
            self._restore: ToCaller = np.asarray

    @property
    def n_samples(self) -> int:
        """Number of samples pushed so far."""
        return self._sliding.n_samples

    def push(self, samples: Any) -> list[Frames]:
        """Take the next samples, any number; return the frames of the windows they complete.

        Args:
            samples: mono in [-1, 1] at 16 kHz [shape=(n_samples,)], of a floating-point dtype;
                numpy or a tensor of another framework.

        Returns:
            99 frames for the first window of the sound, 100 for each of the others.

        Raises:
            AudioTypeError: samples isn't an array of floating-point numbers.
            AudioValueError: samples has another shape, or NaN or infinity in it; the stream is
                unchanged. Or it is so loud that float32 overflows; the stream is reset.

        Examples:
            >>> stream = hearaudiomlp.Stream(hearaudiomlp.load_model())
            >>> stream.push(np.zeros(15_000, np.float32))
            []
            >>> [len(frames.timestamps) for frames in stream.push(np.zeros(40_000, np.float32))]
            [99, 100, 100]
        """
        with self._turns:
            checked, self._restore = validate_samples(samples)
            return self._encode(self._sliding.push(checked))

    def flush(self) -> list[Frames]:
        """End the sound and return its remaining frames; the next sample starts a new sound.

        Raises:
            AudioValueError: as for :meth:`push`.

        Examples:
            >>> stream = hearaudiomlp.Stream(hearaudiomlp.load_model())
            >>> stream.push(np.zeros(8_000, np.float32))
            []
            >>> [float(frames.timestamps[-1]) for frames in stream.flush()]
            [500.0]
        """
        with self._turns:
            frames = self._encode(self._sliding.flush())
            self.reset()
            return frames

    def _encode(self, complete: Iterator[Floats]) -> list[Frames]:
        found = []
        try:
            for block in windows.in_blocks(complete, self._model.block):
                encoded = self._model.encode(block, ("frame_embeddings",))["frame_embeddings"]
                found += [self._next(rows) for rows in windows.repeat_edges(encoded)]
        except BaseException:
            self.reset()
            raise
        return [frames for frames in found if len(frames.timestamps)]

    def _next(self, rows: Floats) -> Frames:
        """Return the frames of a window (100 with its edges repeated) that belong to the sound."""
        if not self._given:
            rows = rows[1:]
        start, self._given = self._given, self._given + len(rows)
        stop = min(self._given, windows.count_timestamps(self.n_samples))
        rows = rows[: max(0, stop - start)].copy()
        centres = windows.frame_centres(stop, start)
        return Frames(self._restore(rows), self._restore(centres))
