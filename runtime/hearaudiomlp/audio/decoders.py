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
from dataclasses import replace
from typing import Any, BinaryIO, Protocol, cast

import numpy.typing as npt

from hearaudiomlp.audio.containers import boxes, chunks, frames, lossless, mpeg, ogg, transport
from hearaudiomlp.audio.containers.structure import Structure, read_at, size_of
from hearaudiomlp.audio.ffmpeg import FfmpegDecoder
from hearaudiomlp.audio.libsndfile import LibsndfileDecoder, LinkedDecoder
from hearaudiomlp.errors import MissingDecoderError, MissingPackageError

_LARGE = 1 << 30
_FILLED = 20
"""Of a large file, at least one byte in so many has to be on disk."""

_BUFFER = 1 << 16


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


def _container(  # noqa: C901, PLR0911, PLR0912 - a kind a return
    file: BinaryIO, head: bytes
) -> Structure | None:
    """Look at a file that has a table of contents; None for others."""
    match head[:4]:
        case b"RIFF" | b"RF64" | b"BW64" | b"RIFX" if head[8:12] == b"WAVE":
            return chunks.wav(file)
        case b"RIFF" if head[8:12] == b"AVI ":
            return chunks.avi(file)
        case b"riff" if head[24:28] == b"wave":
            return chunks.wave64(file)
        case b"FORM" if head[8:12] in (b"AIFF", b"AIFC"):
            return chunks.aiff(file)
        case b".snd":
            return chunks.au(file)
        case b"caff":
            return chunks.caf(file)
        case b"wvpk":
            return lossless.wavpack(file)
        case b"OggS":
            return ogg.ogg(file)
        case b"\x1a\x45\xdf\xa3":
            return boxes.matroska(file)
        case b"\x30\x26\xb2\x75":
            return boxes.asf(file)
        case b"#!AM" if head.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
            return mpeg.amr(file)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return boxes.mp4(file)
    if (step := transport.packet_step(read_at(file, 0, 1024))) is not None:
        return transport.transport(file, step)
    return None


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
    while size := frames.id3_size(head):  # MP3, AAC and FLAC may have tags in front
        start += size
        head = read_at(file, start, 64)
    if head.startswith(b"fLaC"):
        return lossless.flac(file, start)
    if head.startswith(b"TTA1"):
        return lossless.tta(file, start)
    if not start and (container := _container(file, head)) is not None:
        return container
    if start and (container := _container(cast("BinaryIO", _Behind(file, start)), head)):
        return _behind_tag(container, start, file)
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
