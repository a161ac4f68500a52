"""Maps of tables and names that are hostile."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.cli import main
from hearaudiomlp.errors import EmbeddingFileError
from hearaudiomlp.figures.map import draw_map, folders_of, make_map, map_page
from hearaudiomlp.table import scenes
from hearaudiomlp.table.scenes import read_embeddings

pytest.importorskip("sklearn")

SCENES = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
PATHS = np.array(["a/1", "a/2", "b/3"])


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EmbeddingFileError) as caught:
        read_embeddings(path)
    assert len(str(caught.value)) < 600
    assert main(["map", str(path), "-o", str(path.with_name("m.html"))]) == 1
    assert str(path) in capsys.readouterr().err
    assert not path.with_name("m.html").exists()


@pytest.mark.parametrize(
    "values",
    [
        SCENES[:, :0], SCENES[:0], SCENES[0], SCENES[:2], SCENES[..., None], SCENES.astype("c8"),
        SCENES > 0, SCENES.astype("i8"), SCENES.view("V4"), PATHS[:, None], SCENES * np.nan,
        SCENES.astype("f8") * 1e300, SCENES.astype("g"), SCENES.astype("i8").astype("M8[s]"),
        SCENES.astype(object), np.zeros((3, 1 << 17), np.float32),
    ],
    ids=lambda values: f"{values.dtype} {values.shape}",
)  # fmt: skip
def test_scenes_that_are_none(tmp_path: Path, capsys, values) -> None:
    np.savez(tmp_path / "x.npz", paths=PATHS, scene_embeddings=values)
    refused(tmp_path / "x.npz", capsys)


@pytest.mark.parametrize(
    "paths", [np.array("x"), PATHS[:, None], np.arange(3), PATHS.astype(object), PATHS.astype("S")]
)
def test_paths_that_are_none(tmp_path: Path, capsys, paths) -> None:
    np.savez(tmp_path / "x.npz", paths=paths, scene_embeddings=SCENES)
    refused(tmp_path / "x.npz", capsys)


@pytest.mark.parametrize(
    ("shape", "version"),
    [
        ((3, 250_000_000), (1, 0)),
        ((3, 10**13), (1, 0)),
        ((1 << 20, 1024), (1, 0)),
        ((3, 8), (2, 0)),
    ],
)
def test_a_header_that_promises_gigabytes(tmp_path: Path, capsys, shape, version) -> None:
    path = tmp_path / "x.npz"
    names = np.array([f"{i}" for i in range(shape[0])])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("paths.npy", "w") as file:
            np.save(file, names)
        header = io.BytesIO()
        entry = {"descr": "<f4", "fortran_order": False, "shape": shape}
        if version == (1, 0):
            np.lib.format.write_array_header_1_0(header, entry)
        else:
            header.write(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")
        archive.writestr("scene_embeddings.npy", header.getvalue() + bytes(1 << 20))
    refused(path, capsys)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_ordinary_file(tmp_path: Path, capsys) -> None:
    for name in ("x.npz", "x.parquet"):
        os.mkfifo(tmp_path / name)
        refused(tmp_path / name, capsys)
    (tmp_path / "folder.parquet").mkdir()
    refused(tmp_path / "folder.parquet", capsys)


def test_parquet_columns_that_are_none(tmp_path: Path, capsys) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    paths, rows = pa.array(PATHS.tolist()), SCENES.tolist()
    good = pa.array(rows, pa.list_(pa.float32(), 8))
    columns = {
        "null path": (pa.array(["a", None, "b"]), good),
        "numbers for paths": (pa.array([1, 2, 3]), good),
        "null row": (paths, pa.array([rows[0], None, rows[2]])),
        "null value": (paths, pa.array([[1.0], [None], [2.0]])),
        "several sizes": (paths, pa.array([[1.0], [1.0, 2.0], [3.0]])),
        "numbers": (paths, pa.array([1.0, 2.0, 3.0])),
        "texts": (paths, pa.array([["a"], ["b"], ["c"]])),
        "structures": (paths, pa.array([{"a": 1}] * 3)),
        "infinity": (paths, pa.array([[np.inf], [1.0], [2.0]])),
    }
    for name, (path, scene) in columns.items():
        file = tmp_path / f"{name}.parquet"
        parquet.write_table(pa.table({"path": path, "scene_embedding": scene}), file)
        refused(file, capsys)
    parquet.write_table(pa.table({"path": paths}), tmp_path / "lacking.parquet")
    refused(tmp_path / "lacking.parquet", capsys)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1garbagePAR1")
    refused(tmp_path / "bad.parquet", capsys)
    parquet.write_table(pa.table({"path": paths, "scene_embedding": good}), tmp_path / "g.parquet")
    np.testing.assert_array_equal(read_embeddings(tmp_path / "g.parquet")[1], SCENES)


def test_parquet_that_unfolds(tmp_path: Path, monkeypatch) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    good = pa.array([[0.0] * 8] * 200, pa.list_(pa.float32()))
    paths = pa.array(["a.wav"] * 200)
    parquet.write_table(pa.table({"path": paths, "scene_embedding": good}), tmp_path / "x.parquet")
    assert read_embeddings(tmp_path / "x.parquet")[0] == ["a.wav"] * 200
    monkeypatch.setattr(scenes, "MAX_VALUES", 1000)
    with pytest.raises(EmbeddingFileError, match="more than the 1,000 numbers"):
        read_embeddings(tmp_path / "x.parquet")
    monkeypatch.undo()
    paths = pa.array(["a" * (1 << 20)] * 200)
    parquet.write_table(pa.table({"path": paths, "scene_embedding": good}), tmp_path / "y.parquet")
    assert (tmp_path / "y.parquet").stat().st_size < 200_000
    with pytest.raises(EmbeddingFileError, match="a path of 1,048,576 characters"):
        read_embeddings(tmp_path / "y.parquet")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(), min_size=1, max_size=4), st.text())
def test_names_and_title_are_data_of_the_page(names: list[str], title: str) -> None:
    points = np.eye(len(names), 4, dtype=np.float32)
    page = map_page(make_map(names, points, "pca"), title)
    before, rest = page.split('<script type="application/json" id="data">')
    data, after = rest.split("</script>", 1)
    assert not {"<", ">", "&"} & {*data}
    assert data.isascii()
    assert json.loads(data)["paths"] == names
    assert json.loads(data)["title"] == (title or f"{len(names)} files by their scene embeddings")
    plain = map_page(make_map(["x"], points[:1], "pca")).split('id="data">')[0]
    assert before + '<script type="application/json" id="data">' == plain + 'id="data">'
    assert "@DATA@" not in after


def test_folders_of_paths_that_begin_with_two_slashes() -> None:
    """POSIX leaves open what these are, and Python takes one away in some places only."""
    assert folders_of(["//x/a.wav", "//y/b.wav"]) == ("x", "y")
    assert folders_of(["//x/a.wav", "/x/b.wav"]) == ("//x", "/x")


@pytest.mark.parametrize(
    "name",
    ["a$\\frac$b", "$x_{$", "a$$b", "\0nul", "\x01\x1b[31m", "x" * 3000, "_hidden/", "\udcff"],
)
def test_names_in_pictures(name: str) -> None:
    pytest.importorskip("matplotlib")
    points = make_map([f"{name}1", f"{name}2", "b/3"], SCENES, "pca")
    figure = draw_map(points, name)
    for kind in ("png", "svg"):
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=30)
        assert not {b"\x00"[0], 0x1B} & {*file.getvalue()} or kind == "png"


def test_recordings_that_are_all_the_same() -> None:
    points = make_map(["a.wav", "b.wav"], np.ones((2, 8), np.float32), "pca")
    np.testing.assert_array_equal(points.positions, np.zeros((2, 2)))


@pytest.mark.parametrize("dpi", ["0", "-5", "9", "1201", "1000000", "9" * 5000, "x", "1_00"])
def test_dpi_that_no_picture_has(tmp_path: Path, dpi: str, capsys) -> None:
    for command in (["map", "x.npz"], ["plot", "x.wav"]):
        with pytest.raises(SystemExit) as caught:
            main([*command, "-o", str(tmp_path / "x.png"), "--dpi", dpi])
        assert caught.value.code == 2


@given(st.lists(st.text("/ab.:\\", max_size=8), min_size=1, max_size=4))
def test_folders_of_any_paths(paths: list[str]) -> None:
    assert len(folders_of(paths)) == len(paths)


def test_two_slashes_are_a_root_as_one_is() -> None:
    assert folders_of(["//in/a/1.wav", "//in/b/2.wav"]) == ("a", "b")
    assert folders_of(["//in/a/1.wav", "/in/b/2.wav"]) == ("//in/a", "/in/b")
    assert folders_of(["/1.wav", "/b/2.wav", "a/3.wav"]) == ("/", "/b", "a")
    assert folders_of(["1.wav", "b/2.wav", "b/c/3.wav"]) == (".", "b", "b/c")
