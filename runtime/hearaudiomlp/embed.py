"""Embeddings of many files: decoded, packed into full blocks and computed in parallel.

Windows are independent, so the unit of work is a block of windows, whichever files they came from
(:mod:`hearaudiomlp.inference.blocks`). The calling thread decodes and cuts, and the model's threads
compute.
"""

import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import AudioStream
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError, AudioValueError
from hearaudiomlp.inference.blocks import compute_blocks
from hearaudiomlp.model import Model
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.spec import PAD_LEFT, PAD_RIGHT, WINDOW

BLOCK = 12
"""Fewest windows in a block. After each block its thread waits for Python's lock, which the thread
that decodes often holds; and with many files it matters little that threads end at another time."""


IN_MEMORY = 4 << 20
"""Bytes of a file's frames that are kept in memory; more of them are in a temporary file."""

CHUNK_ROWS = 1 << 12
"""Frames that are read back at a time."""


class FrameStore:
    """Frames of a sound: in memory while they are few, then on disk."""

    def __init__(self, size: int) -> None:
        """Prepare for frames of ``size`` values."""
        self.size = size
        """Values in a frame."""

        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed with this
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, frames: Floats) -> None:
        """Add frames [shape=(..., size)] after those that are there."""
        self._file.write(np.ascontiguousarray(frames, np.float32).data)
        self._rows += frames.size // self.size

    def chunks(self, start: int, stop: int) -> Iterator[Floats]:
        """Return frames ``start`` to ``stop`` (exclusive) in pieces [shape=(n, size)].

        Raises:
            ValueError: they were released.
        """
        if self._file.closed:
            raise ValueError("these embeddings were released: read them before close()")
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> Iterator[Floats]:
        row = self.size * np.dtype(np.float32).itemsize
        for first in range(start, stop, CHUNK_ROWS):
            self._file.seek(first * row)
            data = self._file.read(min(CHUNK_ROWS, stop - first) * row)
            yield np.frombuffer(data, np.float32).reshape(-1, self.size)

    def close(self) -> None:
        """Release memory or file."""
        self._file.close()

    def __del__(self) -> None:
        """Release what nobody has released."""
        self.close()


@dataclass(frozen=True)
class Embedded:
    """A file and its embeddings.

    Examples:
        >>> import hearaudiomlp
        >>> paths, model = ["samples/words.flac"], hearaudiomlp.load_model()
        >>> [file] = hearaudiomlp.embed_files(paths, model)
        >>> round(file.duration, 2), file.sample_rate, file.channels
        (6.39, 44100, 2)
        >>> file.timestamp_embeddings.shape, file.timestamps.shape
        ((638, 64), (638,))
        >>> [chunk.shape for chunk in file.timestamp_chunks()]
        [(638, 64)]
        >>> file.close()
    """

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
    """Number of timestamp embeddings."""

    _frames: FrameStore

    @property
    def timestamps(self) -> Floats:
        """Centers of the frames in milliseconds [shape=(n_timestamps,)]."""
        return windows.frame_centres(self.n_timestamps)

    @property
    def timestamp_embeddings(self) -> Floats:
        """All timestamp embeddings [shape=(n_timestamps, timestamp_embedding_size)]."""
        empty = np.zeros((0, self._frames.size), np.float32)
        return np.concatenate([empty, *self.timestamp_chunks()])

    def timestamp_chunks(self) -> Iterator[Floats]:
        """Return the timestamp embeddings in pieces [shape=(n, size)], for files of any length.

        Raises:
            ValueError: they were released by :meth:`close`.
        """
        return self._frames.chunks(1, 1 + self.n_timestamps)

    def close(self) -> None:
        """Release the timestamp embeddings."""
        self._frames.close()


@dataclass(frozen=True)
class Failed:
    """A file that couldn't be read.

    Examples:
        >>> import hearaudiomlp
        >>> [failed] = hearaudiomlp.embed_files(["missing.wav"], hearaudiomlp.load_model())
        >>> print(failed.problem)
        there is no file missing.wav
    """

    path: str
    """As it was given."""

    problem: AudioFileError | AudioFileNotFoundError
    """The error, ready to be raised."""


class WindowedFile:
    """A file as windows of one second: see :class:`~hearaudiomlp.signal.windows.SlidingWindows`.

    Examples:
        >>> file = WindowedFile("samples/words.flac", windows.SlidingWindows(16_000))
        >>> sum(len(rows) for rows in file.rows())
        7
        >>> round(file.duration, 2)
        6.39
    """

    def __init__(self, path: str | os.PathLike[str], sliding: windows.SlidingWindows) -> None:
        """Prepare; the file is opened when its windows are asked for."""
        self.path = os.fspath(path)
        """As it was given."""

        self.problem: AudioFileError | AudioFileNotFoundError | None = None
        """Why the file couldn't be read, if it couldn't."""

        self.duration = 0.0
        """Seconds in the file."""

        self.sliding = sliding
        """What cuts the windows."""

    def rows(self) -> Iterator[Floats]:
        """Decode the file and yield its windows [shape=(n, 16000)], up to the first problem."""
        try:
            stream = AudioStream(self.path)
            self.sample_rate, self.channels = stream.sample_rate, stream.channels
            for chunk in stream.chunks():
                yield from self.sliding.push(chunk)
            yield from self.sliding.flush()
            self.duration = stream.duration
        except (AudioFileError, AudioFileNotFoundError) as problem:
            # Its traceback, and that of its cause, would keep this file and all blocks.
            problem.__cause__ = problem.__context__ = None
            self.problem = problem.with_traceback(None)

    def fail_if_nan(self, values: Floats) -> None:
        """Set the problem if :func:`finite_or_nan` found a window too loud."""
        if np.isnan(values).any():
            self.problem = AudioFileError(f"{self.path}: so loud that its power overflows float32")


def finite_or_nan(
    compute: Callable[[Floats], Floats], block: Floats, shape: tuple[int, ...]
) -> Floats:
    """Compute a block of windows; NaN for those that are so loud that float32 overflows.

    Args:
        compute: raises an AudioValueError if one of the windows is too loud.
        block: the windows [shape=(n, 16000)].
        shape: that of the result of one window.

    Examples:
        >>> def compute(block):
        ...     if block.max() > 1e18:
        ...         raise AudioValueError("too loud")
        ...     return block.mean(axis=1, keepdims=True)
        >>> finite_or_nan(compute, np.array([[1.0, 3.0], [1e30, 0.0]]), (1,)).tolist()
        [[2.0], [nan]]
    """
    try:
        return compute(block)
    except AudioValueError:  # find out which it is
        if len(block) == 1:
            return np.full((1, *shape), np.nan, np.float32)
        return np.concatenate([finite_or_nan(compute, window[None], shape) for window in block])


class _File(WindowedFile):
    """A file and its frames so far."""

    def __init__(self, path: str | os.PathLike[str], model: Model) -> None:
        super().__init__(path, windows.SlidingWindows(WINDOW, PAD_LEFT, PAD_RIGHT))
        self._steps = model.scene_steps
        self._frames = FrameStore(model.timestamp_embedding_size)

    def take(self, frames: Floats) -> None:
        """Take the frames of the next windows [shape=(n, 100, size)]; NaN if they are too loud."""
        self.fail_if_nan(frames[:, 0, 0])
        self._frames.append(frames)

    def result(self) -> Embedded | Failed:
        """Return the result of the complete file."""
        if self.problem is not None:
            self._frames.close()
            return Failed(self.path, self.problem)
        stop = len(self._frames) - 1  # the very first and the very last row are dropped
        pieces = (piece[None] for piece in self._frames.chunks(1, stop))
        scenes = scene.scene_of_pieces(pieces, stop - 1, self._steps)
        return Embedded(
            path=self.path,
            duration=self.duration,
            sample_rate=self.sample_rate,
            channels=self.channels,
            scene_embedding=scenes[0],
            n_timestamps=windows.count_timestamps(self.sliding.n_samples),
            _frames=self._frames,
        )


def embed_files(
    paths: Iterable[str | os.PathLike[str]], model: Model
) -> Generator[Embedded | Failed, None, None]:
    """Embed files; a file that can't be read doesn't stop the others.

    Short files share blocks, and files may have any length: more than 4 MB of timestamp embeddings
    are kept in a temporary file (in ``TMPDIR``) until they are read.

    Args:
        paths: the files.
        model: of either encoder.

    Returns:
        A generator of the results, in order: the embeddings, or why the file couldn't be read.
        Closing it cancels what is in progress.

    Raises:
        MissingPackageError: the extra ``[audio]`` isn't installed.
        DeviceError: the device failed.

    Examples:
        >>> import hearaudiomlp
        >>> paths = ["samples/words.flac", "missing.wav"]
        >>> for file in hearaudiomlp.embed_files(paths, hearaudiomlp.load_model()):
        ...     if isinstance(file, Failed):
        ...         print(file.problem)
        ...     else:
        ...         print(file.path, file.scene_embedding.shape)
        samples/words.flac (1024,)
        there is no file missing.wav
    """
    shape = (windows.FRAMES_PER_WINDOW, model.timestamp_embedding_size)

    def encode(block: Floats) -> Floats:
        return windows.repeat_edges(model.encode(block, ("frame_embeddings",))["frame_embeddings"])

    def compute(block: Floats) -> Floats:
        return finite_or_nan(encode, block, shape)

    files = (_File(path, model) for path in paths)
    with closing(compute_blocks(files, compute, model.pool, max(model.block, BLOCK))) as complete:
        for file in complete:
            yield file.result()
