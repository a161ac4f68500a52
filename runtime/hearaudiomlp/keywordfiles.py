"""Keywords in audio files.

Files may have any length: windows are cut as the file is decoded and computed in blocks (those of
short files together), and only hits are kept.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import OnTruncated
from hearaudiomlp.embed import Failed
from hearaudiomlp.inference.blocks import FEWEST, compute_blocks, finite_or_nan
from hearaudiomlp.keywords.hits import (
    HOP_S,
    QUIET_DB,
    SMOOTHING_S,
    Hit,
    HitFinder,
    window_probabilities,
)
from hearaudiomlp.model import Model
from hearaudiomlp.segments import Cut, CutRecording
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.spotter import check_keyword_options, keyword_threshold


@dataclass(frozen=True)
class Spotted:
    """A file and the words spoken in it.

    Examples:
        >>> import hearaudiomlp
        >>> [words] = spot_files(["samples/words.flac"], hearaudiomlp.load_model())
        >>> words.path, round(words.duration, 1), len(words.hits)
        ('samples/words.flac', 6.4, 4)
    """

    path: str
    """As it was given."""

    duration: float
    """Seconds in the file."""

    hits: tuple[Hit, ...]
    """The words, in order of time."""

    truncated: str = ""
    """What is missing of the file, in words; empty for a whole one."""


class _File:
    """A file and its probabilities so far."""

    def __init__(self, recording: CutRecording, hop: int, finder: HitFinder) -> None:
        self._recording, self._hop, self._finder = recording, hop, finder
        self._hits: list[Hit] = []
        self._taken = 0

    def rows(self) -> Iterator[Floats]:
        """Yield the windows."""
        for sound in self._recording.sounds():
            yield from sound.rows()

    def take(self, probabilities: Floats) -> None:
        """Take those of the next windows [shape=(n, 35)]; NaN if they are too loud."""
        self._recording.fail_if_nan(probabilities[:, 0])
        numbers = range(self._taken, self._taken + len(probabilities))
        starts = [number * self._hop / SAMPLE_RATE for number in numbers]
        self._hits += self._finder.push(starts, probabilities)
        self._taken = numbers.stop

    def result(self) -> Spotted | Failed:
        """Return the result of the complete file."""
        recording = self._recording
        if recording.problem is not None:
            return Failed(recording.path, recording.problem)
        hits = [*self._hits, *self._finder.finish()]
        inside = tuple(hit.within(recording.duration) for hit in hits)
        return Spotted(recording.path, recording.duration, inside, recording.truncated)


def spot_files(
    paths: Iterable[str | os.PathLike[str]],
    model: Model,
    *,
    hop: float = HOP_S,
    threshold: float | None = None,
    smoothing: float = SMOOTHING_S,
    quiet: float = QUIET_DB,
    channel: int | None = None,
    on_truncated: OnTruncated = "fail",
) -> Iterator[Spotted | Failed]:
    """Find the words spoken in files; a file that can't be read doesn't stop the others.

    The windows are bare, as in the training of the keyword head: without the padding of the
    embeddings, and with zeros appended to files of under a second.

    Args:
        paths: the files.
        model: kwmlp.
        hop: seconds from one window to the next, from 0.01 to 1, rounded to whole samples.
        threshold: minimum averaged probability of a word, over 0 and at most 1; the model file's,
            or 0.6, if None.
        smoothing: seconds over which probabilities are averaged.
        quiet: level of a window, in dB below full scale (RMS), under which it counts as silence.
        channel: the channel to take, from 1; None for the average of all.
        on_truncated: ``"fail"`` refuses a file of which a part is missing or damaged, and
            ``"keep"`` takes what is there.

    Returns:
        An iterator over the results, in order: the words, or why the file couldn't be read.

    Raises:
        OptionError: the model has no keyword head, or an option has an invalid value.
        MissingPackageError: the extra ``[audio]`` isn't installed.
        DeviceError: the device failed.

    Examples:
        >>> import hearaudiomlp
        >>> model = hearaudiomlp.load_model(name="kwmlp")
        >>> for file in hearaudiomlp.spot_files(["samples/words.flac"], model):
        ...     print(file.path, [hit.word for hit in file.hits])
        samples/words.flac ['marvin', 'seven', 'happy', 'stop']
    """
    check_keyword_options(model, quiet)
    threshold = keyword_threshold(model, threshold)
    new_finder = partial(HitFinder, model.labels, threshold=threshold, smoothing=smoothing)
    new_finder()  # refuses invalid options
    cut = Cut.of("average" if channel is None else channel, on_truncated)
    return _spot(paths, model, hop_samples(hop), quiet, new_finder, cut)


def _spot(  # noqa: PLR0917 - of spot_files alone
    paths: Iterable[str | os.PathLike[str]],
    model: Model,
    hop: int,
    quiet: float,
    new_finder: Callable[[], HitFinder],
    cut: Cut,
) -> Iterator[Spotted | Failed]:
    def probabilities(block: Floats) -> Floats:
        logits = model.encode(block, ("keyword_logits",))["keyword_logits"]
        return window_probabilities(logits, block, quiet, model.other_label)

    def compute(block: Floats) -> Floats:
        return finite_or_nan(probabilities, block, (len(model.labels),))

    new_windows = partial(SlidingWindows, hop)
    files = (_File(CutRecording(path, cut, new_windows), hop, new_finder()) for path in paths)
    with closing(compute_blocks(files, compute, model.pool, max(model.block, FEWEST))) as complete:
        for file in complete:
            yield file.result()
