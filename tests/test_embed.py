"""Many files are embedded as one by one, in memory and on disk."""

import gc
import itertools
import threading
import weakref

import numpy as np
import pytest
import soundfile

from hearaudiomlp import embed
from hearaudiomlp.audio import AudioStream
from hearaudiomlp.storage import frames


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def test_long_files_are_kept_on_disk_and_give_the_same(model, tmp_path, monkeypatch) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(16000 * 40)
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    [expected] = embed.embed_files([tmp_path / "long.wav"], model)
    monkeypatch.setattr(frames, "IN_MEMORY", 1000)
    monkeypatch.setattr(frames, "CHUNK_BYTES", 77 * 256)
    [found] = embed.embed_files([tmp_path / "long.wav"], model)
    np.testing.assert_array_equal(found.timestamp_embeddings, expected.timestamp_embeddings)
    np.testing.assert_array_equal(found.scene_embedding, expected.scene_embedding)


def test_files_are_packed_into_full_blocks(model, tmp_path, monkeypatch) -> None:
    for index in range(21):
        soundfile.write(tmp_path / f"{index:02}.wav", tone(16000, 0.9), 16000)
    sizes = []
    encode = type(model).encode
    monkeypatch.setattr(type(model), "encode", lambda *a: sizes.append(len(a[1])) or encode(*a))
    files = list(embed.embed_files(sorted(tmp_path.iterdir()), model))
    assert [file.path for file in files] == [str(path) for path in sorted(tmp_path.iterdir())]
    assert sorted(sizes) == [9, 12]


def test_a_file_that_is_too_loud_for_float32_fails_alone(model, tmp_path, monkeypatch) -> None:
    for name, scale in (("a", 1.0), ("b", 1e30), ("c", 1.0)):
        samples = scale * tone(16000, 1.3)
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000, subtype="DOUBLE")
    paths = sorted(tmp_path.iterdir())
    with pytest.warns(UserWarning, match="far outside"):
        first, second, third = embed.embed_files(paths, model)
    assert isinstance(second, embed.Failed)
    assert "overflows float32" in str(second.problem)
    [alone] = embed.embed_files(paths[:1], model)
    for found in (first, third):
        np.testing.assert_array_equal(found.timestamp_embeddings, alone.timestamp_embeddings)


def test_files_that_fail_keep_nothing(model, tmp_path, monkeypatch) -> None:
    soundfile.write(tmp_path / "a.wav", tone(44100, 0.5), 44100)
    soundfile.write(tmp_path / "b.wav", np.full(8000, np.nan), 8000, subtype="FLOAT")
    (tmp_path / "c.wav").write_text("no sound")
    streams = []
    start = AudioStream.__init__

    def starting(stream, path, **options) -> None:
        streams.append(weakref.ref(stream))
        start(stream, path, **options)

    monkeypatch.setattr(AudioStream, "__init__", starting)
    gc.disable()  # what the command leaves, nobody looks through
    try:
        paths = [tmp_path / f"{name}.wav" for name in ("b", "a", "c", "missing")]
        failed = [type(file) is embed.Failed for file in embed.embed_files(paths, model)]
        assert failed == [True, False, True, True]
        assert [stream() for stream in streams] == [None] * 4
    finally:
        gc.enable()


def test_giving_up_in_the_middle_ends_the_work(model, tmp_path, monkeypatch) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000, 9), 16000)
    running, encode = set(), type(model).encode

    def watched(*arguments):
        running.add(threading.get_ident())
        try:
            return encode(*arguments)
        finally:
            running.discard(threading.get_ident())

    monkeypatch.setattr(type(model), "encode", watched)
    files = embed.embed_files(itertools.repeat(tmp_path / "a.wav"), model)
    next(files)
    files.close()
    assert not running
    model.pool.submit(int).result(timeout=10)  # nothing is left in front of it
