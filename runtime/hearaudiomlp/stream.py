"""Live audio: embeddings of a sound whose samples come in pieces, equal to those of the whole.

The windows of the embeddings follow one another without an overlap, so a second of audio costs what
it costs offline. For windows that overlap see :mod:`hearaudiomlp.spotter`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats
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
        >>> [frames] = stream.push(np.zeros(16000, np.float32))
        >>> frames.embeddings.shape, frames.timestamps[0]
        ((99, 64), np.float32(10.0))
    """

    embeddings: Any
    """[shape=(n, timestamp_embedding_size)], float32, of the kind of array that was pushed."""

    timestamps: Any
    """Milliseconds since the sound's first sample [shape=(n,)], float32, likewise."""


class Stream:
    """Timestamp embeddings as the samples come.

    All that is pushed up to :meth:`flush` is one sound. Its frames, laid end to end, are to the bit
    those of ``model.timestamp_embeddings(sound)``, however the sound was split. A stream keeps less
    than one window, however long the sound. It is for one thread at a time; many streams may share
    one model.

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
        """Begin before the first sample.

        Args:
            model: of either encoder.
        """
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of another sound."""
        self._sliding = windows.SlidingWindows(WINDOW, PAD_LEFT, PAD_RIGHT)
        self._given = 0
        self._restore: ToCaller = np.asarray

    @property
    def n_samples(self) -> int:
        """Samples taken so far."""
        return self._sliding.n_samples

    def push(self, samples: Any) -> list[Frames]:
        """Take the next samples, any number; return the frames of the windows that they complete.

        Args:
            samples: mono in [-1, 1] at 16 kHz [shape=(n_samples,)], of a floating-point dtype;
                numpy or a tensor of another framework.

        Returns:
            99 frames for the sound's first window, 100 for each of the others.

        Raises:
            AudioTypeError: samples are no array of floating-point numbers.
            AudioValueError: their shape is another one, they have NaN or infinity in them, or they
                are so loud that float32 overflows. Of the last, the stream knows nothing any more:
                it has been reset. After the others it is as before.
        """
        checked, self._restore = validate_samples(samples)
        return self._encode(self._sliding.push(checked))

    def flush(self) -> list[Frames]:
        """End the sound; return the frames that are left, those up to its last 10 ms.

        The next sample is the first of another sound.

        Raises:
            AudioValueError: as for :meth:`push`.
        """
        frames = self._encode(self._sliding.flush())
        self.reset()
        return frames

    def _encode(self, complete: Iterator[Floats]) -> list[Frames]:
        found = []
        try:
            for block in windows.in_blocks(complete, self._model.block):
                encoded = self._model.encode(block)["frame_embeddings"]
                found += [self._next(rows) for rows in windows.repeat_edges(encoded)]
        except BaseException:
            self.reset()
            raise
        return [frames for frames in found if len(frames.timestamps)]

    def _next(self, rows: Floats) -> Frames:
        """Return those of a window's 100 frames that belong to the sound."""
        if not self._given:
            rows = rows[1:]
        start, self._given = self._given, self._given + len(rows)
        stop = min(self._given, windows.count_timestamps(self.n_samples))
        rows = rows[: max(0, stop - start)].copy()
        centres = windows.frame_centres(stop, start)
        return Frames(self._restore(rows), self._restore(centres))
