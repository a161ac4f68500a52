"""What is most like a given recording, compared with scikit-learn's brute force."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import hearaudiomlp
from hearaudiomlp.cli import main
from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileNotFoundError,
    EmbeddingFileError,
    OptionError,
    WeightsMismatchError,
)
from hearaudiomlp.similar import find_similar, read_part, search
from hearaudiomlp.table.scenes import SceneTable

RNG = np.random.default_rng(0)


def write(path: Path, scenes: Any, **columns: Any) -> Path:
    """Write an .npz with embeddings."""
    paths = [f"{number}.wav" for number in range(len(scenes))]
    np.savez(path, paths=paths, scene_embeddings=np.asarray(scenes, np.float32), **columns)
    return path


@pytest.fixture
def segments(tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of the recordings in segments, beside them."""
    monkeypatch.chdir(tmp_path)
    command = ["embed", "in", "-o", "t.npz", "--segment", "0.5", "--hop", "0.25"]
    assert main(command) == 0
    return tmp_path / "t.npz"


@pytest.mark.parametrize("k", [1, 10, 2500, 9999])
@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_the_nearest_are_those_of_scikit_learn(tmp_path: Path, k: int, offset: float) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    scenes = (RNG.standard_normal((2500, 64)) + offset).astype(np.float32)
    query = (RNG.standard_normal(64) + offset).astype(np.float32)
    reference = neighbors.NearestNeighbors(metric="cosine", algorithm="brute")
    distances, rows = reference.fit(scenes.astype(float)).kneighbors(
        query[None].astype(float), min(k, len(scenes))
    )
    found = search(query, SceneTable(write(tmp_path / "t.npz", scenes)), k)
    assert [one.row for one in found] == rows[0].tolist()
    np.testing.assert_allclose([1 - one.similarity for one in found], distances[0], atol=1e-12)


def test_equal_rows_are_in_the_order_of_the_table(tmp_path: Path) -> None:
    one, other = RNG.standard_normal((2, 33))
    scenes = np.where(np.arange(3000)[:, None] % 3 == 1, one, other)
    found = search(one.astype(np.float32), SceneTable(write(tmp_path / "t.npz", scenes)), 1500)
    assert [one.row for one in found[:1000]] == list(range(1, 3000, 3))
    assert [one.row for one in found[1000:]] == [row for row in range(3000) if row % 3 != 1][:500]
    assert len({one.similarity for one in found}) == 2


def test_lengths_make_no_difference(tmp_path: Path) -> None:
    scenes = RNG.standard_normal((1200, 16))
    lengths = 10.0 ** RNG.uniform(-30, 30, (1200, 1))
    query = scenes[7].astype(np.float32)
    plain = search(query, SceneTable(write(tmp_path / "a.npz", scenes)), 1200)
    scaled = search(query * 1e-20, SceneTable(write(tmp_path / "b.npz", scenes * lengths)), 1200)
    assert [one.row for one in scaled] == [one.row for one in plain]
    assert plain[0].row == 7


def test_silence_is_like_nothing(tmp_path: Path) -> None:
    table = SceneTable(write(tmp_path / "t.npz", [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))
    found = search(np.array([2.0, 0.0], np.float32), table, 3)
    assert [(one.row, one.similarity) for one in found] == [(1, 1.0), (0, 0.0), (2, -1.0)]
    assert [one.similarity for one in search(np.zeros(2, np.float32), table, 3)] == [0.0] * 3


@pytest.mark.parametrize("ending", ["npy", "parquet", "h5", "jsonl"])
def test_every_format_finds_the_same(segments: Path, ending: str) -> None:
    command = ["embed", "in", "-o", f"u.{ending}", "--segment", "0.5", "--hop", "0.25"]
    assert main(command) == 0
    assert find_similar(3, f"u.{ending}", k=7) == find_similar(3, segments, k=7)


def test_a_part_of_a_recording_finds_its_segment(segments: Path) -> None:
    rows = [rows.at(index) for rows in SceneTable(segments).rows() for index in range(len(rows))]
    for row in rows[::5]:
        [first, *others] = find_similar(row.path, segments, start=row.start, end=row.end, k=4)
        assert first[:4] == row[:4]
        assert first.similarity == pytest.approx(1.0, abs=1e-6)
        assert others == find_similar(row.row, segments, k=4)[1:] or others[0].similarity < 1


def test_a_recording_that_is_in_the_table_only(segments: Path) -> None:
    soundfile.write("gone.wav", 0.1 * RNG.standard_normal(6000), 16000)
    assert main(["embed", "gone.wav", "in/b.wav", "-o", "v.npz"]) == 0
    expected = find_similar("gone.wav", "v.npz")
    Path("gone.wav").unlink()
    assert [one.row for one in find_similar("gone.wav", "v.npz")] == [one.row for one in expected]
    with pytest.raises(AudioFileNotFoundError, match="gone"):
        find_similar("gone.wav", segments)
    Path("in/b.wav").rename("b.wav")
    with pytest.raises(AudioFileNotFoundError, match=r"in/c\.wav"):
        find_similar("in/c.wav", "v.npz")
    found = find_similar("in/b.wav", "v.npz", k=1)
    assert found[0].path == "in/b.wav"
    Path("in/c d/ü.wav").unlink()
    with pytest.raises(OptionError, match="choose one by its number"):
        find_similar("in/c d/ü.wav", segments)
    found = find_similar("in/c d/ü.wav", segments, start=0.25, end=0.75, k=1)
    assert (found[0].path, found[0].start) == ("in/c d/ü.wav", 0.25)
    with pytest.raises(OptionError, match="choose one by its number"):
        find_similar("in/c d/ü.wav", segments, start=0.3)


def test_other_weights(segments: Path, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    other = hearaudiomlp.load_model(checkpoints["kwmlp"])
    audiomae = hearaudiomlp.load_model(name="audiomae")
    for model in (other, audiomae):
        with pytest.raises(WeightsMismatchError, match="made with other weights"):
            find_similar("in/b.wav", segments, model=model)
    assert find_similar(0, segments, model=other)[0].row == 0  # nothing is computed
    unknown = write(tmp_path / "u.npz", RNG.standard_normal((2, 1024)))
    with pytest.raises(WeightsMismatchError, match="doesn't say which encoder"):
        find_similar("in/b.wav", unknown)
    with pytest.warns(UserWarning, match="doesn't say with which weights"):
        assert len(find_similar("in/b.wav", unknown, model=other)) == 2
    with pytest.raises(WeightsMismatchError):
        find_similar("in/b.wav", unknown, model=audiomae)


def test_a_table_of_audiomae_needs_no_option(segments: Path) -> None:
    assert main(["embed", "in", "--encoder", "audiomae", "-o", "a.npz"]) == 0
    assert find_similar("in/a/z.flac", "a.npz", k=1)[0].path == "in/a/z.flac"


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"])
def test_k(segments: Path, k: Any) -> None:
    with pytest.raises(OptionError, match="k is"):
        find_similar(0, segments, k=k)


def test_queries_that_are_none(segments: Path) -> None:
    for row in (-1, 10**6):
        with pytest.raises(OptionError, match="no row"):
            find_similar(row, segments)
    for start, end in ((1.0, 1.0), (None, 0.0), (-1.0, None), (float("nan"), None)):
        with pytest.raises(OptionError):
            find_similar("in/b.wav", segments, start=start, end=end)
    for start, end in ((0.1, 0.5), (5.0, None)):  # b.wav has 0.19 s
        with pytest.raises(AudioFileError, match="not all of the part"):
            find_similar("in/b.wav", segments, start=start, end=end)
    Path("no sound.wav").write_text("text")
    with pytest.raises(AudioFileError, match="no sound"):
        find_similar("no sound.wav", segments)
    Path("empty.jsonl").touch()
    with pytest.raises(EmbeddingFileError, match="no scene embeddings"):
        find_similar("in/b.wav", "empty.jsonl")
    scene = [0.0] * 1024
    lines = [{"path": str(row), "scene_embedding": scene} for row in range(1500)]
    text = "\n".join(map(json.dumps, lines))
    Path("cut.jsonl").write_text(text[:-2000])
    with pytest.raises(EmbeddingFileError):
        find_similar(0, "cut.jsonl")


def test_a_part_that_begins_after_any_recording() -> None:
    with pytest.raises(AudioFileError, match="not all of the part"):
        read_part("samples/words.flac", 1e308)


def test_read_part(tmp_path: Path) -> None:
    samples = RNG.uniform(-0.5, 0.5, 200_000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16000, "FLOAT")
    for start, end in ((None, None), (0.0, 0.5), (4.2, 9.9), (12.0, None), (None, 12.5)):
        first, last = round((start or 0) * 16000), None if end is None else round(end * 16000)
        np.testing.assert_array_equal(
            read_part(tmp_path / "a.wav", start, end), samples[first:last]
        )


def test_a_part_of_many_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may decode to days, of which nothing is kept but the part."""
    monkeypatch.setattr("hearaudiomlp.audio.files.LONGEST_PART", 16_000)
    soundfile.write(tmp_path / "a.wav", np.full(80_000, 0.1), 16_000)
    assert len(read_part(tmp_path / "a.wav", 4.0, 5.0)) == 16_000
    with pytest.raises(AudioFileError, match="hours at once: give the start and the end"):
        read_part(tmp_path / "a.wav", 1.0)
