"""Embeddings of many files: decoded, packed into full blocks and computed in parallel.

Windows are independent, so the unit of work is a block of windows, whichever files they came from
(:mod:`hearaudiomlp.inference.blocks`). The calling thread decodes and cuts, and the model's threads
compute.
"""

import os
from array import array
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import OnTruncated
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError
from hearaudiomlp.inference.blocks import FEWEST, compute_blocks, finite_or_nan
from hearaudiomlp.model import Model
from hearaudiomlp.segments import Channels, Cut, CutRecording, Sound
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.storage.frames import FrameStore


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


def _scene(frames: FrameStore, steps: int) -> Floats:
    """Return the scene embedding of a sound, of all its frames."""
    stop = len(frames) - 1  # the very first and the very last row are dropped
    pieces = (piece[None] for piece in frames.chunks(1, stop))
    embedding: Floats = scene.scene_of_pieces(pieces, stop - 1, steps)[0]
    return embedding


class _Part:
    """A sound of a recording (all of it, a channel or a segment), whose frames come in."""

    def __init__(self, sound: Sound, file: "_File", model: Model) -> None:
        self.sound, self.file = sound, file
        self.rows = sound.rows
        self.frames = FrameStore(model.timestamp_embedding_size)

    def take(self, frames: Floats) -> None:
        """Take the frames of the next windows [shape=(n, 100, size)]; NaN if they are too loud."""
        self.sound.recording.fail_if_nan(frames[:, 0, 0])
        self.frames.append(frames)


class _File:
    """The embeddings of all sounds of a recording: complete when its last one is, or none."""

    def __init__(self, recording: CutRecording, model: Model, *, segments: bool) -> None:
        self.recording, self._model, self._segments = recording, model, segments
        self._scenes = FrameStore(model.scene_embedding_size)
        self._facts = array("q")  # of each sound: channel or 0, start, samples
        self._frames: list[FrameStore] = []

    def owners(self) -> Iterator["_Part | _File"]:
        """Yield the parts to compute, and then this, which has no rows and marks their end."""
        for sound in self.recording.sounds():
            yield _Part(sound, self, self._model)
        yield self

    def rows(self) -> Iterator[Floats]:
        """Yield nothing."""
        return iter(())

    def take(self, _: Floats) -> None:
        """Never called."""

    def add(self, part: _Part) -> None:
        """Take a part whose frames are there."""
        sound = part.sound
        if self.recording.problem is None:
            self._scenes.append(_scene(part.frames, self._model.scene_steps))
            self._facts.extend((sound.channel or 0, sound.start, sound.n_samples))
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
        for number, values in enumerate(scenes):
            channel, start, count = self._facts[3 * number : 3 * number + 3]
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
                channel=channel or None,
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
        For each file, its embeddings, or why it has none.

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

    def owners() -> Iterator[_Part | _File]:
        for path in paths:
            file = _File(CutRecording(path, cut), model, segments=cut.segment is not None)
            yield from file.owners()

    size = max(model.block, FEWEST)
    with closing(compute_blocks(owners(), compute, model.pool, size)) as computed:
        for owner in computed:
            if isinstance(owner, _Part):
                owner.file.add(owner)
            else:
                yield owner.result()


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
            yield from [group] if isinstance(group, Failed) else group
