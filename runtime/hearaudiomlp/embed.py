"""Many files in, embeddings out: decoded, packed into full blocks and computed side by side.

Windows are independent, so the unit of work is a block of windows, whichever files they came from.
The calling thread decodes and cuts, the model's threads compute, and results are taken up in order.
Only a few blocks are under way at a time, so neither the number of files nor their length costs
memory.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import AudioStream
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError, AudioValueError
from hearaudiomlp.framestore import FrameStore
from hearaudiomlp.model import Model
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.spec import PAD_LEFT, PAD_RIGHT, WINDOW

_AHEAD = 2
"""Blocks under way for each thread."""

_BLOCK = 12
"""Windows in a block, at least. After each one its thread waits for Python's lock, which the thread
that decodes often holds; and with many files it matters little that threads end at another time."""


@dataclass(frozen=True)
class Embedded:
    """A file and its embeddings."""

    path: str
    """As it was given."""

    duration: float
    """Seconds in the file."""

    sample_rate: int
    """Samples per second in the file."""

    channels: int
    """Channels in the file."""

    scene_embedding: Floats
    """[shape=(scene_embedding_size,)]"""

    n_timestamps: int
    """Timestamp embeddings that the file has."""

    _frames: FrameStore

    @property
    def timestamps(self) -> Floats:
        """Centres of the frames in ms [shape=(n_timestamps,)]."""
        return windows.frame_centres(self.n_timestamps)

    @property
    def timestamp_embeddings(self) -> Floats:
        """All of them, in memory [shape=(n_timestamps, timestamp_embedding_size)]."""
        return self._frames.read(1, 1 + self.n_timestamps)

    def timestamp_chunks(self) -> Iterator[Floats]:
        """Return the timestamp embeddings in pieces, for files of any length."""
        return self._frames.chunks(1, 1 + self.n_timestamps)

    def close(self) -> None:
        """Let go of the timestamp embeddings."""
        self._frames.close()


@dataclass(frozen=True)
class Failed:
    """A file from which no audio could be read."""

    path: str
    """As it was given."""

    problem: AudioFileError | AudioFileNotFoundError


class _File:
    """A file on its way: its windows go out, its frames come in."""

    def __init__(self, path: str, model: Model) -> None:
        self.path, self._model = path, model
        self._stream: AudioStream | None = None
        self._problem: AudioFileError | AudioFileNotFoundError | None = None
        self._n_samples = 0
        self._frames = FrameStore(model.timestamp_embedding_size)
        self._sent = self._taken = 0
        self._decoded = False

    def windows(self) -> Iterator[Floats]:
        """Decode and cut. A problem ends it and becomes the file's result."""
        sliding = windows.SlidingWindows(WINDOW, PAD_LEFT, PAD_RIGHT)
        try:
            self._stream = AudioStream(self.path)
            for chunk in self._stream.chunks():
                for complete in sliding.push(chunk):
                    self._sent += len(complete)
                    yield from complete
            for complete in sliding.flush():
                self._sent += len(complete)
                yield from complete
        except (AudioFileError, AudioFileNotFoundError) as problem:
            # Its traceback, and that of its cause, would keep this file and all blocks.
            problem.__cause__ = problem.__context__ = None
            self._problem = problem.with_traceback(None)
        self._n_samples = sliding.n_samples
        self._decoded = True

    def take(self, frames: Floats) -> None:
        """Take the frames of the next windows [shape=(n, 100, size)]; NaN, where there are none."""
        if np.isnan(frames[:, 0, 0]).any():
            self._problem = AudioFileError(f"{self.path}: so loud that its power overflows float32")
        self._frames.append(frames)
        self._taken += len(frames)

    @property
    def complete(self) -> bool:
        """Whether all frames of the whole file are there."""
        return self._decoded and self._taken == self._sent

    def result(self) -> Embedded | Failed:
        """Return what came of the complete file."""
        if self._problem is not None:
            self._frames.close()
            return Failed(self.path, self._problem)
        assert self._stream is not None
        stop = len(self._frames) - 1  # the very first and the very last row are dropped
        pieces = (piece[None] for piece in self._frames.chunks(1, stop))
        scenes = scene.scene_of_pieces(pieces, stop - 1, self._model.scene_steps)
        return Embedded(
            path=self.path,
            duration=self._stream.duration,
            sample_rate=self._stream.sample_rate,
            channels=self._stream.channels,
            scene_embedding=scenes[0],
            n_timestamps=windows.count_timestamps(self._n_samples),
            _frames=self._frames,
        )


class _Blocks:
    """Blocks of windows: filled, computed by a pool of threads, and taken up in order."""

    def __init__(self, model: Model, pool: ThreadPoolExecutor) -> None:
        self._model, self._pool = model, pool
        self._size = max(model.block, _BLOCK)
        self._free: list[Floats] = []  # blocks that were computed: memory to be used again
        self._under_way: deque[tuple[Future[Floats], Floats, list[tuple[_File, int]]]] = deque()
        self._begin()

    def _begin(self) -> None:
        size = (self._size, WINDOW)
        self._block = self._free.pop() if self._free else np.empty(size, np.float32)
        self._filled = 0
        self._owners: list[tuple[_File, int]] = []  # how many windows are whose

    def put(self, owner: _File, window: Floats) -> None:
        """Take a window; wait, if too many blocks are under way."""
        self._block[self._filled] = window
        self._filled += 1
        if self._owners and self._owners[-1][0] is owner:
            self._owners[-1] = (owner, self._owners[-1][1] + 1)
        else:
            self._owners.append((owner, 1))
        if self._filled == self._size:
            self._send()
            self._settle(_AHEAD * self._model.threads)
            self._begin()

    def finish(self) -> None:
        """Compute what is left, and wait for everything."""
        if self._filled:
            self._send()
        self._settle(0)

    def _send(self) -> None:
        block = self._block[: self._filled]
        try:
            future = self._pool.submit(self._compute, block)
        except RuntimeError:  # Python is shutting down and starts no threads
            future = Future()
            future.set_result(self._compute(block))
        self._under_way.append((future, self._block, self._owners))

    def _compute(self, block: Floats) -> Floats:
        try:
            return windows.repeat_edges(self._model.encode(block)["frame_embeddings"])
        except AudioValueError:  # a window is too loud for float32: find out which
            if len(block) == 1:
                shape = (1, windows.FRAMES_PER_WINDOW, self._model.timestamp_embedding_size)
                return np.full(shape, np.nan, np.float32)
            return np.concatenate([self._compute(window[None]) for window in block])

    def _settle(self, allowed: int) -> None:
        while len(self._under_way) > allowed:
            future, block, owners = self._under_way.popleft()
            frames, first = future.result(), 0
            self._free.append(block)
            for owner, count in owners:
                owner.take(frames[first : first + count])
                first += count


def embed_files(
    paths: Iterable[str | os.PathLike[str]], model: Model
) -> Generator[Embedded | Failed, None, None]:
    """Embed files, in order; one that can't be read doesn't stop the others.

    Many short files are packed into full blocks, and files of any length are taken: beyond 4 MB a
    file's embeddings are in a temporary file (in ``TMPDIR``) until they are asked for.

    Args:
        paths: the files.
        model: of either encoder.

    Returns:
        For each file, its embeddings or the reason why there are none, as they come. Closing it
        gives up what is under way.

    Raises:
        MissingPackageError: the extra ``[audio]`` isn't installed.
        DeviceError: the device failed.
    """
    pool = ThreadPoolExecutor(model.threads, thread_name_prefix="hearaudiomlp")
    try:
        blocks = _Blocks(model, pool)
        waiting: deque[_File] = deque()
        for path in paths:
            file = _File(os.fspath(path), model)
            waiting.append(file)
            for window in file.windows():
                blocks.put(file, window)
            while waiting and waiting[0].complete:
                yield waiting.popleft().result()
        blocks.finish()
        for file in waiting:
            yield file.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
