"""Keywords in live audio: which words are said, about as soon as they have been said.

Windows of one second overlap; what they have in common is computed once
(:mod:`hearaudiomlp.sliding`).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import OptionError
from hearaudiomlp.keywords.hits import (
    HOP_S,
    QUIET_DB,
    SMOOTHING_S,
    THRESHOLD,
    Hit,
    mask_quiet,
    rms_dbfs,
    softmax,
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
from hearaudiomlp.sliding import Block, SlidingWindows, take_samples
from hearaudiomlp.spec import SAMPLE_RATE

Windows = tuple[npt.NDArray[np.float64], Floats]

MODES = ("words", "all", "best", "vote")
"""What the windows can be made into; see :class:`Spotter`."""


class KeywordWindows:
    """The probabilities of the words in windows at every hop, of a sound that comes in pieces."""

    def __init__(self, model: Model, hop: float = HOP_S, quiet: float = QUIET_DB) -> None:
        """Begin before the first sample.

        Args:
            model: kwmlp.
            hop: seconds from one window to the next, a multiple of 0.01, at most 1.
            quiet: level of a window, in dB below full scale (RMS), under which it counts as
                silence; its probabilities are zeros then.

        Raises:
            OptionError: the model has no keyword head, or an option has a value it can't have.
        """
        if not model.labels:
            raise OptionError(f"{model.name} has no keyword head; kwmlp has one")
        if np.isnan(quiet):
            raise OptionError("quiet is a level in dB, not nan")
        self._sliding = SlidingWindows(model, hop)
        self._quiet = quiet

    @property
    def n_samples(self) -> int:
        """Samples taken so far."""
        return self._sliding.n_samples

    def _probabilities(self, block: Block) -> Windows:
        probabilities = softmax(block.outputs["keyword_logits"])
        return block.starts, mask_quiet(probabilities, rms_dbfs(block.windows), self._quiet)

    def push(self, samples: Floats) -> Iterator[Windows]:
        """Take the next samples; give starts in seconds and probabilities of the windows.

        Args:
            samples: mono at 16 kHz, float32 [shape=(n,)]. They are taken in while the windows are
                gone through, to the end.

        Raises:
            AudioValueError: they are so loud that float32 overflows; :meth:`reset` is due then.
        """
        return map(self._probabilities, self._sliding.push(samples))

    def flush(self) -> Iterator[Windows]:
        """Give the windows that only zeros complete, and begin anew.

        The last window is the first that reaches the end of the sound.
        """
        return map(self._probabilities, self._sliding.flush())

    def reset(self) -> None:
        """Forget everything: the next sample is the first of another sound."""
        self._sliding.reset()


class Spotter:
    """Spots words in a sound whose samples come in pieces of any size.

    What it finds doesn't depend on how the sound is split, and rests on numbers that are to the bit
    those of the same windows computed offline. A spotter is for one thread at a time; many may
    share one model.

    The modes: ``words`` averages neighbouring windows, as
    :class:`hearaudiomlp.keywords.hits.HitFinder` does, and announces a word once, as soon as the
    average reaches the threshold. The others take each window by itself, as the windowed inference
    of arXiv 2110.07749 does: ``all`` gives every window that reaches the threshold, ``best`` the
    most probable window of the sound and ``vote`` the word of most windows, both at :meth:`flush`.

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
        threshold: float = THRESHOLD,
        smoothing: float = SMOOTHING_S,
        refractory: float = REFRACTORY_S,
        quiet: float = QUIET_DB,
    ) -> None:
        """Begin before the first sample.

        Args:
            model: kwmlp.
            mode: ``words``, ``all``, ``best`` or ``vote``.
            hop: seconds from one window to the next, a multiple of 0.01, at most 1.
            threshold: probability from which on a word counts as said, over 0, at most 1.
            smoothing: seconds over which ``words`` averages.
            refractory: seconds after a word in which ``words`` doesn't announce it again.
            quiet: level of a window, in dB below full scale (RMS), under which it counts as
                silence.

        Raises:
            OptionError: the model has no keyword head, or an option has a value it can't have.
        """
        self._trigger: Trigger
        if mode == "words":
            self._trigger = OnsetMode(model.labels, threshold, smoothing, refractory)
        elif mode == "all":
            self._trigger = EveryWindowMode(model.labels, threshold)
        elif mode == "best":
            self._trigger = BestWindowMode(model.labels, threshold)
        elif mode == "vote":
            self._trigger = VoteMode(model.labels, threshold)
        else:
            raise OptionError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
        self._windows = KeywordWindows(model, hop, quiet)

    @property
    def n_samples(self) -> int:
        """Samples taken so far."""
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
        """Take the next samples, any number; return the words that they decide.

        Args:
            samples: mono in [-1, 1] at 16 kHz [shape=(n_samples,)], of a floating-point dtype;
                numpy or a tensor of another framework.

        Raises:
            AudioTypeError: samples are no array of floating-point numbers.
            AudioValueError: their shape is another one, they have NaN or infinity in them, or they
                are so loud that float32 overflows. After the last, the spotter has been reset;
                after the others it is as before.
        """
        return self._decide(self._windows.push(take_samples(samples)[0]))

    def flush(self) -> list[Hit]:
        """End the sound; return the words that its end decides.

        The next sample is the first of another sound.

        Raises:
            AudioValueError: as for :meth:`push`.
        """
        duration = self.n_samples / SAMPLE_RATE
        hits = [*self._decide(self._windows.flush()), *self._trigger.finish()]
        return [hit.within(duration) for hit in hits]

    def reset(self) -> None:
        """Forget everything: the next sample is the first of another sound."""
        self._windows.reset()
        self._trigger.finish()
