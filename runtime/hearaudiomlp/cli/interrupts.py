"""Signals that end a command: Ctrl-C, SIGTERM and SIGHUP.

An exception raised in the middle of an import, a destructor or native code may be lost or printed,
or abort the process, and a second Ctrl-C interrupts the clean-up after the first. So the handler
itself cleans up and exits: files are whole or not there anyway, and the system ends threads that
compute. Commands that have to unwind (a microphone to be closed) ask for an exception.

This module imports nothing that Python hasn't imported when it starts: signals are handled while
everything else is imported.
"""

import os
import sys

TYPE_CHECKING = False  # as in hearaudiomlp/__init__.py
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
    from typing import Self
else:
    import _signal  # the part of signal that is built in: the rest imports enum, for its names

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

_received = 0
_unwinding = False


def install() -> None:
    """Handle the signals, but for those that the parent process has set to be ignored (nohup)."""
    for name in _SIGNALS:
        number = getattr(_signal, name, None)  # no SIGHUP on Windows
        if number is not None and _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _handle)


def ignore() -> None:
    """Ignore the signals from now on: the command is done, and its exit code is known."""
    for name in _SIGNALS:
        number = getattr(_signal, name, None)
        if number is not None:
            _signal.signal(number, _signal.SIG_IGN)


class unwinding:  # noqa: N801 - a context manager, as in contextlib
    """Make the first signal raise KeyboardInterrupt in the body."""

    def __enter__(self) -> "Self":
        """Begin."""
        global _unwinding  # noqa: PLW0603
        _unwinding = True
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        global _unwinding  # noqa: PLW0603
        _unwinding = False


def status(code: int) -> int:
    """Return the exit code of the command: that of the signal, if there was one.

    Examples:
        >>> status(1)  # no signal has come
        1
    """
    return 128 + _received if _received else code


def _handle(number: int, _: "FrameType | None") -> None:
    global _received
    again, _received = bool(_received), number
    if _unwinding and not again:
        raise KeyboardInterrupt
    # It has been imported if there can be anything to clean up.
    stopping = sys.modules.get("hearaudiomlp.storage.stopping")
    try:
        _wait_for_readers(False)
        if again:
            _say("interrupted again")
            if stopping is not None:
                stopping.remove_temporaries()
        else:
            _say("interrupted")
            if stopping is not None:
                stopping.stop()
    finally:
        _wait_for_readers(True)
        os._exit(128 + number)


def _wait_for_readers(wait: bool) -> None:
    """Say whether what is printed may wait: for a full pipe, or a terminal that is stopped.

    Others may have the same pipe or terminal, so it is set back before the process exits.
    """
    try:  # noqa: SIM105 - contextlib isn't imported yet
        os.set_blocking(2, wait)
    except (OSError, AttributeError):  # it is closed; Windows, before Python 3.12
        pass


def _say(message: str) -> None:
    """Write to standard error without Python's buffers, which may be in use just now."""
    try:
        shown = b"\x1b[?25h\n" if os.isatty(2) else b""  # the cursor, after ^C
        os.write(2, shown + f"hearaudiomlp: {message}\n".encode(errors="backslashreplace"))
    except OSError:
        pass
