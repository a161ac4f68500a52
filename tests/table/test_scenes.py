"""Tables of every format, read back."""

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hearaudiomlp
from hearaudiomlp.cli import main
from hearaudiomlp.errors import EmbeddingFileError
from hearaudiomlp.storage.ownership import seal
from hearaudiomlp.table import formats
from hearaudiomlp.table.scenes import SceneTable, read_embeddings

ENDINGS = tuple(ending.removeprefix(".") for ending in formats.ENDINGS)
RNG = np.random.default_rng(0)


def read(path: Path) -> tuple[list[Any], np.ndarray]:
    """Return all rows of a table and their embeddings."""
    table = SceneTable(path)
    pieces = list(table.rows())
    rows = [piece.at(index) for piece in pieces for index in range(len(piece))]
    assert [row.row for row in rows] == list(range(table.count))
    return rows, np.concatenate([piece.scenes for piece in pieces])


@pytest.fixture(scope="module")
def model() -> hearaudiomlp.Model:
    return hearaudiomlp.load_model()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("cut", [{}, {"segment": 0.5, "hop": 0.25}, {"channels": "split"}])
def test_what_embed_wrote(tmp_path: Path, recordings: Path, model, ending: str, cut) -> None:
    out = tmp_path / f"t.{ending}"
    options = [f"--{name}={value}" for name, value in cut.items()]
    assert main(["embed", str(recordings), "-o", str(out), *options]) == 0
    rows, scenes = read(out)
    expected = []
    for path in dict.fromkeys(row.path for row in rows):
        expected += hearaudiomlp.embed_files([path], model, **cut)
    assert len(expected) == len(rows) >= 5
    np.testing.assert_allclose(scenes, [one.scene_embedding for one in expected], atol=1e-5)
    for row, one in zip(rows, expected, strict=True):
        times = (one.start, one.end) if "segment" in cut else (None, None)
        assert row[1:] == (one.path, *times, one.channel)
    table = SceneTable(out)
    assert table.model == "kwmlp"
    assert table.checkpoint_sha256 == model.metadata["checkpoint_sha256"]


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2100])
def test_rows_are_whole_wherever_a_piece_ends(tmp_path: Path, count: int) -> None:
    scenes = RNG.standard_normal((count, 3)).astype(np.float32)
    paths = [f"{number}.wav" for number in range(count)]
    np.savez(tmp_path / "t.npz", paths=paths, scene_embeddings=scenes, start=np.arange(count) / 2)
    lines = [
        json.dumps({"path": path, "start": number / 2, "scene_embedding": scenes[number].tolist()})
        for number, path in enumerate(paths)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    for name in ("t.npz", "t.jsonl"):
        rows, found = read(tmp_path / name)
        assert [row.path for row in rows] == paths
        assert [row.start for row in rows] == (np.arange(count) / 2).tolist()
        np.testing.assert_array_equal(found, scenes)


def test_parquet_of_one_large_row_group(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    scenes = RNG.standard_normal((3000, 4)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(scenes.reshape(-1)), 4)
    paths = pa.array([f"{number // 7}.wav" for number in range(3000)])
    table = pa.table({"scene_embedding": column, "path": paths, "start": np.arange(3000.0)})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=3000)
    rows, found = read(tmp_path / "t.parquet")
    np.testing.assert_array_equal(found, scenes)
    assert rows[2999].path == "428.wav"
    assert rows[2999].start == 2999.0


def test_parquet_that_unfolds_is_refused_before_it_is_read(tmp_path: Path, monkeypatch) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def scenes(sizes: list[int]) -> Any:
        values = pa.array(np.zeros(sum(sizes), np.float32))
        return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *sizes]), pa.int32()), values)

    rows, long = 2000, "x" * 50_000
    good = {"path": pa.array(["a.wav"] * rows), "scene_embedding": scenes([4] * rows)}
    texts = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([long]))
    for other, problem in (
        ({"start": texts.cast(pa.string())}, "its start is of another type"),
        ({"end": scenes([10_000] * rows)}, "its end is of another type"),
        ({"channel": scenes([10_000] * rows)}, "its channel is of another type"),
        ({"model": pa.array(range(rows))}, "its model is of another type"),
        ({"checkpoint_sha256": scenes([9_000] * rows)}, "its checkpoint_sha256 is of another type"),
        ({"start.x": scenes([9_000] * rows), "start": pa.array([0.0] * rows)}, "columns start"),
        ({"scene_embedding": scenes([10_000_000] + [0] * (rows - 1))}, "10,001,999 numbers in"),
        ({"path": texts.cast(pa.string())}, "bytes of path in a row group"),
    ):
        plain = "path" in other  # each text in full: a page of zstd holds megabytes of equal ones
        file = tmp_path / "t.parquet"
        monkeypatch.setattr(
            "hearaudiomlp.table.readers._MAX_CHUNK", (1 << 26) if plain else 1 << 28
        )
        table = pa.table(good | other)
        parquet.write_table(table, file, compression="zstd", use_dictionary=not plain)
        del table
        assert file.stat().st_size < 600_000
        before = pa.total_allocated_bytes()
        monkeypatch.setattr("hearaudiomlp.table.readers._batches", pytest.fail)
        with pytest.raises(EmbeddingFileError, match=problem) as refusal:
            read(file)
        assert str(refusal.value).startswith(f"{file}: ")
        assert pa.total_allocated_bytes() - before < 1 << 20
        monkeypatch.undo()


def test_a_folder_of_parquet_has_the_files_that_its_mark_lists(
    tmp_path: Path, recordings: Path
) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "t.parquet"
    assert main(["embed", str(recordings), "-o", str(out), "--shard-files", "2"]) == 0
    first, second = out / "part-00000.parquet", out / "part-00001.parquet"
    assert len(read(out)[0]) == 5
    whole = second.read_bytes()
    second.unlink()
    with pytest.raises(EmbeddingFileError, match=r"t\.parquet: its part-00001\.parquet is missing"):
        read(out)
    second.write_bytes(first.read_bytes())
    with pytest.raises(EmbeddingFileError, match=r"part-00001\.parquet has another size"):
        read(out)
    second.write_bytes(whole)
    extra = out / "part-00009.parquet"
    extra.write_bytes(whole)
    with pytest.raises(EmbeddingFileError, match=r"part-00009\.parquet isn't in the list"):
        read(out)
    (out / ".hearaudiomlp.json").unlink()  # a folder that somebody else put together
    assert len(read(out)[0]) == 7


def test_lines_that_lack_or_were_added(tmp_path: Path, recordings: Path) -> None:
    """A table of lines that ends behind one looks whole: its report has its size."""
    out = tmp_path / "t.jsonl"
    assert main(["embed", str(recordings), "-o", str(out)]) == 0
    lines = out.read_bytes().splitlines(keepends=True)
    for other in (lines[:-1], [*lines, lines[0]]):
        out.write_bytes(b"".join(other))
        with pytest.raises(EmbeddingFileError, match="another size than when embed wrote it"):
            read(out)
    report = tmp_path / "t.jsonl.report.json"
    for of_somebody_else in (b"{}", b"\xff", seal({"outputs": {"t.jsonl": "3"}}), seal({})):
        report.write_bytes(of_somebody_else)
        assert len(read(out)[0]) == len(lines) + 1
    report.unlink()
    assert len(read(out)[0]) == len(lines) + 1


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_rows_behind_the_last_one(tmp_path: Path, recordings: Path, ending: str) -> None:
    out = tmp_path / f"t.{ending}"
    assert main(["embed", str(recordings), "-o", str(out)]) == 0
    count = len(read(out)[0])
    (tmp_path / f"t.{ending}.report.json").unlink()
    if ending == "npy":
        with out.open("ab") as file:
            file.write(bytes(4096))
    else:
        with zipfile.ZipFile(out) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data.replace(b"(%d," % count, b"(%d," % (count - 1), 1))
    with pytest.raises(EmbeddingFileError, match="more values than its header says"):
        read(out)


@pytest.mark.parametrize("ending", ENDINGS)
def test_damage(tmp_path: Path, recordings: Path, ending: str) -> None:
    out = tmp_path / f"t.{ending}"
    assert main(["embed", str(recordings), "-o", str(out)]) == 0
    Path(f"{out}.report.json").unlink()  # the format has to show it
    [file] = out.glob("*.parquet") if out.is_dir() else [out]
    whole = file.read_bytes()
    for share in (0.0, 0.001, 0.3, 0.9, 0.999):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(EmbeddingFileError, match="t"):
            read(out)


def test_tables_that_cannot_be(tmp_path: Path) -> None:
    good = {"path": "a", "model": "m", "checkpoint_sha256": "1", "scene_embedding": [1.0, 2.0]}
    for other, problem in (
        ({"checkpoint_sha256": "2"}, "several weights"),
        ({"model": ["m"]}, "another type"),
        ({"model": "m" * 40_000}, "too long"),
        ({"path": "a" * 40_000}, "too long"),
        ({"start": [0.0] * 9_000}, "another type"),
        ({"scene_embedding": [1.0] * 9_000}, "no scene"),
        ({"scene_embedding": [1.0]}, "shape|several sizes"),
        ({"scene_embedding": [[1.0, 2.0]]}, "no scene"),
        ({"scene_embedding": [1.0, float("nan")]}, "NaN"),
        ({"scene_embedding": ["x", "y"]}, "convert"),
        ({"scene_embedding": [1.0, "2"]}, "where numbers belong"),
        ({"scene_embedding": [1.0, True]}, "where numbers belong"),
        ({"start": "1"}, "another type"),
        ({"start": True}, "another type"),
        ({"path": 3}, "texts"),
        ({"start": "soon"}, "start|convert"),
    ):
        lines = [good | {"start": 0.0}] * 3 + [good | {"start": 1.0} | other]
        (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
        with pytest.raises(EmbeddingFileError, match=problem):
            read(tmp_path / "t.jsonl")
    for text in ("", "[]", "{}", "[" * 100_000, '{"path": "a"}', "\xff"):
        (tmp_path / "t.jsonl").write_bytes(text.encode("latin-1"))
        with pytest.raises(EmbeddingFileError):
            read(tmp_path / "t.jsonl")
    (tmp_path / "t.txt").touch()
    with pytest.raises(EmbeddingFileError, match="embeddings are in"):
        SceneTable(tmp_path / "t.txt")
    with pytest.raises(FileNotFoundError):
        SceneTable(tmp_path / "none.npz")


def test_npy_and_its_list_of_files(tmp_path: Path) -> None:
    out, names = tmp_path / "t.npy", tmp_path / "t.files.csv"
    np.save(out, RNG.standard_normal((2, 4)).astype(np.float32))
    with pytest.raises(EmbeddingFileError, match="No such file"):
        read(out)
    for text, problem in (
        ("path\na\n", "differ in number"),
        ("path\na\nb\nc\n", "differ in number"),
        ("name\na\nb\n", "no scene"),
        ("path,start\na,1\nb,x\n", "convert"),
        ("path,start\na,1\nb,inf\n", "no number"),
        ('path\n"a\nb', "can't be read"),
    ):
        names.write_text(text)
        with pytest.raises(EmbeddingFileError, match=problem):
            read(out)
    names.write_text("path\na\nb\n")
    assert [row.path for row in read(out)[0]] == ["a", "b"]
    assert SceneTable(out).checkpoint_sha256 == ""


def test_hdf5_that_is_stored_in_another_way(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    scenes = RNG.standard_normal((2, 4)).astype(np.float32)
    for name in ("good", "chunked", "group", "numbers", "short"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as table:
            table["paths"] = [1, 2] if name == "numbers" else ["a", "b"][: 1 + (name != "short")]
            if name == "group":
                table.create_group("scene_embeddings")
            else:
                chunks = True if name == "chunked" else None
                table.create_dataset("scene_embeddings", data=scenes, chunks=chunks)
        if name == "good":
            np.testing.assert_array_equal(read_embeddings(tmp_path / "good.h5")[1], scenes)
            continue
        with pytest.raises(EmbeddingFileError):
            read(tmp_path / f"{name}.h5")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_embed_does_not_use(tmp_path: Path, method: int) -> None:
    """Its readers take gigabytes for a dictionary, and raise errors of their own."""
    np.savez(tmp_path / "t.npz", paths=["a"], scene_embeddings=np.ones((1, 4), np.float32))
    with (
        zipfile.ZipFile(tmp_path / "t.npz") as whole,
        zipfile.ZipFile(tmp_path / "u.npz", "w", method) as other,
    ):
        for name in whole.namelist():
            other.writestr(name, whole.read(name))
    with pytest.raises(EmbeddingFileError, match="compressed"):
        read(tmp_path / "u.npz")


def test_rows_that_are_too_wide(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", paths=["a"], scene_embeddings=np.ones((1, 9_000), np.float32))
    with pytest.raises(EmbeddingFileError, match="no scene"):
        read(tmp_path / "t.npz")


def test_a_list_of_files_without_lines(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.ones((1, 4), np.float32))
    for beginning in ("", "path\n"):
        with (tmp_path / "t.files.csv").open("w") as file:
            file.write(beginning)
            file.truncate(1 << 36)
        with pytest.raises(EmbeddingFileError, match="line of over"):
            read(tmp_path / "t.npy")


def test_links_in_hdf5_are_not_followed(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    scenes = np.ones((2, 4), np.float32)
    with h5py.File(tmp_path / "theirs.h5", "w") as table:
        table["paths"], table["start"] = ["secret", "b"], [1.0, 2.0]
        table["scene_embeddings"] = scenes
    for name in ("paths", "start", "model", "scene_embeddings"):
        for link in (h5py.ExternalLink("theirs.h5", "/paths"), h5py.SoftLink("/other")):
            with h5py.File(tmp_path / "t.h5", "w") as table:
                table["other"] = ["a", "b"]
                for own, values in (("paths", ["a", "b"]), ("scene_embeddings", scenes)):
                    table[own if own != name else "unused"] = values
                table[name] = link
            with pytest.raises(EmbeddingFileError, match="stored in a way"):
                read(tmp_path / "t.h5")


def test_one_long_text_for_many_rows_of_hdf5(tmp_path: Path) -> None:
    """A reference to it takes 16 bytes, so a small file could unfold to gigabytes."""
    h5py = pytest.importorskip("h5py")
    for name, shape in (("paths", (8,)), ("model", ())):
        with h5py.File(tmp_path / "t.h5", "w") as table:
            table["scene_embeddings"] = np.ones((8, 4), np.float32)
            if name != "paths":
                table["paths"] = ["a"] * 8
            texts = table.create_dataset(name, shape, h5py.string_dtype())
            texts[...] = "a" * 200_000
            offset = texts.id.get_offset()
        data = (tmp_path / "t.h5").read_bytes()
        one = data[offset : offset + 16]
        (tmp_path / "t.h5").write_bytes(
            data[:offset] + one * max(1, *shape, 1) + data[offset + 16 * max(1, *shape, 1) :]
        )
        with pytest.raises(EmbeddingFileError, match="texts of 200,000 bytes"):
            read(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5", "w") as table:
        table["scene_embeddings"] = np.ones((8, 4), np.float32)
        table["paths"] = np.full(8, b"a" * 200_000)
    with pytest.raises(EmbeddingFileError, match="texts of 200,000 bytes"):
        read(tmp_path / "t.h5")


@pytest.mark.parametrize("size", [0, 1 << 20, (1 << 64) - 16])
@pytest.mark.parametrize("number", [0, 1])
def test_texts_of_hdf5_behind_one_without_a_size(tmp_path: Path, size: int, number: int) -> None:
    """HDF5 would look for the next one without end."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as table:
        table.create_dataset("paths", data=["a" * 7, "b" * 7, "c" * 7], dtype=h5py.string_dtype())
        table["scene_embeddings"] = np.zeros((3, 4), np.float32)
    assert len(read(path)[0]) == 3
    data = path.read_bytes()
    at = data.index(b"GCOL") + 16
    path.write_bytes(data[:at] + struct.pack("<HHIQ", number, 1, 0, size) + data[at + 16 :])
    with pytest.raises(EmbeddingFileError, match="its texts can't be read"):
        read(path)


def test_rows_of_hdf5_that_were_never_written(tmp_path: Path) -> None:
    """They take no space, so a file of two kilobytes could keep the command busy for years."""
    h5py = pytest.importorskip("h5py")
    rows = 1 << 40
    with h5py.File(tmp_path / "t.h5", "w") as table:
        table.create_dataset("paths", (rows,), h5py.string_dtype())
        table.create_dataset("scene_embeddings", (rows, 4), np.float32)
    with pytest.raises(EmbeddingFileError, match="stored in a way"):
        SceneTable(tmp_path / "t.h5")


def test_long_objects_for_many_rows_of_hdf5(tmp_path: Path) -> None:
    """One list or text may stand for all rows, also where numbers belong."""
    h5py = pytest.importorskip("h5py")
    for name, kind in (
        ("start", h5py.vlen_dtype(np.float64)),
        ("channel", h5py.vlen_dtype(np.int32)),
        ("scene_embeddings", h5py.vlen_dtype(np.float64)),
        ("scene_embeddings", h5py.string_dtype()),
        ("end", np.dtype("V100")),
        ("scene_embeddings", np.dtype("S100")),
    ):
        with h5py.File(tmp_path / "t.h5", "w") as table:
            table["paths"] = ["a", "b"]
            if name != "scene_embeddings":
                table["scene_embeddings"] = np.ones((2, 4), np.float32)
            shape = (2, 4) if name == "scene_embeddings" else (2,)
            odd = table.create_dataset(name, shape, kind)
            if kind.kind == "O":
                odd[(0,) * len(shape)] = "a" if h5py.check_string_dtype(kind) else np.zeros(9)
            else:
                odd[...] = np.zeros(shape, kind)
        with pytest.raises(EmbeddingFileError, match="where numbers belong"):
            read(tmp_path / "t.h5")


def test_npz_of_many_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        for number in range(11_000):
            archive.writestr(f"{number:050}", b"")
    with pytest.raises(EmbeddingFileError, match="more members than embed writes"):
        read(tmp_path / "t.npz")


def test_long_lines_of_json(tmp_path: Path) -> None:
    """Two letters of a list of empty objects are seventy bytes in memory."""
    file, good = tmp_path / "t.jsonl", {"path": "a", "scene_embedding": [1.0, 2.0]}
    file.write_text(json.dumps({"path": "a"})[:-1] + ', "scene_embedding": [' + "{}," * 1_000_000)
    with pytest.raises(EmbeddingFileError, match="line of over"):
        read(file)
    long = good | {"timestamps": list(range(500_000)), "timestamp_embeddings": [[0.5]] * 500_000}
    assert len(json.dumps(long)) > 6_000_000
    file.write_text("\n".join(json.dumps(one) for one in (good, long, good | {"path": "c"}, long)))
    rows, scenes = read(file)
    assert [row.path for row in rows] == ["a", "a", "c", "a"]
    np.testing.assert_array_equal(scenes, [[1.0, 2.0]] * 4)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(EmbeddingFileError, match="cut off"):
        read(file)
