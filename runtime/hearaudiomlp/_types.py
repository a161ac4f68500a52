"""Types that many modules share."""

import os
import threading

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""An array of float32."""


class Turns:
    """A lock; with a copy or a pickle of what it is in goes a new one.

    Examples:
        >>> turns = Turns()
        >>> with turns:
        ...     pass  # no other thread is here
    """

    def __init__(self) -> None:
        """Start with nobody's turn."""
        self._lock, self._process = threading.RLock(), os.getpid()

    def __enter__(self) -> None:
        """Wait for this thread's turn."""
        if self._process != os.getpid():  # after a fork: whose turn it was isn't here
            self._lock, self._process = threading.RLock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._lock.release()

    def __reduce__(self) -> "tuple[type[Turns], tuple[()]]":
        """Return how to make another."""
        return Turns, ()
