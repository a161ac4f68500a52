"""Audio files into mono float32 at 16 kHz (extras ``[audio]`` and ``[media]``)."""

import contextlib
import math
import os
import struct
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, SupportsIndex

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.decoders import Decoder, examine, open_decoder, open_regular
from hearaudiomlp.audio.libsndfile import load_soundfile
from hearaudiomlp.audio.resampling import load_soxr, open_resampler
from hearaudiomlp.errors import (
    AudioFileChangedError,
    AudioFileError,
    AudioFileNotFoundError,
    AudioFileTruncatedError,
    AudioFormatChangedError,
    MissingDecoderError,
    OptionError,
    warn_once,
)
from hearaudiomlp.signal.arrays import peak, warn_if_loud
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.storage.remote import Copy, is_url, local_path

OnTruncated = Literal["fail", "keep"]
"""What to do about a file of which a part is missing."""

_RATES = range(1_000, 2_000_000)
"""Plausible samples per second: bats are recorded at up to 500 kHz."""

_CHUNK = 1 << 16
"""Samples of the file that are decoded at a time."""

_16_BIT_STEP = np.float32(2**-15)

_LEAST_BYTES = 8
"""Bytes per second that the sparest codecs take for silence. A file with fewer is a bomb."""

_MOST_SAMPLES = 4096
"""Samples of all channels per byte. FLAC, the densest, takes 14 bytes for 8,192 of silence."""

_HOUR = 3600 * 48_000 * 2
"""Samples that any file may have: an hour in stereo."""

LONGEST_PART = 4 * 3600 * SAMPLE_RATE
"""Samples of a part that is read at once: 920 MB. Silence of many days may be a small file."""

_CANCELLED = 1e-4
"""Power of the average, relative to that of the channels (-40 dB), that counts as cancelled."""


@dataclass(frozen=True)
class Recording:
    """A decoded file.

    Examples:
        >>> recording = read_audio("samples/words.flac")
        >>> recording.sample_rate, recording.channels, round(recording.duration, 2)
        (44100, 2, 6.39)
    """

    samples: Floats
    """Mono at 16 kHz [shape=(n_samples,)]."""

    sample_rate: int
    """Samples per second in the file."""

    channels: int
    """Channels in the file."""

    duration: float
    """Seconds in the file."""

    truncated: str = ""
    """What is missing of the file, in words; empty for a whole file."""


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


class AudioStream:
    """A file that is decoded chunk by chunk, so that its length costs no memory.

    Examples:
        >>> from hearaudiomlp.audio import AudioStream
        >>> stream = AudioStream("samples/words.flac")
        >>> sum(len(chunk) for chunk in stream.chunks())
        102169
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        channel: int | None = None,
        on_truncated: OnTruncated = "fail",
    ) -> None:
        """Open the file.

        Args:
            path: see :func:`read_audio`.
            channel: likewise.
            on_truncated: likewise.

        Raises:
            AudioFileError: as for :func:`read_audio`.
            OptionError: an invalid option value.
        """
        if on_truncated not in ("fail", "keep"):
            raise OptionError(f"on_truncated is fail or keep, not {on_truncated!r}")
        if channel is not None and not (isinstance(channel, SupportsIndex) and channel >= 1):
            raise OptionError(f"channels are whole numbers from 1 on, not {channel!r}")
        load_soundfile()
        soxr = load_soxr("audio", "reading audio files needs soundfile and soxr")
        self.path = os.fsdecode(path)
        self.truncated = ""
        """What is missing, in words: complete when all chunks were taken."""
        self.decoded = 0
        """Samples of the file that have been decoded so far."""
        self._keep, self._channel = on_truncated == "keep", channel
        self._power = np.zeros(2)  # of the channels, and of their average
        self._copy: Copy | None = None
        self._local = str(self._fetched()) if is_url(self.path) else local_path(self.path)
        try:
            self._decoder = self._open()
            self.sample_rate: int = self._decoder.sample_rate
            self.channels: int = self._decoder.channels
            try:
                self._resampler = self._resample_from(self.sample_rate, soxr)
                if channel is not None and channel > self.channels:
                    raise ValueError(f"it has no channel {channel}, only {self.channels}")
            except ValueError:
                self._decoder.close()
                raise
        except FileNotFoundError:
            raise AudioFileNotFoundError(f"there is no file {self.path}") from None
        except MissingDecoderError as problem:
            raise MissingDecoderError(f"{self.path}: {problem}") from problem
        except AudioFileError:
            raise
        except (OSError, ValueError) as problem:
            raise self._unreadable(problem) from problem
        finally:
            if self._copy is not None and os.name == "posix":  # it stays open, without its name
                self._copy.close()

    def _open(self) -> Decoder:
        with open_regular(self._local) as file:
            self._version = _version(os.fstat(file.fileno()))
            try:
                structure = examine(file)
            except (struct.error, LookupError):  # less than there was a moment ago
                self._refuse_changed(os.fstat(file.fileno()))
                raise
        if structure.change:
            raise AudioFormatChangedError(f"{self.path}: changes its format: {structure.change}")
        if structure.missing:
            self._miss(structure.missing)
        if structure.note:
            self._warn(structure.note)
        return open_decoder(self._local, structure)

    def _warn(self, what: str) -> None:
        warn_once(f"{self.path} {what}", f"{self.path}: {what}", UserWarning)

    def _miss(self, what: str) -> None:
        """Fail because something is missing, or make a note of it."""
        if not self._keep:
            raise AudioFileTruncatedError(f"{self.path}: incomplete: {what}")
        self.truncated = self.truncated or what

    def _resample_from(self, rate: int, soxr: ModuleType) -> Any:
        if not _RATES.start <= rate < _RATES.stop:
            raise ValueError(f"a rate of {rate} Hz is not plausible")
        if rate == SAMPLE_RATE:
            return None
        return open_resampler(soxr, rate)

    def _fetched(self) -> Path:
        try:
            self._copy = Copy(self.path)
        except FileNotFoundError:
            raise AudioFileNotFoundError(f"there is no file {self.path}") from None
        except (OSError, OptionError) as problem:
            raise AudioFileError(str(problem)) from problem
        return self._copy.path

    def _unreadable(self, problem: Exception) -> AudioFileError:
        reason = str(getattr(problem, "strerror", None) or problem).rstrip(".")
        if self.truncated:
            return AudioFileTruncatedError(f"{self.path}: incomplete: {self.truncated} ({reason})")
        return AudioFileError(f"{self.path}: not an audio file that can be read ({reason})")

    @property
    def duration(self) -> float:
        """Seconds that have been decoded so far; those of the file when all chunks were taken."""
        return self.decoded / self.sample_rate

    def chunks(self) -> Generator[Floats, None, None]:
        """Decode the file, once: mono at 16 kHz, in pieces [shape=(n,)] of any length.

        Channels are averaged, unless one was chosen; other rates than 16 kHz are resampled by soxr
        (high quality). There is one warning about samples far outside [-1, 1], and one for each
        file whose channels cancel each other out.

        Raises:
            AudioFileError: it has NaN or infinity in it, or is a decompression bomb.
            AudioFileTruncatedError: a part of it is missing or damaged.
            AudioFileChangedError: it was written to meanwhile.
            AudioFormatChangedError: its sample rate or number of channels changes.
        """
        with contextlib.closing(self._decoder):
            last = False
            while not last:
                samples = self._read()
                self.decoded += len(samples)
                mono = self._mono(samples)
                last = len(samples) < _CHUNK
                if self._resampler is not None and self.decoded:
                    mono = self._resampler.resample_chunk(mono, last=last)
                yield mono
            missing, note = self._decoder.missing, self._decoder.note
        if self._copy is not None:
            self._copy.close()
        else:
            with contextlib.suppress(FileNotFoundError):  # removed: it was read all the same
                self._refuse_changed(os.stat(self._local))  # noqa: PTH116 - not all names are text
        if missing:
            self._miss(missing)
        elif note and not self.truncated:
            self._warn(note)
        if self._power[1] < _CANCELLED * self._power[0]:
            self._warn("its channels cancel each other out in their average: choose one")

    def _read(self) -> npt.NDArray[Any]:
        size, _ = self._version
        samples = self.decoded * self.channels
        too_long = self.decoded > self.sample_rate * max(3600, size // _LEAST_BYTES)
        if too_long or samples > max(_HOUR, size * _MOST_SAMPLES):
            raise AudioFileError(
                f"{self.path}: {size:,} bytes that decode to over {samples:,} samples"
            )
        try:
            return self._decoder.read(_CHUNK)
        except AudioFormatChangedError as problem:
            raise AudioFormatChangedError(
                f"{self.path}: changes its format: {problem}"
            ) from problem
        except (OSError, ValueError) as problem:
            raise self._unreadable(problem) from problem

    def _mono(self, samples: npt.NDArray[Any]) -> Floats:
        """Return one channel, or the average of all."""
        # 16 bits are scaled here, which gives the same numbers sooner; they can't be out of range.
        if checked := samples.dtype != np.int16:
            scaled: Floats = samples
        else:
            scaled = samples * _16_BIT_STEP
        if self.channels == 1:  # the mean of one channel is the channel
            mono: Floats = scaled[:, 0]
        elif self._channel is not None:
            mono = np.ascontiguousarray(scaled[:, self._channel - 1])
        else:
            mono = scaled.mean(1, np.float32)
            self._power += np.vdot(scaled, scaled) / self.channels, np.vdot(mono, mono)
        if checked:
            highest = peak(mono)
            if not math.isfinite(highest):
                raise AudioFileError(f"{self.path}: has NaN or infinity in its samples")
            warn_if_loud(highest)
        return mono

    def _refuse_changed(self, status: os.stat_result) -> None:
        if _version(status) != self._version:
            raise AudioFileChangedError(f"{self.path}: has changed while it was read")


def read_audio(
    path: str | os.PathLike[str],
    *,
    channel: int | None = None,
    on_truncated: OnTruncated = "fail",
) -> Recording:
    """Decode a file of any common format, sample rate and number of channels.

    Args:
        path: of the file, or its URL.
        channel: the channel to take, from 1; None for the average of all.
        on_truncated: ``"fail"`` refuses a file of which a part is missing or damaged, and
            ``"keep"`` takes what is there and describes what isn't in :attr:`Recording.truncated`.

    Raises:
        AudioFileNotFoundError: there is no such file.
        AudioFileError: it can't be decoded, has no such channel, or has NaN or infinity in it.
        AudioFileTruncatedError: a part of it is missing or damaged.
        AudioFormatChangedError: its sample rate or number of channels changes in the middle.
        MissingDecoderError: it needs the extra ``[media]``, which isn't installed.
        MissingPackageError: the extra ``[audio]`` isn't installed.
        OptionError: an invalid option value.

    Examples:
        >>> from hearaudiomlp import read_audio
        >>> recording = read_audio("samples/words.flac")
        >>> recording.sample_rate, recording.channels, recording.truncated
        (44100, 2, '')
        >>> recording.samples.dtype
        dtype('float32')
    """
    stream = AudioStream(path, channel=channel, on_truncated=on_truncated)
    samples = np.concatenate(list(stream.chunks()))
    return Recording(
        samples, stream.sample_rate, stream.channels, stream.duration, stream.truncated
    )


def read_part(stream: AudioStream, first: int, last: int) -> Floats:
    """Decode a part of a file, all at once. What is behind it isn't read.

    Args:
        stream: the file, of which nothing has been decoded.
        first: number of the first sample, at 16 kHz.
        last: number of the one behind the last sample. There are fewer where the file ends.

    Raises:
        AudioFileError: as for :meth:`AudioStream.chunks`; and if the part has more than
            :data:`LONGEST_PART` samples.

    Examples:
        >>> read_part(AudioStream("samples/words.flac"), 8_000, 24_000).shape
        (16000,)
    """
    pieces = [np.zeros(0, np.float32)]
    at = size = 0
    with contextlib.closing(stream.chunks()) as chunks:
        for chunk in chunks:
            piece = chunk[max(0, first - at) : max(0, last - at)]
            at += len(chunk)
            size += len(piece)
            if len(piece):  # an empty one would keep its chunk
                pieces.append(piece)
            if size > LONGEST_PART:
                hours = LONGEST_PART / SAMPLE_RATE / 3600
                raise AudioFileError(
                    f"{stream.path}: over {hours:g} hours at once: give the start and the end of a "
                    "part of it"
                )
            if at >= last:
                break
    return np.concatenate(pieces)
