"""Names, labels and metadata of others on the screen: nothing in them reaches the terminal raw."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp._text import printable, shorten
from hearaudiomlp.cli import main
from hearaudiomlp.cli.options import print_error, print_line
from paths import ROOT

EVIL = "\x1b]0;pwned\x07\x1b[2J\nhearaudiomlp: fake\r\x9b31m\u202egpj\u2028"


@given(st.text())
def test_printable_text_has_no_control_characters(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in shown)
    assert not any(one in shown for one in "\u202a\u202e\u2066\u2069\ufeff\u00ad")
    shown.encode()


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_words_of_all_scripts_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@given(st.text(), st.integers(1, 50))
def test_what_is_shortened_is_short(text: str, most: int) -> None:
    assert len(shorten(text, most)) <= 10 * most + 30  # an escaped character has up to ten


def test_joined_letters_are_kept() -> None:
    assert printable("क्\u200dष 👩\u200d🔬") == "क्\u200dष 👩\u200d🔬"


def test_lines_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(f"0.0\t1.0\t{EVIL}")
    print_error(EVIL)
    out, err = capsys.readouterr()
    assert out.count("\n") == err.count("\n") == 1
    assert out.startswith("0.0\t1.0\t\\x1b]0;pwned\\x07")
    assert not {"\x1b", "\x9b", "\r", "\u202e", "\u2028"} & {*out, *err}


def test_a_list_of_one_long_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.txt").write_text("x" * 1_000_000)
    assert main(["embed", str(tmp_path / "list.txt"), "-o", str(tmp_path / "t.npz")]) == 1
    assert "1,000,0" in (err := capsys.readouterr().err)
    assert len(err) < 30_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", f"{EVIL}.pth"],
        ["keywords", f"{EVIL}.wav"],
        ["embed", f"{EVIL}.wav", "-o", "x.npz"],
        ["embed", "x.wav", "-o", f"{EVIL}.npz"],
        ["embed", "x.wav", "-o", f"{EVIL}.xyz"],
        ["map", f"{EVIL}.npz", "-o", "x.html"],
        ["map", "x.npz", "-o", EVIL],
        ["info", "--device", EVIL],
        ["info", "--threads", EVIL],
        [EVIL],
    ],
)
def test_names_in_errors(arguments, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as end:  # usage
        status = end.code
    out, err = capsys.readouterr()
    assert status in (1, 2)
    assert not {"\x1b", "\x9b", "\r", "\u202e", "\u2028"} & {*out, *err}
    assert "\nhearaudiomlp: fake" not in out + err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "--version", "embed --help", "info"])
def test_what_nobody_can_read_is_a_failure(arguments: str, monkeypatch, capsys) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(arguments.split()) == 1
    assert "hearaudiomlp: [Errno 28]" in capsys.readouterr().err


CLOSED = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable]


def test_errors_are_no_output_where_standard_error_is_closed(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.touch()
    command = [*CLOSED, "-m", "hearaudiomlp", "keywords", "--json", str(bad)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert list(json.loads(done.stdout)) == ["path", "error"]


def test_a_file_is_not_opened_as_standard_error(tmp_path: Path) -> None:
    code = """
import os
from hearaudiomlp.cli.options import prepare_streams
prepare_streams()
with open("results", "w"):
    os.write(2, b"what a library prints")
"""
    subprocess.run([*CLOSED, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "results").read_bytes() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_long_run_continues_where_its_messages_cannot_be_printed(
    tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in range(21):
        (recordings / f"bad {file}.wav").touch()
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        assert main(["embed", str(recordings), "-o", str(tmp_path / "t.npz")]) == 1
    assert (tmp_path / "t.npz").exists()


def test_warnings_are_lines_to_be_read_whatever_a_variable_says() -> None:
    code = """if True:
        import warnings
        from hearaudiomlp.cli import command
        command.main = lambda: warnings.warn("a\\x1b[31m") or 0
        command.process()
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "hearaudiomlp: a\\x1b[31m\n")


def test_metadata_of_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load(ROOT / "onnx_models" / "audiomae.onnx")
    for entry in model.metadata_props:
        if entry.key in ("source", "licence", "hearaudiomlp_version", "checkpoint_sha256"):
            entry.value = EVIL
    onnx.save(model, tmp_path / "x.onnx")
    assert main(["info", str(tmp_path / "x.onnx")]) == 0
    out = capsys.readouterr().out
    assert "\\x1b]0;pwned\\x07" in out
    assert not {"\x1b", "\x9b", "\r", "\u202e", "\u2028"} & {*out}
    assert "\nhearaudiomlp: fake" not in out


def test_json_is_ascii(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"{EVIL.replace('/', '')}.wav"
    path.write_bytes(b"x")
    main(["keywords", "--json", str(path)])
    [line] = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert json.loads(line)["path"] == str(path)
