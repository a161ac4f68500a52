"""From sounds to windows of one second, and from their frames back to the frames of the sounds."""

from collections.abc import Callable, Iterator

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.spec import FRAMES, HOP, PAD_LEFT, PAD_RIGHT, SAMPLE_RATE, WINDOW

FRAMES_PER_WINDOW = FRAMES + 2
"""Frames that a window has once its first and its last frame are repeated."""


def count_windows(n_samples: int) -> int:
    """Return how many windows a sound of ``n_samples`` makes: its padded length, rounded up."""
    return -(-(PAD_LEFT + n_samples + PAD_RIGHT) // WINDOW)


def count_timestamps(n_samples: int) -> int:
    """Return how many timestamp embeddings a sound of ``n_samples`` has: one every 10 ms."""
    return n_samples // HOP


def cut_windows(audio: Floats, start: int, stop: int) -> Floats:
    """Return windows ``start`` to ``stop`` (exclusive) of the padded sounds.

    Windows are counted through all sounds, those of the first sound first. Only the windows asked
    for are copied, so a long sound is never held twice.

    Args:
        audio: sounds [shape=(n_sounds, n_samples)].
        start: first window.
        stop: one behind the last.

    Returns:
        The windows [shape=(stop - start, 16000)].
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
    """
    windows = np.zeros((audio.shape[0], WINDOW), np.float32)
    windows[:, : audio.shape[1]] = audio
    return windows


def repeat_edges(frames: Floats, out: Floats | None = None) -> Floats:
    """Repeat the first and the last frame of each window: (n, 98, size) becomes (n, 100, size).

    The result is in ``out``, if that is given.
    """
    shape = (frames.shape[0], FRAMES_PER_WINDOW, frames.shape[2])
    whole = np.empty(shape, np.float32) if out is None else out
    whole[:, 1:-1] = frames
    whole[:, 0] = frames[:, 0]
    whole[:, -1] = frames[:, -1]
    return whole


def stitch(frames: Floats, n_sounds: int) -> Floats:
    """Lay the frames of the windows end to end.

    Each window's first and last frame is repeated once, which makes its 98 frames 100; then the
    very first and the very last frame of each sound are dropped.

    Args:
        frames: of all windows [shape=(n_sounds * n_windows, 98, size)].
        n_sounds: number of sounds.

    Returns:
        The frames of each sound [shape=(n_sounds, 100 * n_windows - 2, size)].
    """
    return join(repeat_edges(frames), n_sounds)


def join(whole: Floats, n_sounds: int) -> Floats:
    """Do the rest of :func:`stitch` after :func:`repeat_edges`, without a copy."""
    return whole.reshape(n_sounds, -1, whole.shape[2])[:, 1:-1]


def _fresh() -> Floats:
    return np.empty(WINDOW, np.float32)


class Cutter:
    """Windows of one sound whose samples come in pieces: those of :func:`cut_windows`."""

    def __init__(self, memory: Callable[[], Floats] = _fresh) -> None:
        """Begin with the padding on the left.

        Args:
            memory: is asked where each window is to be put [shape=(16000,)], once the one before
                it was given and the next is wanted; what it returns may have anything in it.
        """
        self._memory = memory
        self._window: Floats | None = None
        self._filled = self._given = 0
        self.n_samples = 0
        """Samples taken so far."""

    def _begun(self) -> Floats:
        """Return the window that is being filled."""
        if self._window is None:
            self._window = self._memory()
            if not self._given:
                self._window[:PAD_LEFT] = 0
                self._filled = PAD_LEFT
        return self._window

    def _give(self) -> Floats:
        window, self._window = self._begun(), None
        self._filled = 0
        self._given += 1
        return window

    def push(self, samples: Floats) -> Iterator[Floats]:
        """Take the next samples [shape=(n,)]; give the windows that are full [shape=(16000,)]."""
        at = 0
        while at < len(samples):
            window, first = self._begun(), self._filled
            count = min(len(samples) - at, WINDOW - first)
            window[first : first + count] = samples[at : at + count]
            self._filled += count
            self.n_samples += count
            at += count
            if self._filled == WINDOW:
                yield self._give()

    def finish(self) -> Iterator[Floats]:
        """Give the windows that only zeros complete, after the last samples."""
        while self._given < count_windows(self.n_samples):
            window = self._begun()
            window[self._filled :] = 0
            yield self._give()


def frame_centres(n: int, start: int = 0) -> Floats:
    """Return the centres of frames in milliseconds: 10, 20, 30 ... [shape=(n - start,)].

    Args:
        n: one behind the last frame.
        start: the first frame.
    """
    step = 1000 * HOP // SAMPLE_RATE
    return np.arange(start + 1, n + 1, dtype=np.float32) * np.float32(step)


def timestamps(n_sounds: int, n_samples: int) -> Floats:
    """Return the timestamps in milliseconds of sounds of one length [shape=(n_sounds, n)]."""
    return np.repeat(frame_centres(count_timestamps(n_samples))[None], n_sounds, axis=0)
