"""Signals that end a command: Ctrl-C, SIGTERM and SIGHUP.

An exception raised in the middle of an import, a destructor or native code may be lost or printed,
or abort the process, and a second Ctrl-C interrupts the clean-up after the first. So the handler
itself cleans up and exits: files are whole or not there anyway, and the system ends threads that
compute. Commands that have to unwind (a microphone to be closed) ask for an exception.

This module imports nothing but the standard library's smallest parts: signals are handled while
everything else is imported.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

_received = 0
_unwinding = False


def install() -> None:
    """Handle the signals, but for those that the parent process has set to be ignored (nohup)."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # no SIGHUP on Windows
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def ignore() -> None:
    """Ignore the signals from now on: the command is done, and its exit code is known."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def unwinding() -> Iterator[None]:
    """Have the first signal raise KeyboardInterrupt in the body."""
    global _unwinding  # noqa: PLW0603
    _unwinding = True
    try:
        yield
    finally:
        _unwinding = False


def status(code: int) -> int:
    """Return the exit code of the command: that of the signal, if there was one.

    Examples:
        >>> status(1)  # no signal has come
        1
    """
    return 128 + _received if _received else code


def _handle(number: int, _: FrameType | None) -> None:
    global _received
    again, _received = bool(_received), number
    if _unwinding and not again:
        raise KeyboardInterrupt
    # It has been imported if there can be anything to clean up.
    stopping = sys.modules.get("hearaudiomlp.storage.stopping")
    with suppress(BaseException):
        if again:
            _say("interrupted again")
            if stopping is not None:
                stopping.remove_temporaries()
        else:
            _say("interrupted")
            if stopping is not None:
                stopping.stop()
    os._exit(128 + number)


def _say(message: str) -> None:
    """Write to standard error without Python's buffers, which may be in use just now."""
    with suppress(OSError):
        shown = b"\x1b[?25h\n" if os.isatty(2) else b""  # the cursor, after ^C
        os.write(2, shown + f"hearaudiomlp: {message}\n".encode(errors="backslashreplace"))
