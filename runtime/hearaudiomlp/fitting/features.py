"""From recordings to what a classifier sees of their windows, a batch at a time.

A window takes 64 kB as samples, 17 kB as means and 12.5 kB as the components that are kept. So only
a batch of windows is in memory at a time, and of many recordings fewer windows each are taken.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.fitting.classifier import Integers, Windows
from hearaudiomlp.fitting.evaluation import Slid
from hearaudiomlp.fitting.examples import Examples, read_samples
from hearaudiomlp.fitting.negatives import (
    SYNTHETIC,
    Negatives,
    Projection,
    bundled_negatives,
    synthetic_windows,
)
from hearaudiomlp.fitting.placing import cut_window, place
from hearaudiomlp.fitting.taps import Taps
from hearaudiomlp.keywords.hits import HOP_S, QUIET_DB, rms_dbfs
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples
from hearaudiomlp.spec import WINDOW
from hearaudiomlp.weights.model_file import ModelFile

Flags = npt.NDArray[np.bool_]

_TO_FIT = 4_800, 2, 48
"""Windows to fit to: of all recordings together, and of each one fewest and most."""

_TO_TEST = 50_000, 5, 2_400
"""Windows as a spotter sees them, in the same order: 2,400 take ten minutes."""

_MOST_OTHER = 40  # windows to fit to of one recording of everything else
_BATCH = 512  # windows that are computed at once
_SAMPLE = 100  # recordings that other weights' components are chosen by
_SYNTHETIC_GROUPS = 10


class _Part(NamedTuple):
    """Windows of a recording."""

    windows: Floats
    number: int
    """Of the recording; beyond the last one, of a group of noise."""

    fits: bool
    """Whether these are fitted to, or are as a spotter sees them."""

    alignments: Integers | None = None
    """Of the windows of a word, where they are known."""


def compute_windows(
    source: ModelFile, examples: Examples, seed: int, threads: int | None
) -> tuple[Windows, Slid, Projection]:
    """Return windows to fit to, the recordings as a spotter sees them, and how both are projected.

    Args:
        source: the encoder's model file.
        examples: the recordings.
        seed: of where windows are cut, and how they are disturbed.
        threads: that compute; all usable CPUs, if None.

    Raises:
        MissingPackageError: the extra ``[fit]`` isn't installed.
        ModelFileError: the file has other weights than its encoder.

    Examples:
        >>> from hearaudiomlp.fitting.examples import Clip
        >>> from hearaudiomlp.weights.locate import locate
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> source = read_model_file(locate(None).read())
        >>> examples = Examples([Clip("recordings/a/one.wav", "a")])
        >>> train, slid, _ = compute_windows(source, examples, 0, None)
        >>> len(train) > 1_000, len(slid.windows)
        (True, 1)
    """
    bundled = bundled_negatives(source.metadata["checkpoint_sha256"])
    taps = Taps(source, threads, phonemes=bundled is not None and bundled[0].phonemes > 0)
    projection = bundled[0] if bundled else _own_projection(taps, examples, seed)

    def see(windows: Floats) -> Floats:
        return projection(taps.summarize(windows))

    components, numbers, fits, quiet, alignments = _compute(_parts(examples, seed), see)
    other, count = len(examples.labels), len(examples.clips)
    known = {name: index for index, name in enumerate(sorted({c.group for c in examples.clips}))}
    targets = np.full(count + _SYNTHETIC_GROUPS, other)
    groups = np.arange(len(targets)) + len(known) - count
    for number, clip in enumerate(examples.clips):
        groups[number] = known[clip.group]
        if clip.label is not None:
            targets[number] = examples.labels.index(clip.label)
    speech = np.zeros(len(fits), bool)
    everything = Windows(components, targets[numbers], groups[numbers], speech, alignments)
    train, tested = (everything.rows(kind) for kind in (fits, ~fits))
    del components, everything  # as large as both
    if bundled:
        train = _with_negatives(train, bundled[1], other)
    else:
        train = replace(train, speech=train.targets == other)
    return train, Slid(tested, numbers[~fits], quiet[~fits]), projection


def _with_negatives(windows: Windows, negatives: Negatives, other: int) -> Windows:
    known = sorted(set(negatives.groups))
    groups = 1 + windows.groups.max() + np.array([known.index(name) for name in negatives.groups])
    return Windows(
        np.concatenate([windows.components, negatives.components]),
        np.concatenate([windows.targets, np.full(len(negatives), other)]),
        np.concatenate([windows.groups, groups]),
        np.concatenate([windows.speech, negatives.speech]),
        np.concatenate([windows.alignments, np.zeros(len(negatives), int)]),
    )


def _parts(examples: Examples, seed: int) -> Iterator[_Part]:
    """Yield the windows of each recording, and noise."""
    rng = np.random.default_rng(seed)
    count = len(examples.clips)
    to_fit, to_test = (
        min(most, max(fewest, together // count)) for together, fewest, most in (_TO_FIT, _TO_TEST)
    )
    for number, samples in enumerate(read_samples(examples)):
        if examples.clips[number].label is None:
            yield _Part(_spread(samples), number, fits=True)
        else:
            placed = place(samples, to_fit, rng)
            yield _Part(placed.windows, number, fits=True, alignments=placed.alignments)
        yield _Part(_slide(samples, to_test), number, fits=False)
    for group in range(_SYNTHETIC_GROUPS):
        noise = synthetic_windows(rng, SYNTHETIC // _SYNTHETIC_GROUPS)
        yield _Part(noise, count + group, fits=True)


def _slide(samples: Floats, most: int) -> Floats:
    """Return windows one hop apart, from the beginning of a recording."""
    hop = hop_samples(HOP_S)
    sliding = SlidingWindows(hop)
    samples = samples[: WINDOW + (most - 1) * hop]
    return np.concatenate([*sliding.push(samples), *sliding.flush()])


def _spread(samples: Floats) -> Floats:
    """Return windows that are spread evenly over a recording."""
    hop = hop_samples(HOP_S)
    count = 1 + -(-max(0, len(samples) - WINDOW) // hop)
    step = -(-count // _MOST_OTHER)
    starts = range(0, count * hop, step * hop)
    return np.stack([cut_window(samples, start) for start in starts]).astype(np.float32)


def _compute(
    parts: Iterable[_Part], see: Callable[[Floats], Floats]
) -> tuple[Floats, Integers, Flags, Flags, Integers]:
    """Return what is seen of all windows, the numbers of their recordings, flags and alignments.

    The flags are whether a window is to be fitted to, and whether it counts as silence.
    """
    seen, numbers, fits, quiet, alignments = [], [], [], [], []
    batch: list[Floats] = []
    for part in parts:
        count = len(part.windows)
        numbers.append(np.full(count, part.number))
        fits.append(np.full(count, part.fits))
        quiet.append(rms_dbfs(part.windows) < QUIET_DB)
        known = part.alignments
        alignments.append(np.zeros(count, np.int64) if known is None else known)
        batch.append(part.windows)
        if sum(map(len, batch)) >= _BATCH:
            seen.append(see(np.concatenate(batch)))
            batch.clear()
    if batch:
        seen.append(see(np.concatenate(batch)))
    return (
        np.concatenate(seen),
        np.concatenate(numbers),
        np.concatenate(fits),
        np.concatenate(quiet),
        np.concatenate(alignments),
    )


def _own_projection(taps: Taps, examples: Examples, seed: int) -> Projection:
    """Return the components of weights that have none in the package, by a sample of recordings."""
    order = np.random.default_rng(seed).permutation(len(examples.clips))
    sample = replace(examples, clips=[examples.clips[index] for index in np.sort(order[:_SAMPLE])])
    to_fit = (part for part in _parts(sample, seed) if part.fits)
    return Projection.of(_compute(to_fit, taps.summarize)[0])
