"""Keywords in live audio: which words are spoken, about as soon as they end.

Windows of one second overlap, a quarter of a second apart unless set otherwise, and each is
computed as soon as its last sample is there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats, Turns
from hearaudiomlp.errors import OptionError
from hearaudiomlp.keywords.hits import (
    HOP_S,
    QUIET_DB,
    SMOOTHING_S,
    THRESHOLD,
    Hit,
    window_probabilities,
)
from hearaudiomlp.keywords.modes import (
    REFRACTORY_S,
    BestWindowMode,
    EveryWindowMode,
    OnsetMode,
    Trigger,
    VoteMode,
)
from hearaudiomlp.model import Model
from hearaudiomlp.signal.arrays import validate_samples
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples, in_blocks
from hearaudiomlp.spec import SAMPLE_RATE

Windows = tuple[npt.NDArray[np.float64], Floats]

_TRIGGERS: Mapping[str, Callable[[Sequence[str], float], Trigger]] = {
    "all": EveryWindowMode,
    "best": BestWindowMode,
    "vote": VoteMode,
}

MODES = ("words", *_TRIGGERS)
"""How windows become words; see :class:`Spotter`."""


def check_keyword_options(model: Model, quiet: float) -> None:
    """Raise an OptionError if the model has no keyword head, or ``quiet`` is NaN.

    Examples:
        >>> import hearaudiomlp
        >>> check_keyword_options(hearaudiomlp.load_model(name="audiomae"), -60.0)
        Traceback (most recent call last):
        ...
        hearaudiomlp.errors.OptionError: audiomae has no keyword head; kwmlp has one
    """
    if not model.labels:
        raise OptionError(f"{model.name} has no keyword head; kwmlp has one")
    if np.isnan(quiet):
        raise OptionError("quiet is a level in dB, not nan")


def keyword_threshold(model: Model, threshold: float | None = None) -> float:
    """Return a threshold; by default that of the model file, or 0.6 if it has none.

    Examples:
        >>> import hearaudiomlp
        >>> keyword_threshold(hearaudiomlp.load_model())
        0.6
    """
    if threshold is not None:
        return threshold
    return THRESHOLD if model.keyword_threshold is None else model.keyword_threshold


class KeywordWindows:
    """Keyword probabilities in windows at every hop, of a sound whose samples arrive in pieces.

    Examples:
        >>> import hearaudiomlp
        >>> live = KeywordWindows(hearaudiomlp.load_model(name="kwmlp"), hop=0.5)
        >>> for starts, probabilities in live.push(0.1 * np.ones(40_000, np.float32)):
        ...     print(starts, probabilities.shape)
        [0.  0.5 1.  1.5] (4, 35)
    """

    def __init__(self, model: Model, hop: float = HOP_S, quiet: float = QUIET_DB) -> None:
        """Start before the first sample.

        Args:
            model: kwmlp.
            hop: seconds from one window to the next, from 0.01 to 1, rounded to whole samples.
            quiet: level of a window, in dB below full scale (RMS), under which it counts as
                silence; its probabilities are zeros then.

        Raises:
            OptionError: the model has no keyword head, or an option has an invalid value.
        """
        check_keyword_options(model, quiet)
        self._model, self._quiet = model, quiet
        self._hop = hop_samples(hop)
        self._sliding = SlidingWindows(self._hop)
        self._given = 0

    @property
    def n_samples(self) -> int:
        """Number of samples pushed so far."""
        return self._sliding.n_samples

    def _compute(self, complete: Iterator[Floats]) -> Iterator[Windows]:
        for block in in_blocks(complete, self._model.block):
            starts = (self._given + np.arange(len(block))) * self._hop / SAMPLE_RATE
            self._given += len(block)
            logits = self._model.encode(block, ("keyword_logits",))["keyword_logits"]
            yield starts, window_probabilities(logits, block, self._quiet, self._model.other_label)

    def push(self, samples: Floats) -> Iterator[Windows]:
        """Take the next samples; yield starts in seconds and probabilities of the windows.

        Args:
            samples: mono at 16 kHz, float32 [shape=(n,)]. They are taken while the windows are
                iterated over, to the end.

        Raises:
            AudioValueError: they are so loud that float32 overflows; call :meth:`reset` then.

        Examples:
            >>> live = KeywordWindows(hearaudiomlp.load_model())
            >>> [starts.tolist() for starts, _ in live.push(np.zeros(24_000, np.float32))]
            [[0.0, 0.25, 0.5]]
        """
        return self._compute(self._sliding.push(samples))

    def flush(self) -> Iterator[Windows]:
        """Yield the windows that only zeros complete, and start over.

        The last window is the first that reaches the end of the sound. Without samples there is
        none.

        Examples:
            >>> live = KeywordWindows(hearaudiomlp.load_model())
            >>> list(live.push(np.zeros(100, np.float32)))
            []
            >>> [probabilities.shape for _, probabilities in live.flush()]
            [(1, 35)]
        """
        if self.n_samples:
            yield from self._compute(self._sliding.flush())
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample starts a new sound."""
        self._sliding.reset()
        self._given = 0


class Spotter:
    """Keyword spotting in live audio.

    The results don't depend on how the sound is split into pieces; the probabilities behind them
    equal those of the same windows computed offline bit by bit. Threads that call the same spotter
    take turns; many spotters may share one model.

    The mode ``words`` averages neighboring windows, as
    :class:`hearaudiomlp.keywords.hits.HitFinder` does, and reports a word once, as soon as the
    average reaches the threshold. The others take each window by itself, as the windowed inference
    of arXiv 2110.07749 does: ``all`` reports every window that reaches the threshold, ``best`` the
    most probable window of the sound, and ``vote`` the word of most windows; the last two report at
    :meth:`flush`.

    Examples:
        >>> import hearaudiomlp
        >>> spotter = hearaudiomlp.Spotter(hearaudiomlp.load_model())
        >>> sound = hearaudiomlp.read_audio("samples/words.flac").samples
        >>> for i in range(0, len(sound), 1600):  # as a microphone gives them, 0.1 s at a time
        ...     for hit in spotter.push(sound[i : i + 1600]):
        ...         print(hit.word)
        marvin
        seven
        happy
        stop
    """

    def __init__(
        self,
        model: Model,
        *,
        mode: str = "words",
        hop: float = HOP_S,
        threshold: float | None = None,
        smoothing: float = SMOOTHING_S,
        refractory: float = REFRACTORY_S,
        quiet: float = QUIET_DB,
    ) -> None:
        """Start before the first sample.

        Args:
            model: kwmlp.
            mode: ``words``, ``all``, ``best`` or ``vote``.
            hop: seconds from one window to the next, from 0.01 to 1, rounded to whole samples.
            threshold: minimum probability of a word, over 0 and at most 1; the model file's, or
                0.6, if None.
            smoothing: seconds over which ``words`` averages.
            refractory: seconds after a word in which ``words`` doesn't report it again.
            quiet: level of a window, in dB below full scale (RMS), under which it counts as
                silence.

        Raises:
            OptionError: the model has no keyword head, or an option has an invalid value.
        """
        self._trigger: Trigger
        threshold = keyword_threshold(model, threshold)
        if mode == "words":
            self._trigger = OnsetMode(model.labels, threshold, smoothing, refractory)
        elif mode in _TRIGGERS:
            self._trigger = _TRIGGERS[mode](model.labels, threshold)
        else:
            raise OptionError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
        self._windows = KeywordWindows(model, hop, quiet)
        self._turns = Turns()

    @property
    def n_samples(self) -> int:
        """Number of samples pushed so far."""
        return self._windows.n_samples

    def _decide(self, windows: Iterator[Windows]) -> list[Hit]:
        try:
            return [
                hit for starts, rows in windows for hit in self._trigger.push(starts.tolist(), rows)
            ]
        except BaseException:
            self.reset()
            raise

    def push(self, samples: Any) -> list[Hit]:
        """Take the next samples, any number; return the words found.

        Args:
            samples: mono in [-1, 1] at 16 kHz [shape=(n_samples,)], of a floating-point dtype;
                numpy or a tensor of another framework.

        Raises:
            AudioTypeError: samples isn't an array of floating-point numbers.
            AudioValueError: samples has another shape, or NaN or infinity in it; the spotter is
                unchanged. Or it is so loud that float32 overflows; the spotter is reset.

        Examples:
            >>> spotter = hearaudiomlp.Spotter(hearaudiomlp.load_model(), mode="all", threshold=0.8)
            >>> sound = hearaudiomlp.read_audio("samples/words.flac").samples
            >>> [(hit.word, hit.start) for hit in spotter.push(sound[:32_000])]
            [('marvin', 0.0)]
        """
        checked, _ = validate_samples(samples)
        with self._turns:
            return self._decide(self._windows.push(checked))

    def flush(self) -> list[Hit]:
        """End the sound and return the words still undecided; the next sample starts a new sound.

        Raises:
            AudioValueError: as for :meth:`push`.

        Examples:
            >>> spotter = hearaudiomlp.Spotter(hearaudiomlp.load_model(), mode="vote")
            >>> spotter.push(hearaudiomlp.read_audio("samples/words.flac").samples[:32_000])
            []
            >>> [hit.word for hit in spotter.flush()]
            ['marvin']
        """
        with self._turns:
            duration = self.n_samples / SAMPLE_RATE
            hits = [*self._decide(self._windows.flush()), *self._trigger.finish()]
        return [hit.within(duration) for hit in hits]

    def reset(self) -> None:
        """Forget everything: the next sample starts a new sound."""
        with self._turns:
            self._windows.reset()
            self._trigger.finish()
