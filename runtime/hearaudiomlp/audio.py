"""Audio files into mono float32 at 16 kHz (extra ``[audio]``: soundfile and soxr)."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileNotFoundError,
    MissingPackageError,
)
from hearaudiomlp.spec import SAMPLE_RATE

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """A decoded file."""

    samples: Floats
    """Mono at 16 kHz [shape=(n_samples,)]."""

    sample_rate: int
    """Samples per second in the file."""

    channels: int
    """Channels in the file."""

    duration: float
    """Seconds in the file."""


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as problem:  # soundfile raises OSError without libsndfile
        raise MissingPackageError(
            f"reading audio files needs soundfile and soxr ({problem}): "
            "pip install 'hearaudiomlp[audio]'"
        ) from problem
    return soundfile, soxr


def read_audio(path: str | os.PathLike[str]) -> Recording:
    """Decode a file of any format that libsndfile reads, any rate and number of channels.

    Channels are averaged; other rates than 16 kHz are resampled by soxr (high quality).

    Raises:
        AudioFileNotFoundError: there is no such file.
        AudioFileError: it can't be decoded, or has NaN or infinity in it.
        MissingPackageError: the extra ``[audio]`` isn't installed.
    """
    soundfile, soxr = _packages()
    path = Path(path)
    if not path.exists():
        raise AudioFileNotFoundError(f"there is no file {path}")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as problem:
        reason = str(problem).removeprefix(f"Error opening {str(path)!r}: ").rstrip(".")
        raise AudioFileError(f"{path}: not an audio file that can be read ({reason})") from problem
    mono: Floats = samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioFileError(f"{path}: has NaN or infinity in its samples")
    if rate != SAMPLE_RATE and len(mono):
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    return Recording(
        np.ascontiguousarray(mono, np.float32), rate, samples.shape[1], samples.shape[0] / rate
    )
