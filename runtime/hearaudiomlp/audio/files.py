"""Audio files into mono float32 at 16 kHz (extra ``[audio]``: soundfile and soxr)."""

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.truncation import find_truncation
from hearaudiomlp.audio.wav import plain_wav
from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileNotFoundError,
    MissingPackageError,
)
from hearaudiomlp.signal.arrays import peak, warn_if_loud
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.storage.remote import Copy, is_url, local_path

_RATES = range(1_000, 2_000_000)
"""Samples per second that a header may tell: bats are recorded at up to 500 kHz."""

_CHUNK = 1 << 16
"""Samples of the file that are decoded at a time."""

_16_BIT_STEP = np.float32(2**-15)

_SLACK = 4 * 1152
"""Samples that may lack of what the header promises: MP3 counts its padding differently."""


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


class AudioStream:
    """A file that is decoded chunk by chunk, so that its length costs no memory."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file.

        Raises:
            AudioFileNotFoundError: there is no such file.
            AudioFileError: it isn't an audio file that can be read.
            MissingPackageError: the extra ``[audio]`` isn't installed.
        """
        soundfile, soxr = _packages()
        # soundfile raises TypeError for headerless formats, soxr ValueError for odd rates.
        self._errors = (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError)
        self.path = os.fspath(path)
        self._copy: Copy | None = None
        local = self._fetched() if is_url(self.path) else local_path(self.path)
        try:
            self._file = self._open(local, soundfile)
            self.sample_rate: int = self._file.samplerate
            self.channels: int = self._file.channels
            try:
                self._resampler = self._resample_from(self.sample_rate, soxr)
            except ValueError:
                self._file.close()
                raise
        except FileNotFoundError:
            raise AudioFileNotFoundError(f"there is no file {self.path}") from None
        except AudioFileError:
            raise
        except self._errors as problem:
            raise self._unreadable(problem) from problem
        finally:
            if self._copy is not None and os.name == "posix":  # it stays open, without its name
                self._copy.close()
        self.decoded = 0
        """Samples of the file that have been decoded so far."""

    def _open(self, local: str | Path, soundfile: ModuleType) -> Any:
        file = open(local, "rb")  # noqa: PTH123, SIM115 - a Path is slow; who closes it varies
        try:
            if (plain := plain_wav(file)) is not None:
                self._read: Callable[[int], Any] = plain.read
                return plain
            if file.seekable():  # no pipe, of which the next step tells
                file.seek(0)
            if (missing := find_truncation(file)) is not None:
                raise AudioFileError(f"{self.path}: cut off: {missing}")
        except BaseException:
            file.close()
            raise
        file.close()
        # As bytes where names of files are bytes: not all of them are text.
        opened = soundfile.SoundFile(os.fsencode(local) if os.name == "posix" else local)
        dtype = "int16" if opened.subtype == "PCM_16" else "float32"
        self._read = partial(opened.read, dtype=dtype, always_2d=True)
        return opened

    def _resample_from(self, rate: int, soxr: ModuleType) -> Any:
        if not _RATES.start <= rate < _RATES.stop:
            raise ValueError(f"a rate of {rate} Hz can't be meant")
        if rate == SAMPLE_RATE:
            return None
        return soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")

    def _fetched(self) -> Path:
        try:
            self._copy = Copy(self.path)
        except FileNotFoundError:
            raise AudioFileNotFoundError(f"there is no file {self.path}") from None
        except OSError as problem:
            raise AudioFileError(str(problem)) from problem
        return self._copy.path

    def _unreadable(self, problem: Exception) -> AudioFileError:
        reason = getattr(problem, "error_string", None) or getattr(problem, "strerror", None)
        reason = str(reason or problem).rstrip(".")
        return AudioFileError(f"{self.path}: not an audio file that can be read ({reason})")

    def _check(self, samples: Floats) -> None:
        highest = peak(samples)
        if not math.isfinite(highest):
            raise AudioFileError(f"{self.path}: has NaN or infinity in its samples")
        warn_if_loud(highest)

    @property
    def duration(self) -> float:
        """Seconds that have been decoded so far; those of the file when all chunks were taken."""
        return self.decoded / self.sample_rate

    def chunks(self) -> Iterator[Floats]:
        """Decode the file, once: mono at 16 kHz, in pieces [shape=(n,)] of any length.

        Channels are averaged; other rates than 16 kHz are resampled by soxr (high quality). Samples
        far outside [-1, 1] are warned of, once.

        Raises:
            AudioFileError: it is damaged, or has NaN or infinity in it.
        """
        # 16 bits are scaled here, which gives the same numbers sooner; they can't be out of range.
        sixteen = self._file.subtype == "PCM_16"
        with contextlib.closing(self._file):
            while True:
                try:
                    samples = self._read(_CHUNK)
                    self.decoded += len(samples)
                    if sixteen:
                        samples = samples * _16_BIT_STEP
                    # The mean of one channel is the channel; many files are short, and mono.
                    mono = samples[:, 0] if self.channels == 1 else samples.mean(1, np.float32)
                    if not sixteen:
                        self._check(mono)
                    last = len(samples) < _CHUNK
                    if self._resampler is not None and self.decoded:
                        mono = self._resampler.resample_chunk(mono, last=last)
                except AudioFileError:
                    raise
                except self._errors as problem:
                    raise self._unreadable(problem) from problem
                yield mono
                if last:
                    break
        if self._copy is not None:
            self._copy.close()
        promised = self._file.frames
        if self.decoded + _SLACK < promised < sys.maxsize:
            raise AudioFileError(
                f"{self.path}: cut off: its header promises {promised:,} samples, "
                f"{self.decoded:,} came"
            )


def read_audio(path: str | os.PathLike[str]) -> Recording:
    """Decode a file of any format that libsndfile reads, any rate and number of channels.

    Raises:
        AudioFileNotFoundError: there is no such file.
        AudioFileError: it can't be decoded, or has NaN or infinity in it.
        MissingPackageError: the extra ``[audio]`` isn't installed.
    """
    stream = AudioStream(path)
    samples = np.concatenate(list(stream.chunks()))
    return Recording(samples, stream.sample_rate, stream.channels, stream.duration)
