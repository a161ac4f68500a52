"""The commands that listen and draw, and raw PCM."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearaudiomlp.audio.pcm import FORMATS, PcmReader, decode
from hearaudiomlp.cli import main
from hearaudiomlp.errors import AudioFileError, EmbeddingFileError, OptionError
from hearaudiomlp.figures.map import OTHER, folders_of, make_map, map_page
from hearaudiomlp.table.scenes import read_embeddings
from paths import ROOT

WORDS = ROOT / "samples" / "words.flac"


def read(data: bytes, **options: Any) -> np.ndarray:
    """Read bytes out of a pipe, written in pieces that end anywhere."""
    source, sink = os.pipe()
    reader = PcmReader(source, **options)
    found = []
    chunks = reader.chunks()
    for at in range(0, len(data), 1001):
        os.write(sink, data[at : at + 1001])
        found.append(next(chunks))
    os.close(sink)
    found += list(chunks)
    os.close(source)
    return np.concatenate(found)


@pytest.mark.parametrize("sample_format", FORMATS)
def test_every_format_gives_the_samples(sample_format: str) -> None:
    sound = np.linspace(-1.0, 0.99, 5_000)
    scale = {"u8": 128, "s16le": 2**15, "s24le": 2**23, "s32le": 2**31}.get(sample_format)
    if sample_format == "u8":
        data = np.round(sound * 128 + 128).astype(np.uint8).tobytes()
    elif sample_format == "s24le":
        whole = np.round(sound * scale).astype("<i4")[:, None].view(np.uint8)
        data = whole[:, :3].tobytes()
    elif scale:
        data = (
            np.round(sound * scale)
            .astype(f"<i{sample_format[1:3]}".replace("16", "2").replace("32", "4"))
            .tobytes()
        )
    else:
        data = sound.astype({"f32le": "<f4", "f64le": "<f8"}[sample_format]).tobytes()
    found = read(data, sample_format=sample_format)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sound, atol=1.01 / (scale or 2**24))


def test_full_scale_is_one() -> None:
    assert decode(b"\x00\x80\xff\x7f", "s16le").tolist() == [-1.0, 32767 / 32768]
    assert decode(b"\x00\x00\x80", "s24le").tolist() == [-1.0]


def test_channels_are_averaged_and_rates_converted() -> None:
    pytest.importorskip("soxr")
    seconds = np.arange(48_000) / 48_000
    left = 0.5 * np.sin(2 * np.pi * 440 * seconds)
    stereo = np.stack([left, np.zeros(48_000)], axis=1).astype("<f4")
    found = read(stereo.tobytes(), rate=48_000, channels=2, sample_format="f32le")
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert abs(len(found) - 16_000) <= 1
    np.testing.assert_allclose(found[500:15_000], expected[500:15_000], atol=1e-3)


def test_pcm_that_is_something_else() -> None:
    with pytest.raises(AudioFileError, match="1 bytes into a frame of 2"):
        read(b"\x00" * 801, sample_format="s16le")
    with pytest.raises(AudioFileError, match="NaN"):
        read(np.full(4, np.nan, "<f4").tobytes(), sample_format="f32le")
    for wrong in ({"rate": 3}, {"channels": 0}, {"sample_format": "mp3"}):
        with pytest.raises(OptionError):
            PcmReader(0, **{"sample_format": "s16le"} | wrong)


def listening(model: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "hearaudiomlp", "listen", "--stdin", "--model", str(model), *more]


def test_listen_prints_what_the_windows_say(checkpoints: Any, kwmlp: Any, noise: Any) -> None:
    pcm = (32767 * noise(40_000)).astype("<i2")
    command = listening(checkpoints["kwmlp"], "--mode", "all", "--threshold", "0.01", "--json")
    done = subprocess.run(command, input=pcm.tobytes(), capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["start"] for line in lines] == [0.25 * n for n in range(7)]
    windows = np.stack([pcm[4_000 * n : 4_000 * n + 16_000] / np.float32(32768) for n in range(7)])
    words = kwmlp.keyword_logits(windows.astype(np.float32)).argmax(axis=1)
    assert [line["word"] for line in lines] == [kwmlp.labels[word] for word in words]


def test_ctrl_c_ends_listening_without_a_traceback(checkpoints: Any, noise: Any) -> None:
    command = listening(checkpoints["kwmlp"], "--mode", "all", "--threshold", "0.01")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((32767 * noise(16_000)).astype("<i2").tobytes())
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"0:00:00.00  ")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.decode() == "hearaudiomlp: stopped after 1.0 s of audio\n"


def test_wrong_use_of_listen_is_said(checkpoints: Any, capsys: Any) -> None:
    audiomae, kwmlp = str(checkpoints["audiomae"]), str(checkpoints["kwmlp"])
    assert main(["listen", "--stdin", "--model", audiomae]) == 1
    assert "no keyword head" in capsys.readouterr().err
    assert main(["listen", "--stdin", "--microphone", "1", "--model", kwmlp]) == 2
    assert main(["listen", "--stdin", "--model", kwmlp, "--hop", "1.5"]) == 1


def test_plot_draws_both_models(checkpoints: Any, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    for name, path in checkpoints.items():
        out = tmp_path / f"{name}.png"
        arguments = ["plot", str(WORDS), "--model", str(path), "-o", str(out), "--duration", "2.5"]
        assert main(arguments) == 0
        assert out.read_bytes().startswith(b"\x89PNG")
    assert main([*arguments[:-1], "0"]) == 2
    assert "leave nothing" in capsys.readouterr().err
    assert main([*arguments[:-2], "--start", "7"]) == 2
    assert "has 6.39 s: --start leaves nothing" in capsys.readouterr().err


def test_plot_decodes_what_it_draws(checkpoints: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A small file may decode to days."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("hearaudiomlp.audio.files.LONGEST_PART", 32_000)
    out = str(tmp_path / "p.png")
    arguments = ["plot", str(WORDS), "--model", str(checkpoints["kwmlp"]), "-o", out]
    assert main(arguments) == 1
    assert main([*arguments, "--start", "3", "--duration", "1"]) == 0


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """What embed writes, of 12 files in three folders that lie apart."""
    rng = np.random.default_rng(0)
    scenes = rng.standard_normal((12, 16)) + 20 * np.eye(3, 16)[np.arange(12) % 3]
    paths = [f"/data/{'abc'[n % 3]}/sound {n}.wav" for n in range(12)]
    out = tmp_path / "table.npz"
    np.savez(out, paths=paths, scene_embeddings=scenes.astype(np.float32))
    return out


def test_a_map_keeps_apart_what_is_apart(table: Path) -> None:
    pytest.importorskip("sklearn")
    points = make_map(*read_embeddings(table), "pca")
    assert points.groups[:3] == ("a", "b", "c")
    centres = {g: points.positions[np.array(points.groups) == g].mean(axis=0) for g in "abc"}
    apart = min(np.linalg.norm(centres[a] - centres[b]) for a, b in ("ab", "bc", "ca"))
    for position, group in zip(points.positions, points.groups, strict=True):
        assert np.linalg.norm(position - centres[group]) < apart / 2


def test_the_page_of_a_map_needs_nothing_else(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    out = tmp_path / "map.html"
    assert main(["map", str(table), "-o", str(out), "--method", "pca", "--title", "<b>"]) == 0
    page = out.read_text("utf-8")
    assert "http:" not in page
    assert "https:" not in page
    hostile = make_map(["a</script>.wav", "b.wav"], np.eye(2, 4, dtype=np.float32), "pca")
    assert map_page(hostile).count("</script>") == 2  # those of the page, not that of the name
    data = json.loads(page.split('id="data">', 1)[1].split("</script>", 1)[0])
    assert data["title"] == "<b>"
    assert "<b>" not in page
    assert data["paths"][1] == "/data/b/sound 1.wav"
    assert len(data["points"]) == 12


def test_a_map_as_a_picture(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    assert main(["map", str(table), "-o", str(tmp_path / "map.png"), "--method", "pca"]) == 0
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_a_map_of_parquet(table: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    paths, scenes = read_embeddings(table)
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(scenes.reshape(-1)), 16)
    folder = tmp_path / "table.parquet"
    folder.mkdir()
    whole = pyarrow.table({"path": paths, "scene_embedding": column})
    parquet.write_table(whole.slice(0, 5), folder / "part-00000.parquet")
    parquet.write_table(whole.slice(5), folder / "part-00001.parquet")
    found = read_embeddings(folder)
    assert found[0] == paths
    np.testing.assert_array_equal(found[1], scenes)


def test_one_file_and_two_are_maps_too() -> None:
    pytest.importorskip("sklearn")
    for n in (1, 2):
        scenes = np.arange(4 * n, dtype=np.float32).reshape(n, 4)
        points = make_map([f"{k}.wav" for k in range(n)], scenes)
        assert points.method == "PCA"
        assert np.isfinite(points.positions).all()
        assert "NaN" not in map_page(points)


def test_rare_folders_share_a_colour() -> None:
    names = folders_of([f"{folder}/x.wav" for folder in "aabbccddeeffgghijk"])
    assert len(set(names)) == 8
    assert names[-4:] == (OTHER,) * 4


def test_tables_that_are_none(tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    buffer = io.BytesIO()
    np.savez(buffer, paths=["a"], scene_embeddings=np.full((1, 4), np.nan, np.float32))
    (tmp_path / "nan.npz").write_bytes(buffer.getvalue())
    for name in ("other.npz", "bad.npz", "nan.npz"):
        with pytest.raises(EmbeddingFileError, match=name):
            read_embeddings(tmp_path / name)
    assert main(["map", str(tmp_path / "none.npz"), "-o", str(tmp_path / "m.html")]) == 1
    assert "No such file" in capsys.readouterr().err
