"""Pictures, maps and model files: what may be replaced, and what may not."""

import hashlib
import os
import shutil
import threading
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from hearaudiomlp.cli import main
from hearaudiomlp.errors import OutputExistsError
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.storage.ownership import (
    MARK,
    check_output,
    read_sealed,
    refuse_inputs,
    seal,
    unseal,
)
from hearaudiomlp.weights.locate import read_ordinary
from hearaudiomlp_export.cli import main as export
from paths import ROOT


@pytest.fixture(params=["png", "svg", "pdf"])
def picture(request, recordings, checkpoints, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / f"p.{request.param}"

    def plot(*more: str) -> int:
        model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu"]
        return main(["plot", str(recordings / "b.wav"), "-o", str(out), *model, *more])

    return out, plot


def test_reading_takes_the_memory_of_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(seal({"files": 3}))
    tracemalloc.start()
    try:
        with (tmp_path / "report.json").open("rb") as file:
            assert read_sealed(file) == {"files": 3}
        assert len(read_ordinary(str(tmp_path / "report.json"), 1 << 30)) < 1000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_command_without_memory_ends_in_words(tmp_path: Path, capsys, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("hearaudiomlp.weights.locate.read_ordinary", fail)
    assert main(["info"]) == 1
    assert capsys.readouterr().err == "hearaudiomlp: there is not enough memory\n"


@pytest.mark.parametrize(
    ("arguments", "library", "megabytes"),
    [
        ("info", "hearaudiomlp", 256),
        ("embed SOUND -o t.parquet", "pyarrow", 2048),
        ("map t.npz -o t.html --method pca", "scikit-learn", 2048),
        ("kwmlp --graph-only -o graph.onnx", "torch", 2048),
        ("train kwmlp -o new.pth", "torch", 2048),
    ],
)
def test_libraries_that_would_abort_are_not_imported(  # noqa: PLR0917
    arguments, library, megabytes, tmp_path, capsys, monkeypatch
) -> None:
    """They do so where they can't start a thread, for example, and then it is too late."""
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    sound = Path("samples/words.flac").resolve()
    monkeypatch.chdir(tmp_path)
    assert main(["embed", str(sound), "-o", "t.npz"]) == 0
    there = set(tmp_path.iterdir())
    limits = {resource.RLIMIT_AS: ((megabytes << 20) - 1, resource.RLIM_INFINITY)}
    true_limits = resource.getrlimit
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits.get(kind) or true_limits(kind))
    command = export if library == "torch" else main
    assert command(arguments.replace("SOUND", str(sound)).split()) == 1
    assert f"{library} needs {megabytes} MB of address space" in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == there


def test_a_thread_that_cannot_start_ends_in_words(tmp_path: Path, capsys, monkeypatch) -> None:
    """With little memory or few processes allowed, the system refuses new threads."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sound = Path("samples/words.flac").resolve()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert main(["embed", str(sound), "-o", str(tmp_path / "t.npz")]) == 1
    assert "no thread can be started" in capsys.readouterr().err
    assert [path for path in tmp_path.iterdir() if path.name.startswith("t.")] == []


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
@pytest.mark.parametrize("command", ["plot SOUND -o m.png", "similar SOUND t.npz -o m.html"])
def test_a_model_is_no_place_for_a_picture(command, more, tmp_path, capsys, monkeypatch) -> None:
    """Though it is marked as ours."""
    sound, model = (
        Path(name).resolve() for name in ("samples/words.flac", "onnx_models/kwmlp.onnx")
    )
    monkeypatch.chdir(tmp_path)
    assert main(["embed", str(sound), "-o", "t.npz"]) == 0
    *arguments, out = command.replace("SOUND", str(sound)).split()
    shutil.copy(model, out)
    assert main([*arguments, out, "--model", out, *more]) == 2
    assert f"{out} is an input" in capsys.readouterr().err
    assert Path(out).read_bytes() == model.read_bytes()


def test_a_picture_is_replaced_if_it_is_ours(picture, capsys) -> None:
    out, plot = picture
    assert plot() == 0
    assert plot() == 0
    out.write_bytes(b"precious")
    assert plot() == 2
    assert str(out) in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert plot("--overwrite") == 0
    assert out.read_bytes() != b"precious"
    other = out.with_name("other")
    out.rename(other)
    out.symlink_to(other)
    before = other.read_bytes()
    assert plot("--overwrite") == 2
    assert out.is_symlink()
    assert other.read_bytes() == before
    assert {path.name for path in out.parent.iterdir()} == {"in", out.name, "other"}


def test_a_map_is_replaced_if_it_is_ours(recordings, checkpoints, tmp_path) -> None:
    pytest.importorskip("sklearn")
    table, out = str(tmp_path / "t.npz"), tmp_path / "m.html"
    model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    assert main(["embed", str(recordings), "-o", table, *model]) == 0
    command = ["map", table, "-o", str(out), "--method", "pca"]
    assert main(command) == 0
    assert main(command) == 0
    out.write_text("<html>precious</html>")
    assert main(command) == 2
    assert out.read_text() == "<html>precious</html>"
    assert main([*command, "--overwrite"]) == 0
    assert "precious" not in out.read_text()


@pytest.mark.parametrize("name", ["m.onnx", "m.report.md", "m.failed.md"])
def test_an_export_replaces_only_exports(name, checkpoints, tmp_path, capsys) -> None:
    (tmp_path / name).write_text("precious")
    arguments = [str(checkpoints["audiomae"]), "-o", str(tmp_path / "m.onnx")]
    assert export(arguments) == 2
    assert str(tmp_path / name) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_model_files_are_replaced_by_model_files_alone(tmp_path) -> None:
    for path in (ROOT / "onnx_models").glob("*.onnx"):
        check_output(path)
        with pytest.raises(OutputExistsError):  # by a picture, say
            check_output(shutil.copy(path, tmp_path / "model.png"))
    with pytest.raises(OutputExistsError):
        check_output(ROOT / "onnx_models" / "README.md")


def test_a_table_does_not_replace_a_model(recordings, tmp_path, capsys) -> None:
    out = tmp_path / "mine.onnx"
    shutil.copy(ROOT / "onnx_models" / "audiomae.onnx", out)
    before = out.read_bytes()
    command = ["embed", str(recordings), "--device", "cpu", "-o", str(out), "--format", "npz"]
    assert main(command) == 2
    assert str(out) in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize("ending", ["html", "svg"])
def test_a_page_with_notes_of_the_user_is_kept(ending, recordings, tmp_path, capsys) -> None:
    pytest.importorskip("sklearn")
    table, out = str(tmp_path / "t.npz"), tmp_path / f"m.{ending}"
    assert main(["embed", str(recordings), "-o", table, "--device", "cpu"]) == 0
    command = ["map", table, "-o", str(out), "--method", "pca"]
    assert main(command) == 0
    page = out.read_bytes()
    assert main(command) == 0
    for edited in (page.replace(b">", b"><!-- mine -->", 1), page + b"<!-- mine -->", page[:-9]):
        out.write_bytes(edited)
        assert main(command) == 2
        assert str(out) in capsys.readouterr().err
        assert out.read_bytes() == edited
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "socket"])
def test_other_things_are_refused_even_with_overwrite(kind, tmp_path) -> None:
    path = tmp_path / "out"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("nowhere")
    elif kind == "folder":
        path.mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    with pytest.raises(OutputExistsError, match=kind):
        check_output(path, overwrite=True)


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_appears_while_a_picture_is_drawn_stays(kind, tmp_path) -> None:
    path, theirs = tmp_path / "p.png", tmp_path / "theirs"
    theirs.write_text("precious")
    appear = {
        "file": lambda: path.write_text("precious"),
        "link": lambda: path.symlink_to(theirs),
        "folder": path.mkdir,
    }
    with (
        pytest.raises(OutputExistsError),
        replacing(path, check=partial(check_output, path)),
    ):
        appear[kind]()
    assert theirs.read_text() == "precious"
    assert kind != "file" or path.read_text() == "precious"
    assert kind != "link" or path.is_symlink()
    assert {one.name for one in tmp_path.iterdir()} == {"p.png", "theirs"}


def test_inputs_are_refused_under_any_name(tmp_path) -> None:
    recording, other = tmp_path / "a.wav", tmp_path / "b.wav"
    recording.write_bytes(b"sound")
    other.hardlink_to(recording)
    with pytest.raises(OutputExistsError, match="is an input"):
        check_output(other, overwrite=True, inputs=[Path("missing"), recording])
    with pytest.raises(OutputExistsError, match="is an input"):
        check_output(other, overwrite=True, inputs=[f"file://{recording}"])
    refuse_inputs(tmp_path / "not there yet", [recording])


def test_standard_input_is_an_input(tmp_path) -> None:
    names = tmp_path / "list.txt"
    names.write_text("one.wav")
    before = os.dup(0)
    try:
        with names.open() as file:
            os.dup2(file.fileno(), 0)
        with pytest.raises(OutputExistsError, match="is an input"):
            check_output(names, overwrite=True)
    finally:
        os.dup2(before, 0)
        os.close(before)
    check_output(names, overwrite=True)


def test_a_sealed_object_is_taken_back_as_it_was_or_not_at_all() -> None:
    for indent in None, 1:
        content = {"rows": [[1, "ü", 0.1]], "empty": {}}
        data = seal(content, indent)
        assert unseal(data) == content
        for at in range(len(data)):
            for bit in 1, 64:
                flipped = bytearray(data)
                flipped[at] ^= bit
                assert unseal(bytes(flipped)) is None
            assert unseal(data[:at]) is None
        assert unseal(data + b" ") is None
        assert unseal(b"") is None


def test_a_sealed_object_takes_memory_in_proportion_to_its_size() -> None:
    """Anybody can seal one, and two bytes of JSON can be a list of seventy in memory."""
    body = b'{"made_by": "' + MARK.encode() + b'", "rows": [' + b"[]," * 2_500_000 + b"[]]"
    sealed = body + b', "sha256": "' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
    tracemalloc.start()
    try:
        assert unseal(sealed) is None
        assert tracemalloc.get_traced_memory()[1] < 3 * len(sealed)
    finally:
        tracemalloc.stop()
