"""One embedding for a whole sound, out of the embeddings of its frames.

The published system shortens the sequence of frames by repeated halving, each time by linear
interpolation with aligned corners (arXiv 2203.08490, section 2.3), in float32 throughout; the
positions too are float32 there, which is felt in long sounds, so they are here.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def resize(frames: Floats, length: int) -> Floats:
    """Interpolate linearly to ``length`` frames, first and last frame kept.

    ``pos = i (old - 1) / (new - 1)``; ``(1 - t) x[lo] + t x[lo + 1]`` with ``lo = floor(pos)`` and
    ``t = pos - lo``.

    Args:
        frames: [shape=(n_sounds, old, size)].
        length: the new number of frames, at least 2.

    Returns:
        The frames [shape=(n_sounds, length, size)].
    """
    last = frames.shape[1] - 1
    scale = np.float32(last) / np.float32(length - 1)
    positions = scale * np.arange(length, dtype=np.float32)
    lower = np.minimum(positions.astype(np.int64), last)
    upper = np.minimum(lower + 1, last)
    weight = (positions - lower.astype(np.float32))[:, None]
    resized: Floats = (np.float32(1) - weight) * frames[:, lower] + weight * frames[:, upper]
    return resized


def scene_embedding(frames: Floats, steps: int) -> Floats:
    """Shorten (or fill up with zeros) the frames to ``steps`` and flatten them.

    Args:
        frames: all stitched frames of each sound [shape=(n_sounds, n_frames, size)].
        steps: frames to keep; 16 for kwmlp, 198 for audiomae.

    Returns:
        The embeddings [shape=(n_sounds, size * steps)]; the feature varies slowest.
    """
    n_sounds, n_frames, size = frames.shape
    if n_frames < steps:
        filled = np.zeros((n_sounds, steps, size), np.float32)
        filled[:, :n_frames] = frames
        frames = filled
    else:
        halvings = (n_frames // steps).bit_length() - 1  # floor(log2(n_frames / steps))
        for _ in range(halvings):
            frames = resize(frames, frames.shape[1] // 2)
        if n_frames != steps << halvings:  # not an exact power of two
            frames = resize(frames, steps)
    return np.ascontiguousarray(frames.transpose(0, 2, 1)).reshape(n_sounds, size * steps)
