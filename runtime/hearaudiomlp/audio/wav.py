"""Ordinary WAV files, read by the standard library: that takes a third of libsndfile's time.

Archives of short sounds are full of them, and libsndfile takes longer to open one than to read it.
Only files whose header is beyond doubt are taken; all others are libsndfile's business.
"""

import os
import stat
import struct
import wave
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

_HEAD = struct.Struct("<4sI4s4sIHHIIHH")
"""A RIFF header and the format chunk behind it (Multimedia Programming Interface 1.0, 1991)."""

_PCM = 1
_MOST_CHANNELS = 1024
"""libsndfile refuses files with more."""


class PlainWav:
    """A WAV file of 16-bit PCM. What it has in common with ``soundfile.SoundFile`` is named so."""

    subtype = "PCM_16"

    def __init__(self, file: BinaryIO) -> None:
        """Read the header and own the file from now on; :func:`plain_wav` is the way to here."""
        self._file = file
        self._wave = wave.open(file)  # noqa: SIM115 - it closes no file that it didn't open
        self.samplerate = self._wave.getframerate()
        self.channels = self._wave.getnchannels()
        self.frames = self._wave.getnframes()

    def read(self, frames: int) -> npt.NDArray[np.int16]:
        """Read the next ``frames`` samples of each channel, or those that are left [2-D]."""
        data = self._wave.readframes(frames)
        whole = len(data) - len(data) % (2 * self.channels)
        return np.frombuffer(data[:whole], np.int16).reshape(-1, self.channels)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_plain(head: bytes, length: int) -> bool:
    """Whether so begins an ordinary WAV file of 16-bit PCM that is as long as it says."""
    if len(head) < _HEAD.size:
        return False
    riff, size, kind, chunk, _, tag, channels, _, _, frame, bits = _HEAD.unpack(head)
    return (
        (riff, kind, chunk) == (b"RIFF", b"WAVE", b"fmt ")
        and (tag, bits, frame) == (_PCM, 16, 2 * channels)
        and 0 < channels <= _MOST_CHANNELS
        and bool(size + 8 == length)
    )


def plain_wav(file: BinaryIO) -> PlainWav | None:
    """Return the WAV file in a file, or None if it has to be left to others.

    It is whole: :func:`hearaudiomlp.audio.truncation.find_truncation` would find nothing missing.

    Args:
        file: at its beginning. It is left open; where its position is after None isn't defined.

    Raises:
        OSError: it can't be read.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or not _is_plain(file.read(_HEAD.size), status.st_size):
        return None
    file.seek(0)
    try:
        plain = PlainWav(file)
    except (wave.Error, EOFError, RuntimeError):  # RuntimeError: a chunk that ends too late
        return None
    # The samples come next, and how many bytes they have was read last. Not all may be there.
    start = file.tell()
    file.seek(start - 4)
    size = int.from_bytes(file.read(4), "little")
    return plain if start + size <= status.st_size else None
