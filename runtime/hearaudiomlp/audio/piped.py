"""Sound from a pipe: raw PCM, or a format recognized by its first bytes.

Nothing is sought, and samples are given as soon as they are there.
"""

import os
import sys
from collections.abc import Iterator

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.containers.frames import Frame, ac3_frame, adts_frame, id3_size, mp3_frame
from hearaudiomlp.audio.containers.magic import container
from hearaudiomlp.audio.containers.pcm_layout import in_wav, wav_codec
from hearaudiomlp.audio.containers.structure import Structure, parts
from hearaudiomlp.audio.ffmpeg import FfmpegDecoder
from hearaudiomlp.audio.pcm import PcmReader, ToModelRate
from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileTruncatedError,
    AudioFormatChangedError,
    MissingDecoderError,
    MissingPackageError,
    OptionError,
)

_HEAD = 12
_SAMPLES = 2048
"""Samples that are decoded at a time."""

_UNKNOWN = 0x7FFFF000
_MOST_BEFORE = 1 << 24
"""Bytes of chunks that may be before the samples."""

_FORMATS = {
    "PCM_U8": "u8",
    "PCM_16": "s16le",
    "PCM_24": "s24le",
    "PCM_32": "s32le",
    "FLOAT": "f32le",
    "DOUBLE": "f64le",
}
"""Formats of samples, by what a WAV header says of them."""


class _Pipe:
    """A descriptor whose first bytes have been read already."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._head = descriptor, b""

    def peek(self, count: int) -> bytes:
        """Return the next bytes without taking them; fewer at the end."""
        while len(self._head) < count:
            data = os.read(self._descriptor, count - len(self._head))
            if not data:
                break
            self._head += data
        return self._head[:count]

    def read(self, count: int) -> bytes:
        """Take up to ``count`` bytes; none at the end."""
        if self._head:
            data, self._head = self._head[:count], self._head[count:]
            return data
        return os.read(self._descriptor, count)

    def take(self, count: int) -> bytes:
        """Take ``count`` bytes; fewer at the end."""
        pieces = []
        while count and (data := self.read(count)):
            pieces.append(data)
            count -= len(data)
        return b"".join(pieces)

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        while count > 0 and (data := self.read(min(count, 1 << 16))):
            count -= len(data)


def _parts(what: str) -> Iterator[int]:
    """Count parts of a stream; see :func:`hearaudiomlp.audio.containers.structure.parts`."""
    try:
        yield from parts(what)
    except ValueError as problem:
        raise AudioFileError(f"standard input: {problem}") from problem


def _frame(head: bytes) -> Frame | None:
    return mp3_frame(head) or adts_frame(head) or ac3_frame(head)


def _framed(pipe: _Pipe) -> str:
    """Return the codec of frames, if two of them follow each other; nothing for other bytes.

    Samples may look like one: the first byte of that of an MP3 is that of -1 in 16 bits.
    """
    head = pipe.peek(_HEAD)
    if (frame := _frame(head)) is None:
        return ""
    following = _frame(pipe.peek(frame.size + 7)[frame.size :])
    return frame.codec if following is not None and following[1:] == frame[1:] else ""


def read_pipe(descriptor: int, *, rate: int, channels: int, sample_format: str) -> Iterator[Floats]:
    """Read sound from a pipe: mono at 16 kHz in pieces [shape=(n,)] of any length.

    A header of WAV is read here, and those of other formats by FFmpeg. Otherwise it is raw PCM.

    Args:
        descriptor: of an open file, at its beginning.
        rate: samples per second and channel, of raw PCM.
        channels: number of channels, of raw PCM.
        sample_format: one of :data:`hearaudiomlp.audio.pcm.FORMATS`, of raw PCM.

    Raises:
        AudioFileError: it is damaged, or can't be read from a pipe.
        AudioFileTruncatedError: a part of it is missing.
        AudioFormatChangedError: its sample rate or number of channels changes.
        MissingDecoderError: it needs the extra ``[media]``.
        OptionError: an invalid option value.
        MissingPackageError: as for :class:`hearaudiomlp.audio.pcm.ToModelRate`.

    Examples:
        >>> with open("recordings/a/one.wav", "rb", buffering=0) as file:
        ...     pieces = read_pipe(file.fileno(), rate=16_000, channels=1, sample_format="s16le")
        ...     sum(len(piece) for piece in pieces)
        8000
    """
    raw = PcmReader(descriptor, rate=rate, channels=channels, sample_format=sample_format)
    pipe = _Pipe(descriptor)
    tagged, tags = False, _parts("tags")
    while size := id3_size(pipe.peek(_HEAD)):  # FFmpeg would unfold the pictures in it
        tagged = True
        pipe.skip(size)
        next(tags)
    kind = container(pipe.peek) or _framed(pipe) or ("MP3" if tagged else "")
    if kind == "WAV":
        yield from _read_wav(pipe, descriptor)
    elif kind:
        yield from _read_media(pipe, kind)
    else:
        yield from raw.chunks(pipe.read)


def _read_wav(  # noqa: C901 - a parser
    pipe: _Pipe, descriptor: int
) -> Iterator[Floats]:
    if pipe.take(_HEAD).startswith(b"RIFX"):
        raise AudioFileError("standard input: a big-endian WAV (RIFX): decode it before")
    form = b""
    size = long_size = 0
    for _ in _parts("chunks"):
        head = pipe.take(8)
        if len(head) < 8:
            raise AudioFileError("standard input: a WAV without samples")
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            break
        if size > _MOST_BEFORE:
            raise AudioFileError("standard input: a damaged WAV header")
        content = pipe.take(size + size % 2)
        if name == b"fmt ":
            form = content
        elif name == b"ds64" and len(content) >= 16:
            long_size = int.from_bytes(content[8:16], "little")
    if len(form) < 16:
        raise AudioFileError("standard input: a WAV that doesn't say what its samples are")
    layout = in_wav(form)
    sample_format = _FORMATS.get(layout.subtype) if layout else None
    if layout is None or sample_format is None:
        bits = int.from_bytes(form[14:16], "little")
        raise AudioFileError(
            f"standard input: a WAV with {bits} bits of codec {wav_codec(form)}, which can't be "
            "decoded from a pipe: give raw PCM"
        )
    if size == 0xFFFFFFFF and long_size:
        size = long_size
    unknown = size in (0, (1 << 64) - 1) or _UNKNOWN <= size < 1 << 32
    left = sys.maxsize if unknown else size

    def read(count: int) -> bytes:
        nonlocal left
        data = pipe.read(min(count, left))
        left -= len(data)
        return data

    try:
        reader = PcmReader(
            descriptor,
            rate=layout.sample_rate,
            channels=layout.channels,
            sample_format=sample_format,
        )
    except OptionError as problem:
        raise AudioFileError(f"standard input: a damaged WAV header ({problem})") from problem
    yield from reader.chunks(read)
    if left and not unknown:
        raise AudioFileTruncatedError(
            f"standard input: incomplete: its header promises {left:,} bytes more"
        )
    _refuse_more(pipe, pipe.take(size % 2).strip(b"\0"))  # not all writers pad to an even size


def _refuse_more(pipe: _Pipe, begun: bytes) -> None:
    """Refuse what is behind the samples of a WAV, unless it is chunks without samples, or zeros."""
    chunks = _parts("chunks")
    while any(head := begun + pipe.take(8 - len(begun))) and len(head) == 8:
        begun = b""
        next(chunks)
        if head[:4] in (b"data", b"RIFF", b"RF64"):
            raise AudioFileTruncatedError("standard input: incomplete: another recording follows")
        if not (head[:4].isascii() and head[:4].decode().isprintable()):
            raise AudioFileTruncatedError(
                "standard input: incomplete: its header doesn't describe what is behind its samples"
            )
        size = int.from_bytes(head[4:], "little")
        pipe.skip(size + size % 2)


def _read_media(pipe: _Pipe, kind: str) -> Iterator[Floats]:
    try:
        decoder = FfmpegDecoder(pipe, Structure(kind))
    except MissingPackageError as problem:
        raise MissingDecoderError(
            f"standard input is {kind}: pip install 'hearaudiomlp[media]', or decode it before: "
            "ffmpeg -i - -f s16le -ac 1 -ar 16000 -"
        ) from problem
    except ValueError as problem:
        raise AudioFileError(
            f"standard input: {kind} that can't be decoded ({problem})"
        ) from problem
    converter = ToModelRate(decoder.sample_rate, decoder.channels)
    try:
        while len(samples := decoder.read(_SAMPLES)):
            yield converter.convert(samples.reshape(-1))
    except AudioFormatChangedError as problem:
        raise AudioFormatChangedError(f"standard input: changes its format: {problem}") from problem
    yield converter.convert(samples.reshape(-1), last=True)
    if decoder.missing:
        raise AudioFileTruncatedError(f"standard input: incomplete: {decoder.missing}")
