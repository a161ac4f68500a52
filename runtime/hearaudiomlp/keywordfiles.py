"""Files of audio in, the words said in them out.

Recordings of any length are taken: windows are cut from the file as it is decoded, computed in
blocks (those of short files together), and only hits are kept.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import AudioStream
from hearaudiomlp.embed import Failed
from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileNotFoundError,
    AudioValueError,
)
from hearaudiomlp.keywords.hits import (
    HOP_S,
    QUIET_DB,
    SMOOTHING_S,
    THRESHOLD,
    Hit,
    HitFinder,
    window_probabilities,
)
from hearaudiomlp.model import Model
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.spotter import check_keyword_options


@dataclass(frozen=True)
class Spotted:
    """A file and the words said in it."""

    path: str
    """As it was given."""

    duration: float
    """Seconds in the file."""

    hits: tuple[Hit, ...]
    """In order of time."""


class _File:
    """A file on its way: its windows go out, their probabilities come in."""

    def __init__(self, path: str, hop: int, finder: HitFinder) -> None:
        self.path, self._hop, self._finder = path, hop, finder
        self._problem: AudioFileError | AudioFileNotFoundError | None = None
        self._duration = 0.0
        self._hits: list[Hit] = []
        self._sent = self._taken = 0
        self._decoded = False

    def windows(self) -> Iterator[Floats]:
        """Decode and cut. A problem ends it and becomes the file's result."""
        sliding = SlidingWindows(self._hop)
        try:
            stream = AudioStream(self.path)
            for chunk in stream.chunks():
                for windows in sliding.push(chunk):
                    self._sent += len(windows)
                    yield from windows
            for windows in sliding.flush():
                self._sent += len(windows)
                yield from windows
            self._duration = stream.duration
        except (AudioFileError, AudioFileNotFoundError) as problem:
            self._problem = problem
        self._decoded = True

    def take(self, probabilities: Floats) -> None:
        """Take the probabilities of the next window [shape=(35,)]; NaN, where there are none."""
        if np.isnan(probabilities[0]):
            self._problem = AudioFileError(f"{self.path}: so loud that its power overflows float32")
        start = self._taken * self._hop / SAMPLE_RATE
        self._hits += self._finder.push([start], probabilities[None])
        self._taken += 1

    @property
    def complete(self) -> bool:
        """Whether all windows of the whole file are told."""
        return self._decoded and self._taken == self._sent

    def result(self) -> Spotted | Failed:
        """Return what came of the complete file."""
        if self._problem is not None:
            return Failed(self.path, self._problem)
        hits = [*self._hits, *self._finder.finish()]
        return Spotted(self.path, self._duration, tuple(hit.within(self._duration) for hit in hits))


def spot_files(
    paths: Iterable[str | os.PathLike[str]],
    model: Model,
    *,
    hop: float = HOP_S,
    threshold: float = THRESHOLD,
    smoothing: float = SMOOTHING_S,
    quiet: float = QUIET_DB,
) -> Iterator[Spotted | Failed]:
    """Find the words said in files, in order; one that can't be read doesn't stop the others.

    Windows are taken bare, as the keyword head was trained: without the padding of the embeddings,
    and files of under a second filled up with zeros.

    Args:
        paths: the files.
        model: kwmlp.
        hop: seconds from one window to the next, from 0.01 to 1, in whole samples of 16 kHz.
        threshold: averaged probability from which on a word counts as said, over 0, at most 1.
        smoothing: seconds over which probabilities are averaged.
        quiet: level of a window, in dB below full scale (RMS), under which it counts as silence.

    Returns:
        For each file, what was said in it or the reason why that isn't known, as they come.

    Raises:
        OptionError: the model has no keyword head, or an option has a value that it can't have.
        MissingPackageError: the extra ``[audio]`` isn't installed.
        DeviceError: the device failed.
    """
    check_keyword_options(model, quiet)
    HitFinder(model.labels, threshold=threshold, smoothing=smoothing)  # refuses what can't be
    return _spot(paths, model, hop_samples(hop), threshold, smoothing, quiet)


def _spot(  # noqa: PLR0917 - of spot_files alone, which checks them
    paths: Iterable[str | os.PathLike[str]],
    model: Model,
    hop: int,
    threshold: float,
    smoothing: float,
    quiet: float,
) -> Iterator[Spotted | Failed]:
    batch: list[tuple[_File, Floats]] = []
    waiting: deque[_File] = deque()

    def compute() -> None:
        if batch:
            windows = np.stack([window for _, window in batch])
            for (owner, _), row in zip(batch, _probabilities(model, windows, quiet), strict=True):
                owner.take(row)
            batch.clear()

    for path in paths:
        finder = HitFinder(model.labels, threshold=threshold, smoothing=smoothing)
        file = _File(os.fspath(path), hop, finder)
        waiting.append(file)
        for window in file.windows():
            batch.append((file, window))
            if len(batch) == model.block * model.threads:
                compute()
                yield from _complete(waiting)
        yield from _complete(waiting)
    compute()
    yield from _complete(waiting)


def _complete(waiting: deque[_File]) -> Iterator[Spotted | Failed]:
    while waiting and waiting[0].complete:
        yield waiting.popleft().result()


def _probabilities(model: Model, windows: Floats, quiet: float) -> Floats:
    """Return the probabilities of the words [shape=(n, 35)]; NaN for windows that are too loud."""
    try:
        return window_probabilities(model.keyword_logits(windows), windows, quiet)
    except AudioValueError:  # find out which it is
        if len(windows) == 1:
            return np.full((1, len(model.labels)), np.nan, np.float32)
        return np.concatenate([_probabilities(model, row[None], quiet) for row in windows])
