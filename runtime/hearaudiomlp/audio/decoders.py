"""Which decoder reads what, and why: the one place where that is decided.

libsndfile (extra ``[audio]``) reads PCM in all its wrappings, and ordinary FLAC, MP3, Ogg Vorbis
and Opus. FFmpeg (PyAV, extra ``[media]``) reads everything else. The choice depends on the file
alone and never on what is installed, so a file gives the same numbers on every machine; where the
decoder that it needs is missing, an error names the extra.

libsndfile comes first because it starts sooner and takes 10 MB instead of 100. It is passed over
where it is known to read a file wrongly, in part, or not at all:

=============================  ==========================================================
file                           decoder
=============================  ==========================================================
WAV, RF64, W64, AIFF, AU, CAF  libsndfile
- with a size of 0, too small, libsndfile, past the header: it would read as little as the
  or wrapped round at 4 GiB    header says
- with other codecs in it      FFmpeg: libsndfile refuses AAC, ALAC and WMA, reads a part of
                               MP3 of variable bit rate, and distorts GSM 6.10
- of integers of 64 bits       FFmpeg: libsndfile refuses them
- RIFX                         libsndfile alone: FFmpeg takes it for little-endian
- W64                          libsndfile, past the header: it takes float in an extensible one
                               for integers
FLAC                           libsndfile
- of unknown length            FFmpeg: libsndfile refuses it
- longer than its header says  FFmpeg: libsndfile stops where it expects the end
- several, put together        libsndfile, one by one: by itself it reads the first one
MP3                            libsndfile
- whose length it estimates    FFmpeg: libsndfile stops where it expects the end
  to be too short
- several, put together        FFmpeg: libsndfile stops at the end of the first one
Ogg Vorbis, Opus               libsndfile
- chained                      libsndfile, stream by stream: by itself it reads the first one
- with other streams beside    FFmpeg: libsndfile refuses them
- Opus of a station, joined    FFmpeg: libsndfile reads from a wrong place on
  while it was on the air
any, behind an ID3v2 tag         the same, which is given the part behind it
Ogg FLAC, Speex                FFmpeg: libsndfile refuses them
M4A, MP4, MOV, 3GP, WebM, MKV, FFmpeg: libsndfile doesn't know them
WMA, AAC, AMR, AC-3 ...
=============================  ==========================================================
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO, Protocol, cast

import numpy.typing as npt

from hearaudiomlp.audio.containers import boxes, chunks, frames, lossless, mpeg, ogg, transport
from hearaudiomlp.audio.containers.magic import container
from hearaudiomlp.audio.containers.structure import Structure, parts, read_at, size_of
from hearaudiomlp.audio.ffmpeg import FfmpegDecoder
from hearaudiomlp.audio.libsndfile import LibsndfileDecoder, LinkedDecoder
from hearaudiomlp.errors import MissingDecoderError, MissingPackageError

_LARGE = 1 << 30
_FILLED = 20
"""Of a large file, at least one byte in so many has to be on disk."""

_BUFFER = 1 << 13


class Decoder(Protocol):
    """A file that is being decoded."""

    sample_rate: int
    channels: int

    @property
    def missing(self) -> str:
        """What is known to be gone when all was read, in words; nothing, where nothing is."""

    @property
    def note(self) -> str:
        """What the reader should know when all was read, in words."""

    def read(self, count: int) -> npt.NDArray[Any]:
        """Decode up to ``count`` samples per channel [shape=(n, channels)]; fewer at the end.

        Returns:
            float32, or int16.

        Raises:
            ValueError: it can't be decoded any further. The message is the reason.
        """

    def close(self) -> None:
        """Close the file."""


def open_regular(path: str) -> BinaryIO:
    """Open a regular file that has something in it. Pipes, devices and sockets aren't opened.

    Raises:
        OSError: it can't be opened, or isn't such a file. Opening a pipe would wait for a writer.
        ValueError: it is empty.

    Examples:
        >>> with open_regular("samples/words.flac") as file:
        ...     file.read(4)
        b'fLaC'
    """
    status = os.stat(path)  # noqa: PTH116 - not all names are text
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ESPIPE, "a pipe or device: write it to a file first")
    if not status.st_size:
        raise ValueError("it is empty: it has 0 bytes")
    file = open(path, "rb", buffering=_BUFFER)  # noqa: SIM115, PTH123 - the caller closes it
    try:
        _refuse_holes(file, status)
    except BaseException:
        file.close()
        raise
    return file


def _refuse_holes(file: BinaryIO, status: os.stat_result) -> None:
    """Refuse large files that are nearly all hole: reading them takes hours and gives silence."""
    filled = 512 * getattr(status, "st_blocks", status.st_size)
    if status.st_size < _LARGE or filled >= status.st_size // _FILLED:
        return
    # Compressed and remote files have few blocks, too, but no holes.
    if hasattr(os, "SEEK_HOLE") and os.lseek(file.fileno(), 0, os.SEEK_HOLE) < status.st_size:
        raise ValueError(
            f"a sparse file: only {filled:,} of its {status.st_size:,} bytes are on disk"
        )


class _Behind:
    """The part of an open file behind a tag in front of it."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start = file, start
        self.read = file.read

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset if whence else self._start + offset
        return self._file.seek(place, whence) - self._start


_PARSERS: dict[str, Callable[[BinaryIO], Structure]] = {
    "WAV": chunks.wav,
    "AVI": chunks.avi,
    "Wave64": chunks.wave64,
    "AIFF": chunks.aiff,
    "AU": chunks.au,
    "CAF": chunks.caf,
    "WavPack": lossless.wavpack,
    "Ogg": ogg.ogg,
    "Matroska": boxes.matroska,
    "WMA": boxes.asf,
    "AMR": mpeg.amr,
    "MP4": boxes.mp4,
    "MPEG-TS": transport.transport,
}
"""What looks at each container of :mod:`hearaudiomlp.audio.containers.magic`."""


def _behind_tag(structure: Structure, start: int, file: BinaryIO) -> Structure:
    """Return the structure of a file with a tag in front, from that of the part behind it."""
    if structure.raw is not None:
        return replace(structure, raw=replace(structure.raw, offset=start + structure.raw.offset))
    rest = ((0, size_of(file) - start),)
    links = tuple((start + offset, size) for offset, size in structure.links or rest)
    return replace(structure, start=start, links=links)


def examine(file: BinaryIO) -> Structure:
    """Tell the format of an open file, and what its structure says.

    Returns:
        What is known; a structure without a kind, where the format is another one.

    Examples:
        >>> with open_regular("recordings/a/one.wav") as file:
        ...     examine(file)
        Structure(kind='WAV', ...)
    """
    start, head = 0, read_at(file, 0, 64)
    tags = parts("tags")
    while size := frames.id3_size(head):  # MP3, AAC and FLAC may have tags in front
        start += size
        head = read_at(file, start, 64)
        next(tags)
    kind = container(lambda count: read_at(file, start, count))
    if kind == "FLAC":
        return lossless.flac(file, start)
    if kind == "TTA":
        return lossless.tta(file, start)
    if kind and not start:
        return _PARSERS[kind](file)
    if kind:
        return _behind_tag(_PARSERS[kind](cast("BinaryIO", _Behind(file, start))), start, file)
    if frames.ac3_frame(head):
        return mpeg.ac3(file, start)
    found = mpeg.adts(file, start) if frames.adts_frame(head) else None
    found = found or (mpeg.mp3(file, start) if start or frames.mp3_frame(head) else None)
    return found or Structure("")


_UNRELIABLE = ("MP3", "OGG", "FLAC")
"""What libsndfile may read in part, and so only where the structure was looked at."""


def _by_libsndfile(path: str, structure: Structure) -> Decoder | None:
    """Return libsndfile's decoder; None, where it would end too early.

    Raises:
        ValueError: libsndfile refuses the file.
    """
    if structure.links:
        return LinkedDecoder(path, structure)
    decoder = LibsndfileDecoder(path, structure)
    slack = 4 * 1152 if structure.exact else 1152
    if structure.samples is not None and decoder.frames + slack < structure.samples:
        decoder.close()
        return None
    if not structure.kind and decoder.format in _UNRELIABLE:
        decoder.close()
        return None
    return decoder


def open_decoder(path: str, structure: Structure) -> Decoder:
    """Open a file with the decoder that reads it right.

    Raises:
        MissingDecoderError: that decoder isn't installed.
        MissingPackageError: soundfile isn't installed.
        ValueError: no decoder can read it. The message is the reason.
        OSError: it can't be opened.

    Examples:
        >>> decoder = open_decoder("samples/words.flac", Structure("FLAC"))
        >>> decoder.read(1000).shape
        (1000, 2)
        >>> decoder.close()
    """
    refused = ""
    if not structure.media:
        try:
            if (decoder := _by_libsndfile(path, structure)) is not None:
                return decoder
        except ValueError as problem:
            refused = str(problem) or "libsndfile refuses it"
    if structure.kind == "RIFX":
        raise ValueError(refused)
    try:
        return FfmpegDecoder(path, structure)
    except MissingPackageError as problem:
        extra = "pip install 'hearaudiomlp[media]'"
        if not structure.kind:
            raise ValueError(f"{refused}; for more formats: {extra}") from problem
        raise MissingDecoderError(
            f"this {structure.kind} file needs the extra [media] (PyAV): {extra}"
        ) from problem
    except ValueError as problem:
        raise ValueError(refused or str(problem)) from problem
