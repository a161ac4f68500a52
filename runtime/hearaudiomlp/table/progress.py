"""How a long run shows how far it is: a bar in a terminal (extra ``[progress]``), else lines."""

import sys
import time
from typing import Any, Protocol

from hearaudiomlp._text import printable
from hearaudiomlp.table.job import Failure, Row

_EVERY = 10.0
"""Seconds between two lines."""

_SHOWN = 20
"""Failures that are told at once; all are in the report."""


class Progress(Protocol):
    """Is told what is done, and shows it."""

    def file(self, result: Row | Failure) -> None:
        """Take a file that is done."""

    def shard(self, size: int) -> None:
        """Take the bytes of a unit that is done."""

    def close(self) -> None:
        """Say no more."""


class Counts:
    """What is done of a run, and how fast."""

    def __init__(self, files: int, done: int) -> None:
        """Begin to count; ``done`` files were done before."""
        self.files, self.before = files, done
        self.done = self.failed = 0
        self.seconds = 0.0
        self._start = time.monotonic()

    def add(self, result: Row | Failure) -> None:
        """Count a file."""
        if isinstance(result, Failure):
            self.failed += 1
        else:
            self.seconds += result.duration
        self.done += 1

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return max(1e-9, time.monotonic() - self._start)

    def rates(self) -> str:
        """Tell files and audio per second."""
        return f"{self.done / self.elapsed:,.0f} files/s, {self.seconds / self.elapsed:,.0f} x"

    def left(self) -> float | None:
        """Return the seconds that are left at the present rate, or None at the beginning."""
        if not self.done:
            return None
        return (self.files - self.before - self.done) * self.elapsed / self.done


def clock(seconds: float | None) -> str:
    """Write a duration as hours, minutes and seconds."""
    if seconds is None:
        return "-:--"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class Lines:
    """A line on standard error every ten seconds, and one for each of the first failures."""

    def __init__(self, counts: Counts) -> None:
        """Begin."""
        self.counts = counts
        self._last = time.monotonic()

    def _put(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def file(self, result: Row | Failure) -> None:
        """Take a file that is done."""
        counts = self.counts
        counts.add(result)
        if isinstance(result, Failure):
            if counts.failed <= _SHOWN:
                self._put(f"hearaudiomlp: {printable(result.problem)}")
            if counts.failed == _SHOWN:
                self._put("hearaudiomlp: further failures are listed in the report")
        if time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            self._put(
                f"hearaudiomlp: {counts.before + counts.done:,} of {counts.files:,} files, "
                f"{counts.failed:,} failed, {counts.rates()} real time, {clock(counts.left())} left"
            )

    def shard(self, size: int) -> None:
        """Lines tell of files."""

    def close(self) -> None:
        """Nothing is left to say."""


class Bar(Lines):
    """A bar at the foot of the terminal; failures go by above it."""

    def __init__(self, counts: Counts) -> None:
        """Show the bar.

        Raises:
            ImportError: rich isn't installed.
        """
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().__init__(counts)
        self._last = float("inf")  # no lines
        self._bar: Any = RichProgress(
            TextColumn("{task.fields[files]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[rates]}"),
            console=Console(stderr=True),
            expand=True,
        )
        self._task = self._bar.add_task("", total=counts.files, **self._fields())
        self._shown = 0.0
        self._bar.start()

    def _fields(self) -> dict[str, Any]:
        counts = self.counts
        failed = f", [red]{counts.failed:,} failed[/]" if counts.failed else ""
        done = counts.before + counts.done
        return {
            "completed": done,
            "files": f"{done:,}/{counts.files:,}{failed}",
            "rates": f"{counts.rates()} real time, {clock(counts.left())} left",
        }

    def _put(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False)

    def file(self, result: Row | Failure) -> None:
        """Take a file that is done."""
        super().file(result)
        now = time.monotonic()
        if now - self._shown > 0.1:
            self._shown = now
            self._bar.update(self._task, **self._fields())

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.update(self._task, **self._fields())
        self._bar.stop()


def show_progress(files: int, done: int) -> Lines:
    """Return a bar where there are a terminal and rich, and lines elsewhere."""
    counts = Counts(files, done)
    if sys.stderr.isatty():
        try:
            return Bar(counts)
        except ImportError:
            pass
    return Lines(counts)
