"""Decoding by libsndfile (extra ``[audio]``: soundfile)."""

import io
import os
import re
import sys
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp.audio.chatter import quiet_libraries
from hearaudiomlp.audio.containers.structure import RawPcm, Structure
from hearaudiomlp.errors import AudioFormatChangedError, needs_extra

_PIECE = 256
"""Samples that are decoded at a time before a damaged place."""

_MP3_SLACK = 4 * 1152
"""Samples that may lack in an MP3: encoders count their own delay and padding differently."""


_SIZES = re.compile(r"(?:BODY :|Data length) (\d+) \(?should be (\d+)")
"""What libsndfile notes about bytes of SVX and WVE that a header promises, and those there are."""

_COUNTS = re.compile(r"(?:Frames +:|sample_count -i) (\d+)")
"""What it notes about samples of AVR and MPC 2000, or the header of NIST says of them."""


def load_soundfile() -> ModuleType:
    """Import soundfile.

    Raises:
        MissingPackageError: the extra ``[audio]`` isn't installed.

    Examples:
        >>> load_soundfile().info("samples/words.flac").samplerate
        44100
    """
    with needs_extra("audio", "reading audio files needs soundfile and soxr"):
        import soundfile
    return soundfile  # type: ignore[no-any-return]


class _Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, path: str, start: int, size: int) -> None:
        self._file = open(path, "rb")  # noqa: SIM115, PTH123 - closed with this one
        self._start, self._size, self._at = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._at))
        self._file.seek(self._start + self._at)
        count = self._file.readinto(view[:count])
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class LibsndfileDecoder:
    """A file that libsndfile decodes.

    Examples:
        >>> decoder = LibsndfileDecoder("samples/words.flac", Structure("FLAC"))
        >>> decoder.sample_rate, decoder.read(1000).shape
        (44100, (1000, 2))
        >>> decoder.close()
    """

    note = ""
    """Nothing: what the reader should know."""

    def __init__(
        self, path: str, structure: Structure, link: tuple[int, int] | None = None
    ) -> None:
        """Open it.

        Args:
            path: of the file.
            structure: what is known of it.
            link: offset and size of the part to decode, if it isn't all.

        Raises:
            MissingPackageError: soundfile isn't installed.
            ValueError: libsndfile refuses it. The message is the reason.
        """
        soundfile = load_soundfile()
        self._errors = (soundfile.LibsndfileError, RuntimeError, TypeError)
        may_be_mp3 = not structure.kind or structure.kind.startswith("MP")
        self._quietly = quiet_libraries if may_be_mp3 else nullcontext
        self._link = link
        self._part: _Part | None = None
        try:
            with self._quietly():
                self._file = self._open(soundfile, path, structure.raw)
        except self._errors as problem:  # TypeError: formats without a header
            raise ValueError(self._reason(problem)) from problem
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = self._file.frames
        """Samples per channel, as far as libsndfile knows: it reads no more."""
        subtype: str = self._file.subtype
        self._dtype = "int16" if subtype == "PCM_16" else "float32"
        self._slack = _MP3_SLACK if subtype.startswith("MPEG") else 0
        self._promised = self.frames if structure.samples is None else structure.samples
        if structure.samples is not None and structure.exact:
            self._promised = self.frames
        self._decoded = 0
        self._broken = "" if structure.kind else self._cut_off(path)

    def _open(self, soundfile: ModuleType, path: str, raw: RawPcm | None) -> Any:
        if self._link is not None:
            self._part = _Part(path, *self._link)
            return soundfile.SoundFile(self._part)
        if raw is not None:
            self._part = _Part(path, raw.offset, raw.size)
            return soundfile.SoundFile(
                self._part,
                samplerate=raw.sample_rate,
                channels=raw.channels,
                format="RAW",
                subtype=raw.subtype,
                endian="BIG" if raw.big_endian else "LITTLE",
            )
        # As bytes where names of files are bytes: not all of them are text.
        return soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)

    def _cut_off(self, path: str) -> str:
        """Say what lacks in a file of a rare format, which libsndfile reads as far as it goes."""
        notes = str(self._file.extra_info)
        if self.format == "NIST":
            with open(path, "rb") as file:  # noqa: PTH123 - not all names are text
                notes = file.read(1024).decode("latin-1")
        if "a truncated file" in notes or "seems to be truncated" in notes:
            return "its header promises more than there is"
        for promised, there in _SIZES.findall(notes):
            if int(promised) > int(there):
                return f"its header promises {promised} bytes and there are {there}"
        for promised in _COUNTS.findall(notes):
            if int(promised) > self.frames * (1 if self.format == "NIST" else self.channels):
                return f"its header promises {promised} samples and there are {self.frames}"
        return ""

    @property
    def format(self) -> str:
        """Name of the format, as libsndfile has it."""
        return str(self._file.format)

    @staticmethod
    def _reason(problem: Exception) -> str:
        return str(getattr(problem, "error_string", None) or problem).strip().rstrip(".")

    @property
    def missing(self) -> str:
        """What couldn't be decoded, or its header promises and didn't come, in words."""
        if self._broken:
            return self._broken
        if self._decoded + self._slack < self._promised < sys.maxsize:
            return f"its header promises {self._promised:,} samples and there are {self._decoded:,}"
        return ""

    def read(self, count: int) -> npt.NDArray[Any]:
        """Decode up to ``count`` samples per channel [shape=(n, channels)]; fewer at the end.

        Returns:
            float32, or int16 where the file has 16 bits.

        Raises:
            ValueError: libsndfile can't decode it any further. The message is the reason.
        """
        left = max(0, self.frames - self._decoded) if self._file.seekable() else count
        samples = np.empty((min(count, left), self.channels), self._dtype)
        try:
            with self._quietly():  # read() takes twice as long for short files
                samples = samples[: self._file.buffer_read_into(samples, self._dtype)]
        except self._errors as problem:
            with self._quietly():
                samples = self._salvage(count, self._reason(problem))
        self._decoded += len(samples)
        return samples

    def _salvage(self, count: int, reason: str) -> npt.NDArray[Any]:
        """Return the samples before a damaged place, which libsndfile's error throws away."""
        pieces = [np.zeros((0, self.channels), self._dtype)]
        have = 0
        try:
            self._file.seek(self._decoded)
            while have < count:
                piece = self._file.read(
                    min(_PIECE, count - have), dtype=self._dtype, always_2d=True
                )
                if not len(piece):
                    break  # the error was about what is behind the last sample
                pieces.append(piece)
                have += len(piece)
        except self._errors as problem:
            if not have and not self._decoded:
                raise ValueError(reason) from problem
            self._broken = f"its samples can't be decoded to the end ({reason})"
        return np.concatenate(pieces)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._part is not None:
            self._part.close()


class LinkedDecoder:
    """The streams of a chained Ogg file, or FLACs put together, one after the other.

    Examples:
        >>> import soundfile
        >>> soundfile.write("one.ogg", np.zeros(8000), 16_000)
        >>> with open("one.ogg", "rb") as one, open("two.ogg", "wb") as two:
        ...     size = two.write(one.read())
        ...     _ = one.seek(0), two.write(one.read())
        >>> decoder = LinkedDecoder("two.ogg", Structure("Ogg", links=((0, size), (size, size))))
        >>> len(decoder.read(20_000))
        16000
        >>> decoder.close()
    """

    note = ""
    """Nothing: what the reader should know."""

    def __init__(self, path: str, structure: Structure) -> None:
        """Open the first one.

        Raises:
            MissingPackageError: soundfile isn't installed.
            ValueError: libsndfile refuses it. The message is the reason.
        """
        self._path, self._structure = path, structure
        self._links = list(structure.links)
        self._current = self._next()
        self.sample_rate, self.channels = self._current.sample_rate, self._current.channels
        self.missing = ""
        """What is known to be gone in the streams that were read, in words."""

    def _next(self) -> LibsndfileDecoder:
        return LibsndfileDecoder(self._path, self._structure, self._links.pop(0))

    def read(self, count: int) -> npt.NDArray[Any]:
        """Decode up to ``count`` samples per channel [shape=(n, channels)]; fewer at the end.

        Raises:
            AudioFormatChangedError: the sample rate or the number of channels changes.
            ValueError: libsndfile can't decode it any further. The message is the reason.
        """
        pieces = [self._current.read(count)]
        have = len(pieces[0])
        while have < count:
            self.missing = self.missing or self._current.missing
            if not self._links:
                break
            self._current.close()
            self._current = self._next()
            rate, channels = self._current.sample_rate, self._current.channels
            if (rate, channels) != (self.sample_rate, self.channels):
                raise AudioFormatChangedError(
                    f"{self.sample_rate} Hz, {self.channels} channels, then {rate} Hz, "
                    f"{channels} channels"
                )
            pieces.append(self._current.read(count - have))
            have += len(pieces[-1])
        return np.concatenate(pieces)

    def close(self) -> None:
        """Close the file."""
        self._current.close()
