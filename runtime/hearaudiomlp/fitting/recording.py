"""A recording of any length, of which parts are read one after the other."""

from collections.abc import Iterator

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.files import AudioStream
from hearaudiomlp.errors import warn_once
from hearaudiomlp.spec import SAMPLE_RATE

LONGEST = 3600 * SAMPLE_RATE
"""Samples of a part: an hour. Of silence, many days may be a small file."""


class LongRecording:
    """A recording that was decoded once, to see that it is whole, and of which an hour is kept.

    Behind that hour, parts in the order of their starts take one more pass.

    Examples:
        >>> recording = LongRecording("recordings/a/one.wav")
        >>> recording.length, recording.read(4_000, None).shape
        (8000, (4000,))
    """

    def __init__(self, path: str) -> None:
        """Decode it.

        Raises:
            AudioFileError: it can't be decoded, or isn't whole.
            AudioFileNotFoundError: there is no such file.
        """
        self._path = path
        self._rest: Iterator[Floats] | None = None  # what follows the pieces, in the second pass
        self.length = 0
        """Samples of it."""
        pieces = []
        for piece in AudioStream(path).chunks():
            if self.length < LONGEST:
                pieces.append(piece)
            self.length += len(piece)
        self._pieces = [np.concatenate(pieces)]
        self._first, self._last = 0, len(self._pieces[0])

    def read(self, start: int, stop: int | None) -> Floats:
        """Return the samples from one to before another: fewer at the end, an hour at most."""
        stop = self.length if stop is None else min(stop, self.length)
        if stop - start > LONGEST:
            stop = start + LONGEST
            message = f"{self._path}: the first hour of what is longer is fitted to"
            warn_once(f"{self._path} hour", message, UserWarning)
        if start < stop and not (self._first <= start and stop <= self._last):
            self._decode(start, stop)
        at, parts = self._first, []
        for piece in self._pieces:
            parts.append(piece[max(0, start - at) : max(0, stop - at)])
            at += len(piece)
        parts = [part for part in parts if len(part)] or [np.zeros(0, np.float32)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _decode(self, start: int, stop: int) -> None:
        """Keep what a part is of, and what follows up to the end of the piece."""
        rest = self._rest
        if rest is None or start < self._first:
            rest = self._rest = AudioStream(self._path).chunks()
            self._pieces, self._first, self._last = [], 0, 0
        while self._last < stop and (piece := next(rest, None)) is not None:
            self._pieces.append(piece)
            self._last += len(piece)
            while self._pieces and self._first + len(self._pieces[0]) <= start:
                self._first += len(self._pieces.pop(0))
