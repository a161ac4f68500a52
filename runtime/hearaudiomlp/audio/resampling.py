"""The one resampler of this package: soxr at high quality, from any rate to that of the models."""

from types import ModuleType
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import needs_extra
from hearaudiomlp.spec import SAMPLE_RATE

_QUALITY = "HQ"


def load_soxr(extra: str, what: str) -> ModuleType:
    """Import soxr.

    Args:
        extra: the extra that a caller is to install for it.
        what: what needs it, for the message.

    Raises:
        MissingPackageError: it isn't installed.

    Examples:
        >>> load_soxr("audio", "reading audio files needs soxr").__name__
        'soxr'
    """
    with needs_extra(extra, what):
        import soxr
    return soxr  # type: ignore[no-any-return]


def open_resampler(soxr: ModuleType, rate: int) -> Any:
    """Return a resampler of a mono sound whose samples come in pieces.

    Args:
        soxr: see :func:`load_soxr`.
        rate: samples per second of the sound.

    Returns:
        An object whose ``resample_chunk(samples, last=...)`` takes float32 samples [shape=(n,)] and
        returns those that are ready at 16 kHz [shape=(m,)].

    Examples:
        >>> resampler = open_resampler(load_soxr("audio", "this example needs soxr"), 48_000)
        >>> resampler.resample_chunk(np.zeros(48_000, np.float32), last=True).shape
        (16000,)
    """
    return soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", _QUALITY)


def resample(soxr: ModuleType, samples: Floats, rate: float) -> Floats:
    """Resample a whole mono sound [shape=(n,)] to 16 kHz [shape=(m,)].

    Examples:
        >>> soxr = load_soxr("fit", "this example needs soxr")
        >>> resample(soxr, np.zeros(8_000, np.float32), 8_000).shape
        (16000,)
    """
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE, _QUALITY))
