"""A CSV of labelled segments that ``hearaudiomlp fit`` takes, and the questions that fill it."""

import contextlib
import csv
import io
import os
import sys
from collections.abc import Iterable, Sequence
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hearaudiomlp._text import spreadsheet_cell
from hearaudiomlp.cli.options import print_error, print_line
from hearaudiomlp.errors import HearAudioMLPError, OutputExistsError
from hearaudiomlp.storage.ownership import refuse_inputs, refuse_links_and_devices

if TYPE_CHECKING:
    from hearaudiomlp.similar import Similar

COLUMNS = ("path", "start", "end", "label")
"""Of the CSV: text, seconds, seconds, text. A whole recording has no start and no end."""

NO = "_other_"
"""Label of what isn't what was looked for, as ``hearaudiomlp fit`` calls it."""

_PROMPT = "  y(es), n(o), s(kip), p(lay again), q(uit)? "
Facts = tuple[str, float | None, float | None]
"""Path, start and end of a line."""

_LARGEST = 1 << 26  # bytes of a CSV
_MOST_ROWS = 1_000_000  # as fit takes
_LONGEST = 1_000  # characters of an answer


def path_from(path: str, folder: Path) -> str:
    """Return a recording's path from the folder of the file that names it; URLs as they are.

    >>> path_from("archive/a.wav", Path("labels"))
    '../archive/a.wav'
    """
    from hearaudiomlp.storage.remote import is_url

    if is_url(path) or os.path.isabs(path):  # noqa: PTH117 - as the table has it
        return path
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive of Windows
        relative = os.path.abspath(path)  # noqa: PTH100
    return Path(relative).as_posix()


class LabelFile:
    """Labels are appended line by line, each at once: what was answered is kept.

    Examples:
        >>> from hearaudiomlp.similar import Similar
        >>> labels = LabelFile(Path("wrens.csv"))
        >>> call = Similar(7, "archive/a.wav", 3.0, 6.0, None, 0.98)
        >>> labels.add(call, "wren")
        >>> call in labels
        True
        >>> print(Path("wrens.csv").read_text(), end="")
        path,start,end,label
        archive/a.wav,3.0,6.0,wren
    """

    def __init__(self, path: Path, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
        """Look at the file, if it is there: it has to have these columns.

        Args:
            path: of the CSV.
            inputs: what is being read, which isn't written to.

        Raises:
            OutputExistsError: there is something else of that name.
            FileNotFoundError: there is no folder to write to.
        """
        self.path, self._inputs = path, tuple(inputs)
        if not path.parent.is_dir():
            raise FileNotFoundError(2, os.strerror(2), str(path.parent))
        self._known: set[Facts] = set()
        self._look()

    def _look(self) -> None:
        """Check that the file can be added to, and read what it has."""
        refuse_links_and_devices(self.path)
        refuse_inputs(self.path, self._inputs)
        if self.path.exists():
            self._known.update(self._read())

    def _read(self) -> list[Facts]:
        not_ours = OutputExistsError(
            f"{self.path} exists, and isn't a CSV with the columns {', '.join(COLUMNS)}: labels "
            "can't be added to it"
        )
        if not self.path.is_file() or self.path.stat().st_size > _LARGEST:
            raise not_ours
        try:
            text = io.StringIO(self.path.read_bytes().decode("utf-8-sig"), newline="")
            lines = csv.reader(text, strict=True)  # a line is far larger in memory
            columns = next(lines, COLUMNS)
            rows = list(islice(filter(None, lines), _MOST_ROWS + 1))
            facts = [(path, _time(start), _time(end)) for path, start, end, label in rows if label]
        except (ValueError, csv.Error):
            raise not_ours from None
        if tuple(columns) != COLUMNS or len(rows) > _MOST_ROWS:
            raise not_ours
        return facts

    def _facts(self, found: "Similar") -> Facts:
        path = str(spreadsheet_cell(path_from(found.path, self.path.parent)))
        return path, found.start, found.end

    def __contains__(self, found: "Similar") -> bool:
        return self._facts(found) in self._known

    def add(self, found: "Similar", label: str) -> None:
        """Append a line.

        Raises:
            OutputExistsError: meanwhile, there is something else of that name.
            OSError: the file can't be written to.
        """
        self._look()
        text = io.StringIO(newline="")
        lines = csv.writer(text)  # with CRLF, or it wouldn't quote a CR in a path
        with open(self.path, "a+b", buffering=0, opener=_without_links) as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                lines.writerow(COLUMNS)
            elif file.seek(size - 1) is not None and file.read(1) != b"\n":
                text.write("\n")  # an editor left it out
            lines.writerow([*self._facts(found), label])
            _append(file, text.getvalue().encode(errors="backslashreplace"))
        self._known.add(self._facts(found))


def _append(file: FileIO, line: bytes) -> None:
    """Write a line whole or not at all: a part of one would be taken for another label."""
    size = file.seek(0, os.SEEK_END)
    rest = memoryview(line)
    try:
        while rest:  # a nearly full disk takes a part, and refuses the rest
            rest = rest[file.write(rest) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(file.fileno(), size)
        raise


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _time(text: str) -> float | None:
    return float(text) if text else None


def ask(found: "Sequence[Similar]", labels: LabelFile, name: str) -> int:
    """Play the results one by one, where that is possible, and ask whether each is right.

    Args:
        found: what to ask about; what has a label already is passed over.
        labels: takes the answers.
        name: label of what is right.

    Returns:
        The number of labels that were added.

    Examples:
        >>> ask([], LabelFile(Path("wrens.csv")), "wren")  # no results, no questions
        0
    """
    player, added = _Player(), 0
    new = [one for one in found if one not in labels]
    if len(new) < len(found):
        print_error(f"{len(found) - len(new)} have a label in {labels.path} already")
    for number, one in enumerate(new, 1):
        print_line(f"{number} of {len(new)}: {one.similarity:.3f}  {_describe(one)}")
        answer = "p"
        while answer == "p":
            player.play(one)
            answer = _answer()
        if answer == "q":
            break
        if answer in "yn":
            labels.add(one, name if answer == "y" else NO)
            added += 1
    return added


def _describe(found: "Similar") -> str:
    """Return the path, and where in the recording it is."""
    what = f"{found.path}, channel {found.channel}" if found.channel else found.path
    if found.start is None or found.end is None:
        return what
    return f"{what}, {found.start:.2f} to {found.end:.2f} s"


def _answer() -> str:
    while True:
        print(_PROMPT, end="", flush=True)
        line = sys.stdin.readline(_LONGEST) if sys.stdin is not None else ""
        answer = line.strip().lower()[:1]
        if not line or len(line) == _LONGEST:  # the end of the input, or nothing that was typed
            print()
            return "q"
        if answer and answer in "ynspq":
            return answer


class _Player:
    """Plays segments with sounddevice (extra ``[live]``); says once why it can't."""

    def __init__(self) -> None:
        self._works = True

    def play(self, found: "Similar") -> None:
        if not self._works:
            return
        from hearaudiomlp.similar import read_part
        from hearaudiomlp.spec import SAMPLE_RATE

        try:
            import sounddevice
        except (ImportError, OSError) as problem:
            self._works = False
            print_error(f"nothing is played ({problem}): pip install 'hearaudiomlp[live]'")
            return
        try:
            samples = read_part(found.path, found.start, found.end, channel=found.channel)
            sounddevice.play(samples, SAMPLE_RATE)
        except (HearAudioMLPError, OSError) as problem:
            print_error(problem)
        except sounddevice.PortAudioError as problem:
            self._works = False
            print_error(f"nothing is played: {problem}")
