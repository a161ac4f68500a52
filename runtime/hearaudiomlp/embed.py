"""Embeddings of many files: decoded, packed into full blocks and computed in parallel.

Windows are independent, so the unit of work is a block of windows, whichever files they came from
(:mod:`hearaudiomlp.inference.blocks`). The calling thread decodes and cuts, and the model's threads
compute.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import AudioStream, OnTruncated
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError, AudioValueError
from hearaudiomlp.inference.blocks import compute_blocks
from hearaudiomlp.model import Model
from hearaudiomlp.segments import WHOLE, Channels, Cut, CutRecording, Sound
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.spec import PAD_LEFT, PAD_RIGHT, SAMPLE_RATE, WINDOW

BLOCK = 12
"""Fewest windows in a block. After each block its thread waits for Python's lock, which the thread
that decodes often holds; and with many files it matters little that threads end at another time."""


IN_MEMORY = 4 << 20
"""Bytes of a file's frames that are kept in memory; more of them are in a temporary file."""

CHUNK_ROWS = 1 << 12
"""Frames that are read back at a time."""


class FrameStore:
    """Frames of a sound: in memory while they are few, then on disk.

    Examples:
        >>> store = FrameStore(size=2)
        >>> store.append(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
        >>> [chunk.tolist() for chunk in store.chunks(1, 3)]
        [[[3.0, 4.0], [5.0, 6.0]]]
    """

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
    """Seconds in the file, or in the segment."""

    sample_rate: int
    """Samples per second in the file."""

    channels: int
    """Channels in the file."""

    scene_embedding: Floats
    """[shape=(scene_embedding_size,)]"""

    n_timestamps: int
    """Timestamp embeddings that the file has; 0 for a segment."""

    _frames: FrameStore

    truncated: str = ""
    """What is missing of the file, in words; empty for a whole one."""

    channel: int | None = None
    """The channel that these are of, counted from 1; None for the average of all."""

    start: float = 0.0
    """Seconds from the start of the file to that of the segment."""

    end: float | None = None
    """Seconds from the start of the file to the end of the segment; None for a whole file."""

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

    def __init__(
        self,
        path: str | os.PathLike[str],
        sliding: windows.SlidingWindows,
        cut: Cut = WHOLE,
    ) -> None:
        """Prepare; the file is opened when its windows are asked for."""
        self.path = os.fspath(path)
        """As it was given."""

        self.problem: AudioFileError | AudioFileNotFoundError | None = None
        """Why the file couldn't be read, if it couldn't."""

        self.duration = 0.0
        """Seconds in the file."""

        self.truncated = ""
        """What is missing of the file, in words."""

        self.sliding = sliding
        """What cuts the windows."""

        self.cut = cut
        """Which channel is taken, and what is done about a truncated file."""

    def rows(self) -> Iterator[Floats]:
        """Decode the file and yield its windows [shape=(n, 16000)], up to the first problem."""
        try:
            cut = self.cut
            stream = AudioStream(self.path, channel=cut.channel, on_truncated=cut.on_truncated)
            self.sample_rate, self.channels = stream.sample_rate, stream.channels
            for chunk in stream.chunks():
                yield from self.sliding.push(chunk)
            yield from self.sliding.flush()
            self.duration, self.truncated = stream.duration, stream.truncated
        except (AudioFileError, AudioFileNotFoundError) as problem:
            # Its traceback, and that of its cause, would keep this file and all blocks.
            problem.__cause__ = problem.__context__ = None
            self.problem = problem.with_traceback(None)

    def fail_if_nan(self, values: Floats) -> None:
        """Set the problem if :func:`finite_or_nan` found a window too loud."""
        if np.isnan(values).any():
            self.problem = _too_loud(self.path)


def _too_loud(path: str) -> AudioFileError:
    return AudioFileError(f"{path}: so loud that its power overflows float32")


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


def _scene(frames: FrameStore, steps: int) -> Floats:
    """Return the scene embedding of a sound, of all its frames."""
    stop = len(frames) - 1  # the very first and the very last row are dropped
    pieces = (piece[None] for piece in frames.chunks(1, stop))
    embedding: Floats = scene.scene_of_pieces(pieces, stop - 1, steps)[0]
    return embedding


class _File(WindowedFile):
    """A file and its frames so far."""

    def __init__(self, path: str | os.PathLike[str], model: Model, cut: Cut) -> None:
        super().__init__(path, windows.SlidingWindows(WINDOW, PAD_LEFT, PAD_RIGHT), cut)
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
        return Embedded(
            path=self.path,
            duration=self.duration,
            sample_rate=self.sample_rate,
            channels=self.channels,
            scene_embedding=_scene(self._frames, self._steps),
            n_timestamps=windows.count_timestamps(self.sliding.n_samples),
            _frames=self._frames,
            truncated=self.truncated,
            channel=self.cut.channel,
        )


class _Part:
    """A channel or a segment of a recording, whose frames come in."""

    def __init__(self, sound: Sound, results: "_Parts", model: Model) -> None:
        self.sound, self.results = sound, results
        self.rows = sound.rows
        self.frames = FrameStore(model.timestamp_embedding_size)

    def take(self, frames: Floats) -> None:
        """Take the frames of the next windows [shape=(n, 100, size)]; NaN, where there are none."""
        if np.isnan(frames[:, 0, 0]).any():
            self.sound.recording.fail(_too_loud(self.sound.recording.path))
        self.frames.append(frames)


class _Parts:
    """The embeddings of all parts of a recording: shown when the last one is there, or none."""

    def __init__(self, recording: CutRecording, model: Model, *, segments: bool) -> None:
        self.recording, self._model, self._segments = recording, model, segments
        self._scenes = FrameStore(model.scene_embedding_size)
        self._facts: list[tuple[int | None, int, int]] = []  # channel, start and samples
        self._frames: list[FrameStore] = []

    def parts(self) -> Iterator[_Part]:
        """Yield what is to be computed."""
        for sound in self.recording.sounds():
            yield _Part(sound, self, self._model)

    def add(self, part: _Part) -> None:
        """Take a part whose frames are there."""
        sound = part.sound
        if self.recording.problem is None:
            self._scenes.append(_scene(part.frames, self._model.scene_steps))
            self._facts.append((sound.channel, sound.start, sound.n_samples))
        if self._segments or self.recording.problem is not None:
            part.frames.close()
        else:
            self._frames.append(part.frames)

    def result(self) -> Iterator[Embedded] | Failed:
        """Return the embeddings, which are read back one by one."""
        if (problem := self.recording.problem) is None:
            return self._read()
        for frames in (self._scenes, *self._frames):
            frames.close()
        return Failed(self.recording.path, problem)

    def _read(self) -> Iterator[Embedded]:
        recording = self.recording
        no_frames = partial(FrameStore, self._model.timestamp_embedding_size)
        scenes = (row for chunk in self._scenes.chunks(0, len(self._scenes)) for row in chunk)
        for number, (fact, values) in enumerate(zip(self._facts, scenes, strict=True)):
            channel, start, count = fact
            seconds = count / SAMPLE_RATE
            yield Embedded(
                path=recording.path,
                duration=seconds if self._segments else recording.duration,
                sample_rate=recording.sample_rate,
                channels=recording.channels,
                scene_embedding=values,
                n_timestamps=0 if self._segments else windows.count_timestamps(count),
                _frames=no_frames() if self._segments else self._frames[number],
                truncated=recording.truncated,
                channel=channel,
                start=start / SAMPLE_RATE,
                end=start / SAMPLE_RATE + seconds if self._segments else None,
            )
        self._scenes.close()


def embed_groups(
    paths: Iterable[str | os.PathLike[str]], model: Model, cut: Cut
) -> Generator[Iterable[Embedded] | Failed, None, None]:
    """Embed files as :func:`embed_files` does, with the embeddings of each file together.

    Args:
        paths: the files.
        model: of either encoder.
        cut: which sounds each of them gives.

    Yields:
        For each file, its embeddings or the reason why there are none.

    Raises:
        MissingPackageError: the extra ``[audio]`` isn't installed.
        DeviceError: the device failed.

    Examples:
        >>> import hearaudiomlp
        >>> cut = Cut.of(segment=3.0)
        >>> [rows] = embed_groups(["samples/words.flac"], hearaudiomlp.load_model(), cut)
        >>> [row.start for row in rows]
        [0.0, 3.0, 6.0]
    """
    shape = (windows.FRAMES_PER_WINDOW, model.timestamp_embedding_size)

    def encode(block: Floats) -> Floats:
        return windows.repeat_edges(model.encode(block, ("frame_embeddings",))["frame_embeddings"])

    def compute(block: Floats) -> Floats:
        return finite_or_nan(encode, block, shape)

    size = max(model.block, BLOCK)
    if cut.whole:
        files = (_File(path, model, cut) for path in paths)
        with closing(compute_blocks(files, compute, model.pool, size)) as complete:
            for file in complete:
                result = file.result()
                yield result if isinstance(result, Failed) else (result,)
        return
    under_way: deque[_Parts] = deque()

    def parts() -> Iterator[_Part]:
        for path in paths:
            results = _Parts(CutRecording(path, cut), model, segments=cut.segment is not None)
            under_way.append(results)
            yield from results.parts()

    with closing(compute_blocks(parts(), compute, model.pool, size)) as computed:
        for part in computed:
            while under_way[0] is not part.results:
                yield under_way.popleft().result()
            part.results.add(part)
    while under_way:
        yield under_way.popleft().result()


def embed_files(
    paths: Iterable[str | os.PathLike[str]],
    model: Model,
    *,
    channels: Channels = "average",
    segment: float | None = None,
    hop: float | None = None,
    on_truncated: OnTruncated = "fail",
) -> Generator[Embedded | Failed, None, None]:
    """Embed files; a file that can't be read doesn't stop the others.

    Short files share blocks, and files may have any length: more than 4 MB of timestamp embeddings
    are kept in a temporary file (in ``TMPDIR``) until they are read.

    Args:
        paths: the files.
        model: of either encoder.
        channels: ``"average"`` of all channels, the number of one, from 1, or ``"split"`` for the
            embeddings of each channel.
        segment: seconds of the segments that each file is cut into, for scene embeddings of each;
            the last one may be shorter. None for the embeddings of the whole file.
        hop: seconds from one segment to the next; the same as ``segment``, if None.
        on_truncated: ``"fail"`` refuses a file of which a part is missing or damaged, and
            ``"keep"`` embeds what is there and describes what isn't in ``truncated``.

    Yields:
        For each file, its embeddings (one by one, for channels and segments) or the reason why
        there are none. Closing it cancels what is in progress.

    Raises:
        MissingPackageError: the extra ``[audio]`` isn't installed.
        DeviceError: the device failed.
        OptionError: an invalid option value.

    Examples:
        >>> import hearaudiomlp
        >>> model = hearaudiomlp.load_model()
        >>> for file in hearaudiomlp.embed_files(["samples/words.flac", "missing.wav"], model):
        ...     if isinstance(file, Failed):
        ...         print(file.problem)
        ...     else:
        ...         print(file.path, file.scene_embedding.shape)
        samples/words.flac (1024,)
        there is no file missing.wav

        A row for each segment:

        >>> for row in hearaudiomlp.embed_files(["samples/words.flac"], model, segment=3.0):
        ...     print(row.start, round(row.end, 2), row.scene_embedding.shape)
        0.0 3.0 (1024,)
        3.0 6.0 (1024,)
        6.0 6.39 (1024,)
    """
    cut = Cut.of(channels, on_truncated, segment, hop)
    return _flat(embed_groups(paths, model, cut))


def _flat(
    groups: Generator[Iterable[Embedded] | Failed, None, None],
) -> Generator[Embedded | Failed, None, None]:
    with closing(groups):
        for group in groups:
            if isinstance(group, Failed):
                yield group
            else:
                yield from group
