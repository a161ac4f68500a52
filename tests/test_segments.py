"""Channels and segments of recordings: what is cut out is what is embedded."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp import embed_files, read_audio
from hearaudiomlp.audio import AudioStream
from hearaudiomlp.cli import main
from hearaudiomlp.embed import Embedded, Failed
from hearaudiomlp.errors import AudioFileTruncatedError, OptionError
from hearaudiomlp.segments import SampleBuffer
from recordings import speech_like


@pytest.fixture
def long(tmp_path):
    """Nine seconds and a bit, at another rate than the model's."""
    path = tmp_path / "long.wav"
    soundfile.write(path, speech_like(22050, 9.37), 22050)
    return path


@pytest.mark.parametrize(
    ("segment", "hop"), [(2.0, None), (2.5, 0.7), (0.3, 3.0), (9.37, None), (100.0, 1.0)]
)
def test_segments_are_the_cut_out_sounds(model, long, segment, hop) -> None:
    samples = read_audio(long).samples
    size, step = round(16000 * segment), round(16000 * (hop or segment))
    rows = list(embed_files([long, long], model, segment=segment, hop=hop))
    half = rows[: len(rows) // 2]
    starts = [0]
    while starts[-1] + max(size, step) < len(samples):
        starts.append(starts[-1] + step)
    assert [round(16000 * row.start) for row in half] == starts
    for row, again, start in zip(half, rows[len(half) :], starts, strict=True):
        assert isinstance(row, Embedded)
        sound = samples[start : start + size]
        assert (row.end, row.duration) == pytest.approx(
            ((start + len(sound)) / 16000, len(sound) / 16000)
        )
        expected = model.embeddings(sound[None]).scene_embeddings[0]
        np.testing.assert_array_equal(row.scene_embedding, expected)
        np.testing.assert_array_equal(again.scene_embedding, expected)
        assert row.n_timestamps == 0


def test_a_segment_longer_than_any_recording_is_the_recording(model, long) -> None:
    [whole] = embed_files([long], model)
    [row] = embed_files([long], model, segment=1e308)
    np.testing.assert_array_equal(row.scene_embedding, whole.scene_embedding)


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), max_size=9),
    parts=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), max_size=9),
)
def test_any_parts_of_a_sound_can_be_had(sizes, parts) -> None:
    sound = np.arange(sum(sizes), dtype=np.float32)
    buffer = SampleBuffer(iter(np.split(sound, np.cumsum(sizes)[:-1]) if sizes else []))
    start = 0
    for step, length in parts:
        pieces = list(buffer.pieces(start, start + length, keep=start + step))
        found = np.concatenate([sound[:0], *pieces])
        np.testing.assert_array_equal(found, sound[start : start + length])
        assert buffer.reaches(start + step) == (start + step <= len(sound))
        if start + step > len(sound):
            break
        start += step


def test_channels_one_by_one(model, tmp_path, noise) -> None:
    four = noise(20_000, 4)
    soundfile.write(tmp_path / "four.wav", four, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", four[:, :1], 16000, subtype="FLOAT")
    paths = [tmp_path / "four.wav", tmp_path / "one.wav"]
    rows = list(embed_files(paths, model, channels="split"))
    assert [(row.path, row.channel) for row in rows] == [
        *((str(paths[0]), number) for number in (1, 2, 3, 4)),
        (str(paths[1]), 1),
    ]
    for row, number in zip(rows, (0, 1, 2, 3, 0), strict=True):
        expected = model.embeddings(np.ascontiguousarray(four[None, :, number]))
        np.testing.assert_array_equal(row.scene_embedding, expected.scene_embeddings[0])
        np.testing.assert_array_equal(row.timestamp_embeddings, expected.timestamp_embeddings[0])
    [third, failed] = embed_files(paths, model, channels=3)
    np.testing.assert_array_equal(third.scene_embedding, rows[2].scene_embedding)
    assert isinstance(failed, Failed)
    assert "no channel 3, only 1" in str(failed.problem)


def test_a_recording_that_fails_gives_no_segment(model, long) -> None:
    data = long.read_bytes()
    cut = long.with_name("cut.wav")
    cut.write_bytes(data[: len(data) // 2])
    results = list(embed_files([cut, long, cut], model, segment=4))
    assert [type(result) for result in results] == [Failed, Embedded, Embedded, Embedded, Failed]
    assert isinstance(results[0].problem, AudioFileTruncatedError)
    kept = list(embed_files([cut], model, segment=4, on_truncated="keep"))
    assert [row.end for row in kept] == pytest.approx([4, 9.37 / 2], abs=0.01)
    assert "its header promises" in kept[0].truncated


@pytest.mark.parametrize(
    "options",
    [
        {"segment": 0.0},
        {"segment": float("nan")},
        {"segment": 1, "hop": 0},
        {"hop": 1.0},
        {"channels": 0},
        {"channels": "left"},
        {"on_truncated": "maybe"},
    ],
)
def test_options_that_cannot_be(model, options) -> None:
    with pytest.raises(OptionError):
        embed_files([], model, **options)


def test_counter_phase_is_a_warning(tmp_path, noise) -> None:
    sound = noise(20_000)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, -sound], 1), 16000)
    with pytest.warns(UserWarning, match=r"a\.wav: its channels cancel each other out"):
        read_audio(tmp_path / "a.wav")
    assert np.abs(read_audio(tmp_path / "a.wav", channel=2).samples).max() > 0.1


def embed(checkpoint, out, *arguments) -> int:
    return main(["embed", *map(str, arguments), "--model", str(checkpoint), "-o", str(out)])


@pytest.mark.parametrize("ending", ["npz", "npy", "jsonl", "parquet", "hdf5"])
def test_tables_of_segments(checkpoints, kwmlp, long, tmp_path, ending) -> None:
    rows = list(embed_files([long], kwmlp, segment=3.0, hop=1.5))
    scenes = np.stack([row.scene_embedding for row in rows])
    out = tmp_path / f"out.{ending}"
    assert embed(checkpoints["kwmlp"], out, long, "--segment", "3", "--hop", "1.5") == 0
    if ending == "npz":
        table = dict(np.load(out))
        found, starts, ends = (table[name] for name in ("scene_embeddings", "start", "end"))
        assert not table["truncated"].any()
    elif ending == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(out) as file:
            found, starts, ends = (file[name][:] for name in ("scene_embeddings", "start", "end"))
    elif ending == "npy":
        found = np.load(out)
        with (tmp_path / "out.files.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        starts, ends = ([float(line[name]) for line in lines] for name in ("start", "end"))
    elif ending == "jsonl":
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        found, starts, ends = (
            np.array([line[name] for line in lines], np.float32)
            for name in ("scene_embedding", "start", "end")
        )
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(out)
        found = np.stack(table["scene_embedding"].to_numpy(zero_copy_only=False))
        starts, ends = (table[name].to_numpy() for name in ("start", "end"))
        assert table["path"].to_pylist() == [str(long)] * len(rows)
    np.testing.assert_array_equal(found, scenes)
    np.testing.assert_allclose(starts, [row.start for row in rows])
    np.testing.assert_allclose(ends, [row.end for row in rows])


def test_truncated_rows_are_marked(checkpoints, long, tmp_path, capsys) -> None:
    data = long.read_bytes()
    long.with_name("cut.wav").write_bytes(data[: len(data) // 2])
    files, out = (long.with_name("cut.wav"), long), tmp_path / "out.npz"
    assert embed(checkpoints["kwmlp"], out, *files) == 1
    assert "cut.wav: incomplete: its header promises" in capsys.readouterr().err
    assert embed(checkpoints["kwmlp"], out, *files, "--on-truncated", "keep") == 0
    table = np.load(out)
    assert table["truncated"].tolist() == [True, False]
    assert embed(checkpoints["kwmlp"], out, long, "--segment", "1", "--kind", "both") == 2
    assert "segments have scene embeddings only" in capsys.readouterr().err


def test_killed_runs_of_segments_resume(checkpoints, long, tmp_path) -> None:
    files = [long] * 12
    options = [*map(str, files), "--segment", "1", "--shard-files", "1"]
    arguments = [*options, "--model", str(checkpoints["kwmlp"]), "--threads", "1"]
    command = [sys.executable, "-m", "hearaudiomlp", "embed", *arguments]
    whole, killed = tmp_path / "whole.npz", tmp_path / "killed.npz"
    with subprocess.Popen(
        [*command, "-o", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        until = time.monotonic() + 60
        while not (tmp_path / "killed.npz.parts" / "00000.json").exists():
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
    done = subprocess.run([*command, "-o", str(killed)], capture_output=True, check=True)
    assert b"resuming: " in done.stderr
    subprocess.run([*command, "-o", str(whole)], capture_output=True, check=True)
    assert killed.read_bytes() == whole.read_bytes()


def test_segments_of_a_long_recording_are_not_held(model, tmp_path) -> None:
    """All that is held of a recording is what the next segment needs."""
    import tracemalloc

    soundfile.write(tmp_path / "a.flac", np.zeros(16000 * 600, np.int16), 16000)
    stream = AudioStream(tmp_path / "a.flac")
    buffer = SampleBuffer(stream.chunks())
    tracemalloc.start()
    for start in range(0, 16000 * 590, 8000):
        for _ in buffer.pieces(start, start + 16000, start + 8000):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
