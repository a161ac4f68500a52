"""Recordings as the sounds that they are embedded as: whole, channel by channel, or in segments."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import AudioStream, OnTruncated
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError, OptionError
from hearaudiomlp.signal.windows import SlidingWindows, to_samples
from hearaudiomlp.spec import PAD_LEFT, PAD_RIGHT, WINDOW

Channels = int | Literal["average", "split"]
"""One channel, counted from 1; the average of all; or a sound for each."""

_SHORTEST_S = 0.01


@dataclass(frozen=True)
class Cut:
    """Which sounds to take from a recording. Can be pickled.

    Examples:
        >>> Cut.of(channels="split", segment=2.0)
        Cut(channels='split', on_truncated='fail', segment=32000, hop=32000)
    """

    channels: Channels = "average"
    on_truncated: OnTruncated = "fail"

    segment: int | None = None
    """Samples of a segment at 16 kHz; None for the whole recording."""

    hop: int = 0
    """Samples from the start of one segment to that of the next."""

    @property
    def channel(self) -> int | None:
        """The first channel to take; None for the average."""
        if isinstance(self.channels, int):
            return self.channels
        return 1 if self.channels == "split" else None

    @classmethod
    def of(
        cls,
        channels: Channels = "average",
        on_truncated: OnTruncated = "fail",
        segment: float | None = None,
        hop: float | None = None,
    ) -> "Cut":
        """Check the options.

        Args:
            channels: a channel from 1 on, ``"average"`` or ``"split"``.
            on_truncated: ``"fail"`` or ``"keep"``.
            segment: seconds of a segment, from 0.01; None for the whole recording.
            hop: seconds from one segment to the next, from 0.01; a segment's length, if None.

        Raises:
            OptionError: an invalid option value.

        Examples:
            >>> from hearaudiomlp.segments import Cut
            >>> Cut.of(segment=10.0, hop=2.5).hop
            40000
        """
        if channels not in ("average", "split") and not (
            isinstance(channels, int) and channels > 0
        ):
            raise OptionError(f"channels is a number from 1, average or split, not {channels!r}")
        if on_truncated not in ("fail", "keep"):
            raise OptionError(f"on_truncated is fail or keep, not {on_truncated!r}")
        if segment is None:
            if hop is not None:
                raise OptionError("hop is the distance of segments: give segment, too")
            return cls(channels, on_truncated)
        hop = segment if hop is None else hop
        for name, seconds in (("segment", segment), ("hop", hop)):
            if not (math.isfinite(seconds) and seconds >= _SHORTEST_S):
                raise OptionError(f"{name} is at least {_SHORTEST_S} seconds, not {seconds!r}")
        return cls(channels, on_truncated, to_samples(segment), to_samples(hop))


WHOLE = Cut()
"""Each recording as one sound, the average of its channels."""

_EMBEDDING_WINDOWS = partial(SlidingWindows, WINDOW, PAD_LEFT, PAD_RIGHT)


class SampleBuffer:
    """The samples of a sound that comes in chunks: any part can be read until it is dropped.

    Examples:
        >>> import numpy as np
        >>> from hearaudiomlp.segments import SampleBuffer
        >>> buffer = SampleBuffer(iter(np.arange(10, dtype=np.float32).reshape(2, 5)))
        >>> [piece.tolist() for piece in buffer.pieces(3, 7, keep=6)]
        [[3.0, 4.0], [5.0, 6.0]]
        >>> buffer.reaches(11)
        False
    """

    def __init__(self, chunks: Iterator[Floats]) -> None:
        """Take the chunks [shape=(n,)] when their samples are asked for."""
        self._chunks = chunks
        self._kept: deque[tuple[int, Floats]] = deque()
        self.stop = 0
        """Samples that have come so far."""

    def reaches(self, count: int) -> bool:
        """Whether the sound has so many samples."""
        while self.stop < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            if len(chunk):
                self._kept.append((self.stop, chunk))
                self.stop += len(chunk)
        return True

    def pieces(self, start: int, stop: int, keep: int) -> Iterator[Floats]:
        """Yield samples ``start`` to ``stop`` (exclusive), or those that there are.

        Args:
            start: the first one. It hasn't been dropped.
            stop: one behind the last.
            keep: samples before this one are dropped once they were read.
        """
        while start < stop and self.reaches(start + 1):
            for first, chunk in tuple(self._kept):
                if first <= start < min(stop, first + len(chunk)):
                    yield chunk[start - first : stop - first]
                    start = min(stop, first + len(chunk))
            while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= min(keep, start):
                self._kept.popleft()


class Sound:
    """One of the sounds of a recording, as windows of one second.

    Examples:
        >>> recording = CutRecording("samples/words.flac", Cut.of(segment=5.0))
        >>> [(sound.start, sum(map(len, sound.rows()))) for sound in recording.sounds()]
        [(0, 6), (80000, 2)]
    """

    def __init__(
        self,
        recording: "CutRecording",
        channel: int | None,
        start: int,
        pieces: Iterator[Floats],
        sliding: SlidingWindows,
    ) -> None:
        """Prepare; samples are taken when windows are asked for."""
        self.recording = recording
        self.channel = channel
        """Counted from 1; None for the average of all."""
        self.start = start
        """Where it starts in the recording, in samples at 16 kHz."""
        self._pieces, self._sliding = pieces, sliding

    @property
    def n_samples(self) -> int:
        """Samples that it has, once its windows were taken."""
        return self._sliding.n_samples

    def rows(self) -> Iterator[Floats]:
        """Cut into windows [shape=(n, 16000)]. A problem of the recording ends it."""
        try:
            for piece in self._pieces:
                yield from self._sliding.push(piece)
            yield from self._sliding.flush()
        except (AudioFileError, AudioFileNotFoundError) as problem:
            self.recording.fail(problem)


class CutRecording:
    """A recording that is decoded once for each selected channel.

    Examples:
        >>> recording = CutRecording("nowhere.wav", WHOLE)
        >>> list(recording.sounds()), str(recording.problem)
        ([], 'there is no file nowhere.wav')
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        cut: Cut,
        new_windows: Callable[[], SlidingWindows] = _EMBEDDING_WINDOWS,
    ) -> None:
        """Prepare; the file is opened when its sounds are asked for.

        Args:
            path: of the file.
            cut: which sounds it gives.
            new_windows: makes what cuts a sound into windows; those of embeddings, if not given.
        """
        self.path = os.fspath(path)
        self.problem: AudioFileError | AudioFileNotFoundError | None = None
        """Why it gives no sounds, or not all of them."""
        self.sample_rate = self.channels = 0
        self.duration = 0.0
        self.truncated = ""
        self._cut, self._new_windows = cut, new_windows

    def fail(self, problem: AudioFileError | AudioFileNotFoundError) -> None:
        """Record a problem, without its traceback, which would keep all blocks alive."""
        problem.__cause__ = problem.__context__ = None
        self.problem = self.problem or problem.with_traceback(None)

    def fail_if_nan(self, values: Floats) -> None:
        """Fail if :func:`~hearaudiomlp.inference.blocks.finite_or_nan` found a window too loud."""
        if np.isnan(values).any():
            self.fail(AudioFileError(f"{self.path}: so loud that its power overflows float32"))

    def sounds(self) -> Iterator[Sound]:
        """Yield the sounds; the windows of each are taken before the next one is asked for."""
        cut = self._cut
        try:
            yield from self._of_channel(cut.channel)
            if cut.channels == "split":
                for number in range(2, self.channels + 1):
                    yield from self._of_channel(number)
        except (AudioFileError, AudioFileNotFoundError) as problem:
            self.fail(problem)

    def _of_channel(self, channel: int | None) -> Iterator[Sound]:
        if self.problem is not None:
            return
        cut = self._cut
        stream = AudioStream(self.path, channel=channel, on_truncated=cut.on_truncated)
        self.sample_rate, self.channels = stream.sample_rate, stream.channels
        if cut.segment is None:
            yield Sound(self, channel, 0, stream.chunks(), self._new_windows())
        else:
            yield from self._segments(channel, stream, cut.segment)
        if self.problem is None:
            self.duration, self.truncated = stream.duration, stream.truncated

    def _segments(self, channel: int | None, stream: AudioStream, length: int) -> Iterator[Sound]:
        """Yield segments up to the first that reaches the end of the recording."""
        buffer = SampleBuffer(stream.chunks())
        start = 0
        while True:
            keep = start + self._cut.hop
            pieces = buffer.pieces(start, start + length, keep)
            yield Sound(self, channel, start, pieces, self._new_windows())
            if self.problem is not None or not buffer.reaches(max(start + length, keep) + 1):
                break
            for _ in buffer.pieces(min(start + length, keep), keep, keep):
                pass  # between segments
            start = keep
