"""How a long run shows its progress: a bar in a terminal (extra ``[progress]``), else lines."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hearaudiomlp._text import LONGEST, shorten
from hearaudiomlp.table.job import Failure, Row

EVERY_S = 10.0
"""Seconds between two lines."""

_SHOWN = 20
"""Failures that are printed; all are in the report."""


class Lines:
    """A line on standard error every ten seconds, and one for each of the first failures.

    Examples:
        >>> lines = Lines(files=2, done=0, say=print)
        >>> lines.file(Row(0, "one.wav", 0.5, 16_000, 1, 50))
        >>> lines.done, lines.seconds
        (1, 0.5)
    """

    def __init__(self, files: int, done: int, say: Callable[[str], None]) -> None:
        """Start to count.

        Args:
            files: how many there are.
            done: how many of them were done before.
            say: prints a line; the run continues where that fails.
        """
        self.files, self.before, self._put = files, done, say
        self.done = self.failed = 0
        self.seconds = 0.0
        self._number = -1
        self._start = self._last = time.monotonic()

    def file(self, result: Row | Failure) -> None:
        """Take a file that is done; or a row of it, of which segments and channels give many."""
        new = result.file != self._number
        self._number = result.file
        self.done += new
        if isinstance(result, Failure):
            self.failed += 1
            if self.failed <= _SHOWN:
                self._put(str(result.problem))
            if self.failed == _SHOWN:
                self._put("further failures are listed in the report")
        else:
            self.seconds += result.duration
        self._show(new)

    def _show(self, new: bool) -> None:  # noqa: ARG002 - for the bar
        if time.monotonic() - self._last > EVERY_S:
            self._last = time.monotonic()
            left = (self.files - self.before - self.done) * self.elapsed / self.done
            self._put(
                f"{self.before + self.done:,} of {self.files:,} files, "
                f"{self.failed:,} failed, {self.done / self.elapsed:,.0f} files/s, "
                f"{self.speed:,.0f} x real time, {timedelta(seconds=round(left))} left"
            )

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return max(1e-9, time.monotonic() - self._start)

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.seconds / self.elapsed

    def close(self) -> None:
        """Stop showing anything."""


class Bar(Lines):
    """A bar at the foot of the terminal; failures are printed above it.

    Examples:
        >>> bar = Bar(files=100, done=10, say=print)
        >>> bar.before
        10
        >>> bar.close()
    """

    def __init__(self, files: int, done: int, say: Callable[[str], None]) -> None:
        """Show the bar.

        Raises:
            ImportError: rich isn't installed.
        """
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        super().__init__(files, done, say)
        self._put = self._put_above
        self._bar: Any = Progress(
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[speed]:,.0f} x real time"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            expand=True,
        )
        self._task = self._bar.add_task("", total=files, completed=done, failed="", speed=0.0)
        self._bar.start()

    def _put_above(self, line: str) -> None:
        line = f"hearaudiomlp: {shorten(line, LONGEST)}"
        self._bar.console.print(line, markup=False, highlight=False, emoji=False)

    def _show(self, new: bool) -> None:
        failed = f"{self.failed:,} failed" if self.failed else ""
        self._bar.update(self._task, advance=new, failed=failed, speed=self.speed)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


def show_progress(files: int, done: int, say: Callable[[str], None]) -> Lines:
    """Return a bar where there are a terminal and rich, and lines elsewhere.

    Examples:
        >>> progress = show_progress(files=100, done=0, say=print)
        >>> progress.close()
    """
    if sys.stderr.isatty():
        try:
            return Bar(files, done, say)
        except ImportError:
            pass
    return Lines(files, done, say)
