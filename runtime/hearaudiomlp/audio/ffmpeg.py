"""Decoding by FFmpeg's libraries (extra ``[media]``: PyAV, which has them in its wheels)."""

import errno
import io
import os
from bisect import bisect_right
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.containers.structure import Structure
from hearaudiomlp.errors import AudioFormatChangedError, needs_extra

_FORMATS = (
    "3g2,3gp,aac,aax,ac3,ac4,adx,aiff,amr,amrnb,amrwb,ape,asf,ast,au,avi,avr,caf,dsf,dss,dts,"
    "dtshd,eac3,epaf,f4v,flac,flv,g722,g723_1,gsm,gxf,iamf,iff,ilbc,ircam,kux,latm,loas,lxf,"
    "matroska,mca,mlp,mmf,mov,mp2,mp3,mp4,mpc,mpc8,mpeg,mpegts,mpegtsraw,mxf,nistsphere,nsv,nut,"
    "nuv,oga,ogg,ogv,oma,opus,osq,paf,pva,pvf,qcp,qoa,rka,rm,rso,sbc,sds,sdx,shn,siff,sln,smjpeg,"
    "sol,sox,spdif,spx,swf,tak,thp,truehd,tta,vividas,voc,vqf,w64,wav,wavarc,webm,wsd,wtv,wv,wve,"
    "xa,xwma"
)
"""Containers that hold sound. No playlists: those could name any file or address."""

_PROMISED = ("mov", "flac", "wav", "aiff", "caf", "tta", "wv", "ape", "tak", "rso")
"""Containers whose headers have the length of the sound; others estimate it."""

_SLACK_S = 0.1
"""Seconds that may lack of that: WMA and AAC count their own delay differently."""

_ZEROS = 1000
"""Places with zeros instead of packets that are passed over in MPEG-TS, each of up to 64 KB."""

_HOLE_S = 0.1
"""Seconds by which time stamps may jump: live recordings have them by the clock."""

_WITH_CHECKS = ("MP3", "MP2", "AAC", "AC-3", "Ogg")
"""Kinds whose structure was looked at from end to end. Their tags between frames, and headers in
chained streams, are no packets of sound, and FFmpeg refuses them."""


def _load_av() -> ModuleType:
    """Import PyAV.

    Raises:
        MissingPackageError: the extra ``[media]`` isn't installed.
    """
    with needs_extra("media", "this needs PyAV"):
        import av
    module: ModuleType = av  # of any type where PyAV isn't installed
    return module


def _floats(frame: Any, channels: int) -> Floats:
    """Return a frame's samples in [-1, 1] [shape=(n, channels)]."""
    if frame.format.name == "s64":  # PyAV has no array of it
        values = np.frombuffer(frame.planes[0], np.int64)[: frame.samples * channels]
    else:
        values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if values.dtype == np.uint8:
        return np.asarray((values - np.float32(128)) / np.float32(128), np.float32)
    if values.dtype.kind == "i":
        scale = np.float32(2.0 ** (1 - 8 * values.dtype.itemsize))
        return np.asarray(values * scale, np.float32)
    return np.asarray(values, np.float32)


class Readable(Protocol):
    """What bytes can be read from, in order."""

    def read(self, count: int, /) -> bytes:
        """Return up to ``count`` bytes; none at the end."""


class _Seekable(io.FileIO):
    """A file in which FFmpeg may seek to anywhere, as it does behind damaged sizes.

    It begins behind the tags in front, and has zeros instead of those between frames.
    """

    def __init__(self, path: str, structure: Structure) -> None:
        super().__init__(path)
        self._start, self._tags = structure.start, structure.tags
        self._ends = [end for _, end in self._tags]
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        place = super().tell()
        data = super().read(size)
        for begin, end in self._tags[bisect_right(self._ends, place) :]:
            if begin >= place + len(data):
                break
            within = slice(max(0, begin - place), min(end - place, len(data)))
            data = data[: within.start] + bytes(within.stop - within.start) + data[within.stop :]
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place in the file, or to its beginning or end for those before or behind it.

        An error would be printed, with its traceback: PyAV drops it.
        """
        size = os.fstat(self.fileno()).st_size
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: super().tell(), io.SEEK_END: size}[whence]
        return super().seek(min(max(self._start, base + offset), size)) - self._start

    def tell(self) -> int:
        """Return the place, from where the file starts behind its tags."""
        return super().tell() - self._start


class FfmpegDecoder:
    """A file of which FFmpeg decodes a sound track: of several, the one it takes for the best.

    Examples:
        >>> decoder = FfmpegDecoder("samples/words.flac", Structure("FLAC"))
        >>> decoder.sample_rate, decoder.read(1000).shape
        (44100, (1000, 2))
        >>> decoder.close()
    """

    def __init__(self, source: str | Readable, structure: Structure) -> None:
        """Open it and decode the beginning: only the first frame has the true sample rate.

        Args:
            source: path of a file, or a pipe to read from.
            structure: what is known of it.

        Raises:
            MissingPackageError: PyAV isn't installed.
            ValueError: FFmpeg can't read it, or it has no sound. The message is the reason.
        """
        self._av = _load_av()
        self._structure = structure
        self._packets = self._bad = 0
        self._end: float | None = None  # of the last packet
        self._furthest = 0.0  # end of any packet
        self._longest = 0.0  # seconds of a frame
        self._tracks = self._hole = ""
        self._broken = ""
        self._rest: list[Floats] = []
        # A file, not its name: FFmpeg takes some names for protocols and would open what they name.
        self._source = source
        self._file: Any = source
        if isinstance(source, str):
            self._file = _Seekable(source, structure)
        try:
            self._start()
        except self._av.FFmpegError as problem:
            self._close_file()
            raise ValueError(self._reason(problem)) from problem
        except BaseException:
            self._close_file()
            raise

    def _close_file(self) -> None:
        if isinstance(self._source, str):
            self._file.close()

    @staticmethod
    def _reason(problem: Any) -> str:
        return str(problem.strerror or problem).rstrip(".")

    def _start(self) -> None:
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
        if not isinstance(self._source, str):  # don't wait for seconds of it
            options |= {"probesize": "65536", "analyzeduration": "500000"}
        # Tags in other encodings are read, too; PyAV does that by itself from version 19 on.
        old = int(self._av.__version__.partition(".")[0]) < 19
        text = {"metadata_errors": "replace"} if old else {}
        self._container = self._av.open(self._file, container_options=options, **text)
        self._stream = self._container.streams.best("audio")
        if self._stream is None:
            raise ValueError("it has no sound track")
        tracks = self._container.streams.audio
        if len(tracks) > 1:
            number = tracks.index(self._stream) + 1
            self._tracks = f"of its {len(tracks)} sound tracks, number {number} was read"
        self._frames = self._decoded_frames()
        self.sample_rate = self.channels = 0
        for frame in self._frames:
            self.sample_rate = frame.sample_rate
            self.channels = len(frame.layout.channels)
            self._rest = [_floats(frame, self.channels)]
            break
        else:
            raise ValueError(self.missing or "its sound track has no samples")

    def _decoded_frames(self) -> Iterator[Any]:
        """Decode packet by packet; those that can't be decoded are counted."""
        packets = self._container.demux(self._stream)
        zeros = 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.FFmpegError as problem:
                if problem.errno == errno.EAGAIN and zeros < _ZEROS:
                    zeros += 1
                    packets = self._container.demux(self._stream)
                    continue
                self._broken = f"FFmpeg can't read any further ({self._reason(problem)})"
                return
            if packet.dts is not None or packet.size:  # not the empty one at the end
                self._packets += 1
                self._bad += packet.is_corrupt and not self._structure.open_end
            try:
                frames = packet.decode()
            except self._av.EOFError:
                return
            except self._av.FFmpegError:
                self._bad += not packet.is_corrupt
                continue
            lengths = (frame.samples / max(1, frame.sample_rate) for frame in frames)
            self._longest = max(self._longest, *lengths, 0.0)
            if packet.pts is not None:
                self._take_time(packet)
            yield from (frame for frame in frames if frame.samples)

    def _take_time(self, packet: Any) -> None:
        start = float(packet.pts * packet.time_base)
        if self._end is not None and start > self._end + _HOLE_S and not self._hole:
            self._hole = (
                f"its time stamps jump from {self._end:.2f} to {start:.2f} s: "
                "sound may be missing between them"
            )
        # FFmpeg 7 doesn't know how long the packets of a FLAC in CAF are.
        length = float((packet.duration or 0) * packet.time_base)
        self._end = start + (length or self._longest)
        self._furthest = max(self._furthest, self._end)

    @property
    def missing(self) -> str:
        """What couldn't be decoded, or was promised and didn't come, in words."""
        promised, end = 0.0, self._furthest
        duration = self._stream.duration
        if self._container.format.name.startswith(_PROMISED) and duration:
            promised = float(duration * self._stream.time_base)
        lacks = end + max(_SLACK_S, self._longest) < promised
        if self._broken and (lacks or not promised):  # otherwise, a tag is behind it
            return self._broken
        if self._bad and not self._structure.kind.startswith(_WITH_CHECKS):
            return f"{self._bad:,} of its {self._packets:,} packets are damaged"
        if lacks and end:
            return f"its header promises {promised:.2f} s and there are {end:.2f} s"
        return ""

    @property
    def note(self) -> str:
        """What the reader should know when all was read, in words."""
        unknown = ""
        name = self._container.format.name
        if not self._structure.kind and not name.startswith(_PROMISED):
            unknown = f"its format ({name}) doesn't tell where it ends: a part may be missing"
        return self._hole or self._tracks or unknown

    def read(self, count: int) -> Floats:
        """Decode up to ``count`` samples per channel [shape=(n, channels)]; fewer at the end.

        Raises:
            AudioFormatChangedError: the sample rate or the number of channels changes.
        """
        pieces, self._rest = self._rest, []
        have = sum(map(len, pieces))
        while have < count:
            frame = next(self._frames, None)
            if frame is None:
                break
            channels = len(frame.layout.channels)
            if (frame.sample_rate, channels) != (self.sample_rate, self.channels):
                raise AudioFormatChangedError(
                    f"{self.sample_rate} Hz, {self.channels} channels, then "
                    f"{frame.sample_rate} Hz, {channels} channels"
                )
            pieces.append(_floats(frame, channels))
            have += len(pieces[-1])
        samples: Floats = np.concatenate([np.zeros((0, self.channels), np.float32), *pieces])
        self._rest = [samples[count:]] if have > count else []
        return samples[:count]

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._close_file()
