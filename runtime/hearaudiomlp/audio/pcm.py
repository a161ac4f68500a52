"""Raw PCM, as it comes through a pipe, into mono float32 at 16 kHz."""

import os
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.resampling import load_soxr, open_resampler
from hearaudiomlp.errors import AudioFileError, OptionError
from hearaudiomlp.spec import SAMPLE_RATE

_DTYPES = {"u8": "u1", "s16le": "<i2", "s32le": "<i4", "f32le": "<f4", "f64le": "<f8"}

FORMATS = ("u8", "s16le", "s24le", "s32le", "f32le", "f64le")
"""Formats of a sample, as ffmpeg calls them."""

_MOST = 1 << 16  # bytes that are read at a time


def decode(data: bytes, sample_format: str) -> Floats:
    """Turn bytes of whole samples into numbers in [-1, 1] [shape=(n,)].

    Examples:
        >>> decode(np.array([16384, -32768], "<i2").tobytes(), "s16le")
        array([ 0.5, -1. ], dtype=float32)
    """
    if sample_format == "s24le":
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return np.asarray(wide.view("<i4")[:, 0] / 2.0**31, np.float32)
    values = np.frombuffer(data, _DTYPES[sample_format])
    if sample_format == "u8":
        return np.asarray((values - 128.0) / 128.0, np.float32)
    if values.dtype.kind == "i":
        return np.asarray(values / 2.0 ** (8 * values.itemsize - 1), np.float32)
    return np.asarray(values, np.float32)


class ToModelRate:
    """Averages channels and resamples to 16 kHz, piece by piece.

    Examples:
        >>> resampler = ToModelRate(48_000, channels=2)
        >>> resampler.convert(np.zeros((48_000, 2), np.float32), last=True).shape
        (16000,)
    """

    def __init__(self, rate: int, channels: int) -> None:
        """Begin before the first sample.

        Args:
            rate: samples per second and channel.
            channels: samples of all of which follow one another.

        Raises:
            OptionError: one of them can't be.
            MissingPackageError: another rate than 16 kHz needs soxr, from the extra ``[live]``.
        """
        if not 1_000 <= rate <= 2_000_000:
            raise OptionError(f"rate is samples per second, from 1000 to 2000000, not {rate}")
        if not 1 <= channels <= 1024:
            raise OptionError(f"channels has to be from 1 to 1024, not {channels}")
        self._channels = channels
        self._resampler = None
        if rate != SAMPLE_RATE:
            soxr = load_soxr("live", f"audio at another rate than {SAMPLE_RATE} Hz needs soxr")
            self._resampler = open_resampler(soxr, rate)

    def convert(self, samples: Floats, *, last: bool = False) -> Floats:
        """Take the next samples [shape=(n * channels,)]; return what is ready [shape=(m,)]."""
        mono: Floats = samples.reshape(-1, self._channels).mean(axis=1, dtype=np.float32)
        if self._resampler is None:
            return mono
        resampled: Floats = self._resampler.resample_chunk(mono, last=last)
        return resampled


class PcmReader:
    """Samples out of a pipe or file, as soon as they are there.

    Examples:
        >>> with open("silence.raw", "wb") as file:
        ...     _ = file.write(bytes(32_000))
        >>> with open("silence.raw", "rb") as file:
        ...     reader = PcmReader(file.fileno(), sample_format="s16le")
        ...     print(sum(len(chunk) for chunk in reader.chunks()))
        16000
    """

    def __init__(
        self, descriptor: int, *, rate: int = SAMPLE_RATE, channels: int = 1, sample_format: str
    ) -> None:
        """Prepare to read.

        Args:
            descriptor: of an open file.
            rate: samples per second and channel.
            channels: samples of all of which follow one another.
            sample_format: one of :data:`FORMATS`.

        Raises:
            OptionError: one of them can't be.
            MissingPackageError: as for :class:`ToModelRate`.
        """
        if sample_format not in FORMATS:
            raise OptionError(f"format is one of {', '.join(FORMATS)}, not {sample_format!r}")
        self._descriptor, self._format = descriptor, sample_format
        width = 3 if sample_format == "s24le" else np.dtype(_DTYPES[sample_format]).itemsize
        self._frame = channels * width
        self._converter = ToModelRate(rate, channels)

    def chunks(self, read: Callable[[int], bytes] | None = None) -> Iterator[Floats]:
        """Read to the end: mono at 16 kHz in pieces [shape=(n,)] of any length.

        Args:
            read: takes the bytes instead of reading them from the descriptor.

        Raises:
            AudioFileError: it ends in the middle of a sample, or has NaN or infinity in it.
        """
        rest = b""
        read = read or partial(os.read, self._descriptor)
        while data := read(_MOST):
            data = rest + data
            whole = len(data) - len(data) % self._frame
            rest = data[whole:]
            if whole:
                yield self._convert(data[:whole])
        if rest:
            raise AudioFileError(
                f"the audio ends {len(rest)} bytes into a frame of {self._frame}: "
                "are the format and the number of channels right?"
            )
        yield self._convert(b"", last=True)

    def _convert(self, data: bytes, *, last: bool = False) -> Floats:
        samples = decode(data, self._format)
        if not np.isfinite(samples).all():
            raise AudioFileError(
                f"the audio has NaN or infinity in it: is its format {self._format}?"
            )
        return self._converter.convert(samples, last=last)
