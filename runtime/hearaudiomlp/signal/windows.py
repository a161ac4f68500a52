"""Cut sounds into windows of one second, and stitch the frames of windows together."""

import sys
from collections.abc import Iterable, Iterator

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import OptionError
from hearaudiomlp.spec import FRAMES, HOP, PAD_LEFT, PAD_RIGHT, SAMPLE_RATE, WINDOW

FRAMES_PER_WINDOW = FRAMES + 2
"""Frames of a window after its first and its last frame have been repeated."""

_PIECE = 8 * WINDOW  # samples that are taken at a time, so that memory is bounded
_SHORTEST_HOP_S = 0.01


def to_samples(seconds: float) -> int:
    """Return a time as a number of samples; one longer than any sound stays a number.

    Examples:
        >>> to_samples(0.5), to_samples(1e308) == sys.maxsize
        (8000, True)
    """
    return round(min(seconds * SAMPLE_RATE, sys.maxsize))


def count_windows(n_samples: int) -> int:
    """Return how many windows a sound of ``n_samples`` makes: its padded length, rounded up.

    Examples:
        >>> [count_windows(n) for n in (0, 15_680, 15_681, 16_000)]
        [1, 1, 2, 2]
    """
    return -(-(PAD_LEFT + n_samples + PAD_RIGHT) // WINDOW)


def count_timestamps(n_samples: int) -> int:
    """Return how many timestamp embeddings a sound of ``n_samples`` has: one every 10 ms.

    Examples:
        >>> count_timestamps(16_000)
        100
    """
    return n_samples // HOP


def cut_windows(audio: Floats, start: int, stop: int) -> Floats:
    """Return windows ``start`` to ``stop`` (exclusive) of the padded sounds.

    Windows are numbered across all sounds, those of the first sound first. Only the requested
    windows are copied, so that a long sound isn't held twice.

    Args:
        audio: sounds [shape=(n_sounds, n_samples)].
        start: first window.
        stop: one behind the last.

    Returns:
        The windows [shape=(stop - start, 16000)].

    Examples:
        >>> cut_windows(np.ones((3, 16_000), np.float32), 0, 2).shape
        (2, 16000)
    """
    n_samples = audio.shape[1]
    per_sound = count_windows(n_samples)
    windows = np.zeros((stop - start, WINDOW), np.float32)
    for row, index in enumerate(range(start, stop)):
        sound, position = divmod(index, per_sound)
        first = position * WINDOW - PAD_LEFT  # the window's first sample, in the unpadded sound
        begin, end = max(first, 0), min(first + WINDOW, n_samples)
        if begin < end:
            windows[row, begin - first : end - first] = audio[sound, begin:end]
    return windows


def clip_windows(audio: Floats) -> Floats:
    """Return each sound as one bare window, as keyword spotting takes it: zeros behind, no framing.

    Args:
        audio: sounds of at most one second [shape=(n_sounds, n_samples)].

    Returns:
        The windows [shape=(n_sounds, 16000)].

    Examples:
        >>> clip_windows(np.ones((1, 8000), np.float32)).shape
        (1, 16000)
    """
    windows = np.zeros((audio.shape[0], WINDOW), np.float32)
    windows[:, : audio.shape[1]] = audio
    return windows


def repeat_edges(frames: Floats, out: Floats | None = None) -> Floats:
    """Repeat the first and the last frame of each window: (n, 98, size) becomes (n, 100, size).

    The result is in ``out``, if that is given.

    Examples:
        >>> repeat_edges(np.zeros((2, 98, 64), np.float32)).shape
        (2, 100, 64)
    """
    shape = (frames.shape[0], FRAMES_PER_WINDOW, frames.shape[2])
    whole = np.empty(shape, np.float32) if out is None else out
    whole[:, 1:-1] = frames
    whole[:, 0] = frames[:, 0]
    whole[:, -1] = frames[:, -1]
    return whole


def stitch(frames: Floats, n_sounds: int) -> Floats:
    """Concatenate the frames of the windows of each sound.

    The first and the last frame of each window are repeated, which makes its 98 frames 100; then
    the first and the last frame of each sound are dropped.

    Args:
        frames: of all windows [shape=(n_sounds * n_windows, 98, size)].
        n_sounds: number of sounds.

    Returns:
        The frames of each sound [shape=(n_sounds, 100 * n_windows - 2, size)].

    Examples:
        >>> stitch(np.zeros((4, 98, 64), np.float32), n_sounds=2).shape
        (2, 198, 64)
    """
    return join(repeat_edges(frames), n_sounds)


def join(whole: Floats, n_sounds: int) -> Floats:
    """Do the rest of :func:`stitch` after :func:`repeat_edges`, without a copy.

    Examples:
        >>> join(repeat_edges(np.zeros((4, 98, 64), np.float32)), n_sounds=2).shape
        (2, 198, 64)
    """
    return whole.reshape(n_sounds, -1, whole.shape[2])[:, 1:-1]


class SlidingWindows:
    """Windows of one second, one every ``hop`` samples, of a sound whose samples arrive in pieces.

    The first window starts ``pad_left`` zeros before the sound. The last one is the first that
    reaches the end of the sound and of ``pad_right`` zeros after it; further zeros complete it. How
    the sound is split into pieces makes no difference.

    Keyword spotting takes bare windows at every hop, without padding. With a hop of a whole window
    and the padding of the embeddings, the windows are those of :func:`cut_windows`.

    Examples:
        >>> sliding = SlidingWindows(4_000)
        >>> pieces = [np.ones(15_000, np.float32), np.ones(7_000, np.float32)]
        >>> [windows.shape for piece in pieces for windows in sliding.push(piece)]
        [(2, 16000)]
        >>> [windows.shape for windows in sliding.flush()]
        [(1, 16000)]
    """

    def __init__(self, hop: int, pad_left: int = 0, pad_right: int = 0) -> None:
        """Start before the first sample.

        Args:
            hop: samples from one window to the next, from 1 to 16,000.
            pad_left: zeros before the sound.
            pad_right: zeros after it that belong to a window as well.
        """
        self._hop, self._pad_left, self._pad_right = hop, pad_left, pad_right
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample starts a new sound."""
        # Views of this memory are handed out, so that what was written to it never changes.
        self._memory = np.zeros(self._pad_left, np.float32)
        self._start, self._stop = 0, self._pad_left  # first sample of the next window, and the end
        self.n_samples = 0
        """Number of samples pushed so far."""

    def push(self, samples: Floats) -> Iterator[Floats]:
        """Take the next samples and yield the windows that they complete.

        Args:
            samples: float32 [shape=(n,)]. They are taken while the windows are iterated over, to
                the end.

        Yields:
            Consecutive windows [shape=(n, 16000)], which overlap in memory: don't write to them.
        """
        for first in range(0, len(samples), _PIECE):
            piece = samples[first : first + _PIECE]
            self.n_samples += len(piece)
            self._room(len(piece))[:] = piece
            yield from self._complete()

    def flush(self) -> Iterator[Floats]:
        """Yield the windows that only zeros complete. Call :meth:`reset` for another sound."""
        taken = self._pad_left + self.n_samples
        windows = 1 + -(-max(0, taken + self._pad_right - WINDOW) // self._hop)
        self._room((windows - 1) * self._hop + WINDOW - taken)[:] = 0
        yield from self._complete()

    def _room(self, count: int) -> Floats:
        """Return the memory of the next ``count`` samples, to be written to at once."""
        if self._stop + count > len(self._memory):
            kept = self._memory[self._start : self._stop]
            room = len(kept) + count + WINDOW  # for the zeros behind a brief sound, too
            self._memory = np.empty(max(3 * WINDOW, room), np.float32)
            self._memory[: len(kept)] = kept
            self._start, self._stop = 0, len(kept)
        self._stop += count
        return self._memory[self._stop - count : self._stop]

    def _complete(self) -> Iterator[Floats]:
        count = (self._stop - self._start - WINDOW) // self._hop + 1
        if count > 0:
            size = self._memory.itemsize
            start, strides = self._start * size, (self._hop * size, size)
            self._start += count * self._hop
            yield np.ndarray((count, WINDOW), np.float32, self._memory, start, strides)


def in_blocks(pieces: Iterable[Floats], size: int) -> Iterator[Floats]:
    """Split what :class:`SlidingWindows` yields into blocks of at most ``size`` windows.

    Examples:
        >>> [len(block) for block in in_blocks([np.zeros((5, 16_000)), np.zeros((1, 16_000))], 3)]
        [3, 2, 1]
    """
    for windows in pieces:
        for first in range(0, len(windows), size):
            yield windows[first : first + size]


def hop_samples(hop: float) -> int:
    """Return a hop between windows in whole samples.

    Args:
        hop: seconds.

    Raises:
        OptionError: it isn't from 0.01 to 1 second.

    Examples:
        >>> hop_samples(0.25)
        4000
    """
    if not _SHORTEST_HOP_S <= hop <= WINDOW / SAMPLE_RATE:
        raise OptionError(f"hop has to be from {_SHORTEST_HOP_S} to 1 second, not {hop!r}")
    return round(hop * SAMPLE_RATE)


def frame_centres(n: int, start: int = 0) -> Floats:
    """Return the centers of frames in milliseconds: 10, 20, 30 ... [shape=(n - start,)].

    Args:
        n: one behind the last frame.
        start: the first frame.

    Examples:
        >>> frame_centres(5, start=2)
        array([30., 40., 50.], dtype=float32)
    """
    step = 1000 * HOP // SAMPLE_RATE
    return np.arange(start + 1, n + 1, dtype=np.float32) * np.float32(step)


def timestamps(n_sounds: int, n_samples: int) -> Floats:
    """Return the timestamps in milliseconds of sounds of one length [shape=(n_sounds, n)].

    Examples:
        >>> timestamps(2, 480)
        array([[10., 20., 30.],
               [10., 20., 30.]], dtype=float32)
    """
    return np.repeat(frame_centres(count_timestamps(n_samples))[None], n_sounds, axis=0)
