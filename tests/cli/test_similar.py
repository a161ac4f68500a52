"""The command ``similar``: its outputs, labels and refusals."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hearaudiomlp import Model, find_similar
from hearaudiomlp._text import is_formula
from hearaudiomlp.cli import main
from hearaudiomlp.cli.labels import LabelFile, path_from
from hearaudiomlp.errors import ExamplesError, OutputExistsError
from hearaudiomlp.fitting.examples import read_label
from hearaudiomlp.similar import Similar
from paths import ROOT

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table of recordings in segments, in the working folder."""
    monkeypatch.chdir(tmp_path)
    command = ["embed", "in", "-o", "t.parquet", "--segment", "0.5"]
    assert main(command) == 0
    return "t.parquet"


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.parametrize("model", [[], ["--model", str(ROOT / "checkpoints" / "kwmlp.pth")]])
def test_the_query_is_computed_where_the_options_say(
    model: list[str],
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["similar", "in/b.wav", table, *model]
    assert main([*command, "--device", "tpu"]) == 1
    assert "tpu" in capsys.readouterr().err
    threads = []
    opened = Model.__init__

    def note(self: Model, *arguments: object, **options: Any) -> None:
        threads.append(options["threads"])
        opened(self, *arguments, **options)

    monkeypatch.setattr(Model, "__init__", note)
    assert main([*command, "--device", "cpu", "--threads", "3"]) == 0
    assert threads == [3]


def test_table_json_and_csv(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["similar", "2", table, "-k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    found = find_similar(2, table, k=3)
    for line, one in zip(lines[2:], found, strict=True):
        assert line.split()[:4] == [
            f"{one.similarity:.4f}", str(one.row), f"{one.start:.2f}", f"{one.end:.2f}",
        ]  # fmt: skip
        assert line.endswith(one.path)
    assert main(["similar", "2", table, "-k", "3", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [Similar(**one) for one in facts["results"]] == found
    assert (facts["model"], facts["rows"]) == ("kwmlp", 15)
    assert main(["similar", "2", table, "-k", "3", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["path"], float(row["similarity"])) for row in rows] == [
        (one.path, one.similarity) for one in found
    ]


def test_errors_write_nothing(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.wav").write_text("no sound")
    Path("theirs.html").write_text("a page of somebody's")
    before = sorted(Path().iterdir())
    for code, arguments in (
        (2, ["1", table, "-k", "0"]),
        (2, ["1", table, "--start", "2", "--end", "1"]),
        (1, ["99", table]),
        (1, ["none.wav", table]),
        (1, ["text.wav", table]),
        (1, ["1", "none.npz"]),
        (1, ["in/b.wav", table, "--model", "checkpoints/none.pth"]),
    ):
        assert main(["similar", *arguments, "-o", "p.html", "--label", "l.csv"]) == code
        assert capsys.readouterr().err.startswith("hearaudiomlp: ")
    assert main(["similar", "1", table, "-o", "theirs.html"]) == 2
    assert sorted(Path().iterdir()) == before
    assert Path("theirs.html").read_text() == "a page of somebody's"
    with pytest.raises(SystemExit):
        main(["similar", "1", table, "-o", "page.txt"])
    assert main(["similar", "1", table, "-o", "theirs.html", "--overwrite"]) == 0
    assert main(["similar", "2", table, "-o", "theirs.html"]) == 0  # it is ours now


def test_names_that_a_terminal_would_act_upon(tmp_path: Path, capsys) -> None:
    names = ["a\x1b[31m.wav", "b\u202e.wav", "=c.wav", "\uff1dd.wav", "\n =e.wav"]
    np.savez(tmp_path / "t.npz", paths=names, scene_embeddings=np.ones((5, 4), np.float32))
    for form in ([], ["--csv"], ["--json"]):
        assert main(["similar", "0", str(tmp_path / "t.npz"), *form]) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\u202e"} & {*out}
        for safe in ("./=c.wav", "./\uff1dd.wav", "./\\n =e.wav"):
            assert (safe in out) == (form == ["--csv"])


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1, max_size=3),
    st.text(),
)
@example(["=a.wav", " +b.wav"], "wren")
def test_the_page_has_names_as_data_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], label: str
) -> None:
    monkeypatch.chdir(tmp_path)  # paths are from the page on
    scenes = np.ones((len(names), 4), np.float32)
    try:
        np.savez(tmp_path / "t.npz", paths=names, scene_embeddings=scenes)
    except UnicodeEncodeError:  # a lone surrogate
        return
    out = tmp_path / "p.html"
    command = ["similar", "0", str(tmp_path / "t.npz"), "-o", str(out), f"--as={label}"]
    assert main(command) == 0
    _, rest = out.read_text("utf-8").split('<script type="application/json" id="data">')
    data, _ = rest.split("</script>", 1)
    assert not {"<", ">", "&"} & {*data}
    assert data.isascii()
    read = json.loads(data)
    assert read["label"] == label
    assert [one["path"] for one in read["results"]] == np.array(names).tolist()
    for one in read["results"]:
        scheme = one["audio"].partition(":")[0]
        assert ":" not in one["audio"] or scheme in ("http", "https", "file")
        assert not is_formula(one["csv"])


def test_paths_that_no_file_can_have(tmp_path: Path) -> None:
    paths = ["\ud800.wav", "/x/\ud800.wav", "http://x/\ud800.wav", "a.wav"]
    np.savez(tmp_path / "t.npz", paths=paths, scene_embeddings=np.ones((4, 4), np.float32))
    out = tmp_path / "p.html"
    assert main(["similar", "0", str(tmp_path / "t.npz"), "-o", str(out)]) == 0
    data = out.read_text("utf-8").split('id="data">')[1].split("</script>")[0]
    links = [one["audio"] for one in json.loads(data)["results"]]
    assert [bool(link) for link in links] == [False, False, False, True]


def test_a_path_that_is_too_long_for_a_file(tmp_path: Path) -> None:
    path, out = "x" * 300 + ".wav", tmp_path / "p.html"
    scenes = np.ones((1, 4), np.float32)
    np.savez(tmp_path / "t.npz", paths=[path], scene_embeddings=scenes)
    assert main(["similar", path, str(tmp_path / "t.npz"), "-o", str(out)]) == 0
    assert out.exists()


def test_links_from_the_page_to_the_recordings(table: str, tmp_path: Path) -> None:
    Path("pages").mkdir()
    soundfile.write("in/a #1?%25 'ü'.wav", RNG.uniform(-0.1, 0.1, 9000), 16000)
    assert main(["embed", "in", "-o", "u.npz"]) == 0
    assert main(["similar", "in/b.wav", "u.npz", "-o", "pages/p.html"]) == 0
    data = Path("pages/p.html").read_text("utf-8").split('id="data">')[1].split("</script>")[0]
    for one in [*json.loads(data)["results"], json.loads(data)["query"]]:
        assert not {"#", "?"} & {*one["audio"]}
        assert (tmp_path / "pages" / unquote(one["audio"])).samefile(one["path"])
    assert main(["embed", str(tmp_path / "in"), "-o", "v.npz"]) == 0
    assert main(["similar", "0", "v.npz", "-o", "p.html"]) == 0
    data = Path("p.html").read_text("utf-8").split('id="data">')[1].split("</script>")[0]
    for one in json.loads(data)["results"]:
        assert one["audio"] == Path(one["path"]).as_uri()


def test_labels_are_added_and_asked_once(
    table: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels").mkdir()
    command = ["similar", "1", table, "-k", "5", "--label", "labels/l.csv", "--as", "wren"]
    answer(monkeypatch, "y\n\nN\nwhat\ns\np\nq\n")
    assert main(command) == 0
    found = find_similar(1, table, k=5)
    rows = list(csv.reader(Path("labels/l.csv").read_text("utf-8").splitlines()))
    times = [[repr(one.start), repr(one.end)] for one in found]
    assert rows == [
        ["path", "start", "end", "label"],
        [f"../{found[0].path}", *times[0], "wren"],
        [f"../{found[1].path}", *times[1], "_other_"],
    ]
    capsys.readouterr()
    answer(monkeypatch, "n\n")  # and the end of the input
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "2 have a label in labels/l.csv already" in captured.err
    assert "1 labels added" in captured.out
    assert len(Path("labels/l.csv").read_text().splitlines()) == 4
    assert found[2] in LabelFile(Path("labels/l.csv"))


def test_a_file_without_a_last_line_break_and_odd_names(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("path,start,end,label\n\nx.wav,3,6.50,wren")
    labels = LabelFile(path)
    one = Similar(0, str(tmp_path / 'a,"b"\r\n.wav'), None, None, None, 1.0)
    other = Similar(0, "https://example.org/=x.wav", 1 / 3, 0.1 + 0.2, None, 1.0)
    for found in (one, other):
        assert found not in labels
        labels.add(found, "wren")
        assert found in LabelFile(path)
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert rows[2:] == [
        ["x.wav", "3", "6.50", "wren"],
        [one.path, "", "", "wren"],
        [other.path, repr(1 / 3), repr(0.1 + 0.2), "wren"],
    ]


@pytest.mark.parametrize("room", [0, 3, 12, 20])
def test_a_line_is_added_whole_or_not_at_all(tmp_path, room: int) -> None:
    """A part of a line would be taken for a label, or for a file that isn't ours."""
    resource = pytest.importorskip("resource")
    path, found = tmp_path / "l.csv", Similar(0, "a.wav", 3.0, 6.5, None, 0.9)
    labels = LabelFile(path)
    labels.add(Similar(1, "b.wav", None, None, None, 0.8), "wren")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            labels.add(found, "wren")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert found not in LabelFile(path)
    LabelFile(path).add(found, "wren")
    assert path.read_bytes().startswith(before)
    assert found in LabelFile(path)


def test_files_that_labels_are_not_added_to(table: str) -> None:
    Path("sum.csv").write_text("a,b\n1,2\n")
    Path("cut.csv").write_text('path,start,end,label\n"x.wav')
    Path("bytes.csv").write_bytes(b"\xff\xfe\0")
    Path("folder.csv").mkdir()
    Path("link.csv").symlink_to("new.csv")
    contents = {name: Path(name).read_bytes() for name in ("sum.csv", "cut.csv", "bytes.csv")}
    for name in [*contents, "folder.csv", "link.csv"]:
        with pytest.raises(OutputExistsError):
            LabelFile(Path(name))
        assert main(["similar", "1", table, "--label", name]) == 2
    assert contents == {name: Path(name).read_bytes() for name in contents}
    assert not Path("new.csv").exists()
    assert main(["similar", "1", table, "--label", "none/l.csv"]) == 1
    with pytest.raises(OutputExistsError, match="input"):
        LabelFile(Path("sum.csv"), inputs=["sum.csv"])


def test_labels_of_millions_of_lines(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty.csv", tmp_path / "full.csv"
    empty.write_text("path,start,end,label\n" + "\n" * 500_000)
    full.write_text("path,start,end,label\n" + "a,,,b\n" * 1_000_001)
    tracemalloc.start()
    try:
        LabelFile(empty)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(OutputExistsError, match="can't be added"):
        LabelFile(full)


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    assert path_from("a/b.wav", Path()) == "a/b.wav"
    assert path_from("a/b.wav", Path("a/c")) == "../b.wav"
    assert path_from("/x/b.wav", Path("a/c")) == "/x/b.wav"
    assert path_from("s3://x/b.wav", Path("a/c")) == "s3://x/b.wav"


@pytest.mark.parametrize("answers", [b"\xff\ny\nq\n", b"y\n" + bytes(5_000)])
def test_answers_that_nobody_typed(answers: bytes, table: str) -> None:
    """What is no text is no answer, and a line that doesn't end is the end."""
    command = [sys.executable, "-m", "hearaudiomlp", "similar", "1", table, "--label", "l.csv"]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, input=answers, capture_output=True, env=strict, check=False)
    assert done.returncode == 0, done.stderr
    assert len(Path("l.csv").read_text().splitlines()) == 2


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_keeps_what_was_answered(table: str) -> None:
    command = [sys.executable, "-m", "hearaudiomlp", "similar", "1", table, "--label", "l.csv"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("y\n")
        process.stdin.flush()
        shown = ""
        while "2 of" not in shown:
            shown += process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was answered is in l.csv" in errors
    assert "Traceback" not in errors
    assert len(Path("l.csv").read_text().splitlines()) == 2


def test_times_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("l.csv").write_text("path,start,end,label\nx.wav,3,6.50,wren\ny.wav,,,wren\n")
    labels = LabelFile(Path("l.csv"))
    assert Similar(0, "x.wav", 3.0, 6.5, None, 1.0) in labels
    assert Similar(0, "y.wav", None, None, None, 1.0) in labels
    assert Similar(0, "x.wav", 3.0, 6.0, None, 1.0) not in labels
    Path("l.csv").write_text("path,start,end,label\nx.wav,soon,6,wren\n")
    with pytest.raises(OutputExistsError, match="columns path, start"):
        LabelFile(Path("l.csv"))


@pytest.mark.parametrize(
    "name", ["\x1b[31m", "", " x", "x" * 101, "=cmd|'!A1", "-1", "@x", "\uff1d1"]
)
def test_a_label_that_fit_would_refuse(table: str, capsys, name: str) -> None:
    assert main(["similar", "1", table, "--label", "l.csv", f"--as={name}"]) == 2
    assert capsys.readouterr().err.startswith("hearaudiomlp: ")
    assert not Path("l.csv").exists()


@given(st.text(st.sampled_from("=+-@\uff1d\uff0b\uff0d\uff20 1x|"), max_size=20))
@example("reed warbler")
def test_the_page_takes_the_labels_that_fit_takes(label: str) -> None:
    page = (ROOT / "runtime/hearaudiomlp/data/similar.html").read_text("utf-8")
    pattern = re.search(r'id="label"[^>]* pattern="([^"]+)"', page)
    assert pattern is not None
    try:
        read_label(label.strip())  # as the page saves it
    except ExamplesError:
        assert not re.fullmatch(pattern[1], label)
    else:
        assert re.fullmatch(pattern[1], label)


@pytest.mark.parametrize("kind", ["link", "pipe", "table", "folder"])
def test_what_takes_the_place_of_labels_meanwhile_stays(tmp_path: Path, kind: str) -> None:
    labels, theirs = LabelFile(tmp_path / "l.csv"), tmp_path / "theirs.csv"
    labels.add(Similar(0, "a.wav", None, None, None, 1.0), "wren")
    (tmp_path / "l.csv").unlink()
    theirs.write_text("path,start,end,label\n" if kind == "link" else "somebody's\n")
    before = theirs.read_bytes()
    if kind == "link":
        (tmp_path / "l.csv").symlink_to(theirs)
    elif kind == "pipe":
        os.mkfifo(tmp_path / "l.csv")
    elif kind == "folder":
        (tmp_path / "l.csv").mkdir()
    else:
        theirs = theirs.rename(tmp_path / "l.csv")
    with pytest.raises(OutputExistsError):
        labels.add(Similar(1, "b.wav", None, None, None, 1.0), "wren")
    assert theirs.read_bytes() == before
