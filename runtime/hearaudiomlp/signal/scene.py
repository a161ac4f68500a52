"""The embedding of a whole sound, computed from the embeddings of its frames.

The published system halves the sequence of frames repeatedly, by linear interpolation with aligned
corners (arXiv 2203.08490, section 2.3), in float32 throughout. The positions are float32, too,
which makes a difference in long sounds, so they are float32 here.
"""

import itertools
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats

_BRIEF = 4_000
"""Frames (40 s) up to which the positions of a resizing are cached."""


_PIECE = 1 << 14
"""Frames of a long sound that are resized at a time: fresh memory for all of them costs more."""


class Resizer:
    """Linear interpolation to another number of frames with aligned corners, piece by piece.

    ``pos = i (old - 1) / (new - 1)``; ``(1 - t) x[lo] + t x[lo + 1]`` with ``lo = floor(pos)`` and
    ``t = pos - lo``. The frames may be given in pieces of any length; only those that are still
    needed are kept.

    Examples:
        >>> resizer = Resizer(4, 3)
        >>> frames = np.array([0.0, 1.0, 2.0, 3.0], np.float32).reshape(1, 4, 1)
        >>> resizer.push(frames).ravel()
        array([0. , 1.5, 3. ], dtype=float32)
    """

    def __init__(self, old: int, new: int) -> None:
        """Prepare to resize ``old`` frames to ``new``, at least 2."""
        self._last, self._new = old - 1, new
        self._scale = np.float32(self._last) / np.float32(new - 1)
        self._done = 0  # resized frames returned
        self._first = 0  # number of the first frame that is kept
        self._kept: Floats | None = None

    def sources(self, start: int, stop: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return ``lo`` and ``t`` of the resized frames ``start`` to ``stop - 1``."""
        positions = self._scale * np.arange(start, stop, dtype=np.float32)
        lower = np.minimum(positions.astype(np.int64), self._last)
        return lower, positions - lower.astype(np.float32)

    def push(self, frames: Floats) -> Floats:
        """Take the next frames and return the resized frames that they complete.

        Args:
            frames: [shape=(n_sounds, n, size)].

        Returns:
            The next resized frames [shape=(n_sounds, m, size)]; m may be 0.
        """
        kept = frames if self._kept is None else np.concatenate([self._kept, frames], axis=1)
        known = self._first + kept.shape[1]
        if known > self._last:
            stop = self._new
        else:  # one frame more than position `lo` has to be known
            stop = min(self._new, self._done + kept.shape[1] + 1)
            lower, _ = self.sources(self._done, stop)
            stop = self._done + int(np.searchsorted(lower, known - 1))
        lower, weight = self.sources(self._done, stop)
        upper = np.minimum(lower + 1, self._last) - self._first
        weight, one = weight[:, None], np.float32(1)
        resized: Floats = (one - weight) * kept[:, lower - self._first] + weight * kept[:, upper]
        self._done = stop
        needed = min(int(self.sources(stop, stop + 1)[0][0]), known)
        self._kept, self._first = kept[:, needed - self._first :], needed
        return resized


def _sizes(n_frames: int, steps: int) -> list[int]:
    """Return the lengths that ``n_frames >= steps`` frames go through on the way to ``steps``."""
    halvings = (n_frames // steps).bit_length() - 1  # floor(log2(n_frames / steps))
    sizes = [n_frames >> halving for halving in range(1, halvings + 1)]
    return sizes if n_frames == steps << halvings else [*sizes, steps]


def scene_embedding(frames: Floats, steps: int) -> Floats:
    """Resize the frames to ``steps`` (or append zeros if there are fewer) and flatten them.

    Args:
        frames: all stitched frames of each sound [shape=(n_sounds, n_frames, size)].
        steps: frames to keep; 16 for kwmlp, 198 for audiomae.

    Returns:
        The embeddings [shape=(n_sounds, size * steps)]; the feature varies slowest.

    Examples:
        >>> scene_embedding(np.zeros((2, 398, 64), np.float32), 16).shape
        (2, 1024)
    """
    n_frames = frames.shape[1]
    starts = range(0, max(n_frames, 1), _PIECE)
    pieces = (frames[:, start : start + _PIECE] for start in starts)
    return scene_of_pieces(pieces, n_frames, steps)


@lru_cache(maxsize=64)
def _positions(
    old: int, new: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, Floats]:
    """Return which frames are mixed, and the weights of the second and of the first."""
    lower, weight = Resizer(old, new).sources(0, new)
    weight = weight[:, None]
    return lower, np.minimum(lower + 1, old - 1), weight, np.float32(1) - weight


def _brief(frames: Floats, lengths: list[int], steps: int) -> Floats:
    """Do in place what Resizers do piece by piece, which takes much of a brief sound's time."""
    for old, new in itertools.pairwise(lengths):
        lower, upper, weight, rest = _positions(old, new)
        frames, following = frames.take(lower, axis=1), frames.take(upper, axis=1)
        frames *= rest
        following *= weight
        frames += following
    return _filled(frames, steps)


def _filled(frames: Floats, steps: int) -> Floats:
    n_sounds, found, size = frames.shape
    if found >= steps:
        return frames
    return np.concatenate([frames, np.zeros((n_sounds, steps - found, size), "f4")], axis=1)


def _flat(frames: Floats) -> Floats:
    n_sounds, steps, size = frames.shape
    return np.ascontiguousarray(frames.transpose(0, 2, 1)).reshape(n_sounds, size * steps)


def scene_of_pieces(pieces: Iterable[Floats], n_frames: int, steps: int) -> Floats:
    """Compute :func:`scene_embedding` of frames in pieces; the result is the same.

    Args:
        pieces: consecutive frames [shape=(n_sounds, any, size)], at least one piece.
        n_frames: number of frames in all of them.
        steps: frames to keep.

    Returns:
        The embeddings [shape=(n_sounds, size * steps)].

    Examples:
        >>> frames = np.random.default_rng(0).random((1, 298, 8), np.float32)
        >>> scene = scene_of_pieces([frames[:, :100], frames[:, 100:]], 298, 198)
        >>> np.array_equal(scene, scene_embedding(frames, 198))
        True
    """
    lengths = [n_frames, *_sizes(n_frames, steps)] if n_frames >= steps else []
    if 0 < n_frames <= _BRIEF:
        first, *others = pieces
        frames = np.concatenate([first, *others], axis=1) if others else first
        return _flat(_brief(frames, lengths, steps))
    chain = [Resizer(old, new) for old, new in itertools.pairwise(lengths)]
    collected = []
    for piece in pieces:
        frames = piece
        for resizer in chain:
            frames = resizer.push(frames)
        collected.append(frames)
    return _flat(_filled(np.concatenate(collected, axis=1), steps))
