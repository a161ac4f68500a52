"""All frames of some sounds: their windows cut, computed by a pool of threads, and stitched."""

from collections.abc import Callable

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.inference.thread_pool import ThreadPool, split
from hearaudiomlp.signal import windows
from hearaudiomlp.signal.arrays import refuse_overflow


def compute_frames(
    audio: Floats, run: Callable[[Floats], Floats], pool: ThreadPool, *, block: int, size: int
) -> Floats:
    """Compute the frames of sounds of one length.

    Args:
        audio: sounds [shape=(n_sounds, n_samples)].
        run: computes the frames of windows: [shape=(n, 16000)] to [shape=(n, 98, size)].
        pool: the threads that call it.
        block: windows that it is given at a time, at most.
        size: values in a frame.

    Returns:
        All stitched frames [shape=(n_sounds, 100 * n_windows - 2, size)].

    Raises:
        AudioValueError: the audio is so loud that float32 overflows.
    """
    n_sounds, n_samples = audio.shape
    total = n_sounds * windows.count_windows(n_samples)
    frames = np.empty((total, windows.FRAMES_PER_WINDOW, size), np.float32)
    blocks = split(total, pool.threads, block)
    # In a brief sound, threads that cut and check windows side by side would wait for each other:
    # Python's lock lets one of them at a time. There it is done before and after.
    brief = len(blocks) <= pool.threads
    cut = [windows.cut_windows(audio, *edges) for edges in blocks] if brief else []

    def compute_brief(number: int) -> None:
        start, stop = blocks[number]
        windows.repeat_edges(run(cut[number]), frames[start:stop])

    def compute(number: int) -> None:
        start, stop = blocks[number]
        found = run(windows.cut_windows(audio, start, stop))
        refuse_overflow(found)
        windows.repeat_edges(found, frames[start:stop])

    pool.run(compute_brief if brief else compute, len(blocks))
    if brief:
        refuse_overflow(frames)
    return windows.join(frames, n_sounds)
