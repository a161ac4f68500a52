"""What is shown while a table is made."""

import sys

import pytest

from hearaudiomlp.cli.options import print_error
from hearaudiomlp.table import progress
from hearaudiomlp.table.job import Failure, Row


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_bar_in_a_terminal_and_lines_elsewhere(is_terminal, monkeypatch, capsys) -> None:
    pytest.importorskip("rich")
    row, failure = Row(0, "a", 2.0, 16000, 1, 200), Failure(1, "b", "AudioFileError", "b is bad")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    shown = progress.show_progress(100, 10, print_error)
    assert isinstance(shown, progress.Bar) == is_terminal
    shown.file(row)
    shown.file(failure)
    shown.close()
    printed = capsys.readouterr().err
    assert "b is bad" in printed
    assert "real time" in printed
    assert ("12 of 100 files, 1 failed" in printed) == (not is_terminal)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert not isinstance(progress.show_progress(100, 10, print_error), progress.Bar)


def test_names_above_a_bar_are_cut_and_stay_what_they_are(monkeypatch, capsys) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = progress.show_progress(100, 10, print_error)
    for name in "[bold]a:skull:\x1b[31m", "a" * 1_000_000:
        shown.file(Failure(1, name, "AudioFileError", f"{name} is bad"))
    shown.close()
    printed = capsys.readouterr().err.replace("\n", "")
    assert r"[bold]a:skull:\x1b[31m is bad" in printed
    assert "(1,000,007 characters)" in printed
    assert len(printed) < 100_000


def test_rows_of_a_file_count_once(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    lines = progress.Lines(files=3, done=0, say=print_error)
    for file in (0, 0, 0, 2, 2):  # what has failed has no row
        lines.file(Row(file, "a", 1.0, 16000, 1, 0, start=1.0, end=2.0))
    assert lines.done == 2
    assert lines.seconds == 5.0
    assert "2 of 3 files" in capsys.readouterr().err
