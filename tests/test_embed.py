"""Files in, an .npz out; and the command line around it."""

import gc
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp import embed
from hearaudiomlp.audio import AudioStream, read_audio
from hearaudiomlp.cli import main
from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileNotFoundError,
    HearAudioMLPError,
    MissingPackageError,
)
from hearaudiomlp.table.formats import arrays

SAMPLE = Path(__file__).parent.parent / "samples" / "words.flac"


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


FORMS = [
    ("a.wav", 16000, "PCM_16"),
    ("a.wav", 8000, "PCM_U8"),
    ("a.wav", 48000, "PCM_24"),
    ("a.wav", 44100, "FLOAT"),
    ("a.wav", 11025, "ULAW"),
    ("a.flac", 44100, "PCM_16"),
    ("a.ogg", 22050, "VORBIS"),
    ("a.mp3", 44100, "MPEG_LAYER_III"),
    ("a.aiff", 96000, "PCM_16"),
]


@pytest.mark.parametrize(
    ("name", "rate", "subtype", "channels"),
    [
        (*form, channels)
        for form in FORMS
        for channels in (1, 2, 5)
        if channels <= 2 or not form[0].endswith(".mp3")  # MP3 has two at most
    ],
)
def test_formats_rates_and_channels(tmp_path, name, rate, subtype, channels) -> None:
    samples = np.repeat(tone(rate)[:, None], channels, axis=1)
    soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
    recording = read_audio(tmp_path / name)
    assert (recording.sample_rate, recording.channels) == (rate, channels)
    assert recording.samples.dtype == np.float32
    assert recording.duration == pytest.approx(1.0, abs=0.1)
    middle = recording.samples[4000:12000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * 16000 / len(middle) == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def test_channels_are_averaged(tmp_path) -> None:
    left, right = np.full(16000, 0.25), np.full(16000, -0.75)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav").samples, -0.25)


def test_16_khz_mono_is_taken_as_it_is(tmp_path, noise) -> None:
    samples = noise(5000)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff"])
@pytest.mark.parametrize("channels", [1, 2])
def test_16_bits_are_scaled_as_libsndfile_scales_them(tmp_path, noise, name, channels) -> None:
    samples = np.clip(32768 * noise(70_000, channels), -32768, 32767).astype(np.int16)
    samples[0], samples[1] = -32768, 32767
    soundfile.write(tmp_path / name, samples, 16000)
    expected, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
    got = read_audio(tmp_path / name).samples
    np.testing.assert_array_equal(got, expected.mean(1, np.float32))


def test_a_loud_file_is_computed_with_a_warning(tmp_path, noise, monkeypatch) -> None:
    soundfile.write(tmp_path / "a.wav", 1000 * noise(1000), 16000, subtype="FLOAT")
    with pytest.warns(UserWarning, match="PCM left unscaled"):
        assert len(read_audio(tmp_path / "a.wav").samples) == 1000


def bad_files(folder: Path) -> dict[str, Path]:
    names = ("missing", "empty", "text", "nan", "folder", "slow")
    paths = {name: folder / f"{name}.wav" for name in names} | {
        "headerless": folder / "headerless.raw"
    }
    paths["headerless"].write_bytes(bytes(1000))
    soundfile.write(paths["slow"], np.zeros(1000), 1)
    paths["empty"].write_bytes(b"")
    paths["text"].write_text("this is no audio")
    paths["folder"].mkdir()
    soundfile.write(paths["nan"], np.full(100, np.nan), 16000, subtype="FLOAT")
    return paths


def test_files_that_cannot_be_read(tmp_path) -> None:
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(HearAudioMLPError, match=name) as caught:
            read_audio(path)
        kind = AudioFileNotFoundError if name == "missing" else AudioFileError
        assert type(caught.value) is kind


@pytest.mark.parametrize("name", ["soundfile", "soxr"])
def test_missing_extra_is_named(monkeypatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hearaudiomlp\[audio\]'"):
        read_audio(SAMPLE)


def test_embed_writes_what_the_model_computes(model, checkpoints, tmp_path, capsys) -> None:
    soundfile.write(tmp_path / "short.wav", tone(8000, 0.3), 8000)
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16000)
    files = [str(SAMPLE), str(tmp_path / "short.wav"), str(tmp_path / "nothing.wav")]
    out = tmp_path / "out.npz"
    checkpoint = str(checkpoints[model.name])
    assert main(["embed", *files, "--model", checkpoint, "-o", str(out), "--device", "cpu"]) == 0
    with np.load(out, allow_pickle=False) as table:
        assert table["paths"].tolist() == files
        assert table["sample_rates"].tolist() == [44100, 8000, 16000]
        assert table["channels"].tolist() == [2, 1, 1]
        assert table["model"] == model.name
        assert table["checkpoint_sha256"] == model.metadata["checkpoint_sha256"]
        assert table["scene_embeddings"].shape == (3, model.scene_embedding_size)
        for i, path in enumerate(files):
            expected = model.embeddings(read_audio(path).samples[None])
            rows = slice(*table["offsets"][i : i + 2])
            np.testing.assert_array_equal(
                table["timestamp_embeddings"][rows], expected.timestamp_embeddings[0]
            )
            np.testing.assert_array_equal(table["timestamps"][rows], expected.timestamps[0])
            np.testing.assert_array_equal(
                table["scene_embeddings"][i], expected.scene_embeddings[0]
            )
    assert "3 files" in capsys.readouterr().out


def test_bad_files_are_told_and_the_others_embedded(checkpoints, tmp_path, capsys) -> None:
    bad = bad_files(tmp_path)
    bad.pop("folder").rmdir()  # a folder is no failure: what is in it is embedded
    out = tmp_path / "out.npz"
    files = [*map(str, bad.values()), str(SAMPLE)]
    assert main(["embed", *files, "--model", str(checkpoints["audiomae"]), "-o", str(out)]) == 1
    with np.load(out) as table:
        assert table["paths"].tolist() == [str(SAMPLE)]
    message = capsys.readouterr().err
    assert f"{len(bad)} of {len(files)} files failed" in message
    for path in bad.values():
        assert str(path) in message


def test_names_that_are_no_text(checkpoints, tmp_path) -> None:
    odd = tmp_path / os.fsdecode(b"w\xe9.flac")
    shutil.copy(SAMPLE, odd)
    out = tmp_path / "out.npz"
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
    command = [sys.executable, "-m", "hearaudiomlp", "embed", odd, *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(out) as table:
        assert table["paths"][0].endswith("w\\xe9.flac")


def test_a_reader_that_goes_away_does_not_stop_the_work(checkpoints, tmp_path) -> None:
    out = tmp_path / "out.npz"
    files = [str(SAMPLE)] * 3
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
    command = [sys.executable, "-m", "hearaudiomlp", "embed", *files, *arguments]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(out) as table:
        assert len(table["paths"]) == 3


def test_output_that_is_a_folder_is_told_before_the_work(checkpoints, tmp_path, capsys) -> None:
    (tmp_path / "d.npz").mkdir()
    arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(tmp_path / "d.npz")]
    assert main(["embed", str(SAMPLE), *arguments]) == 2
    assert "is no npz table" in capsys.readouterr().err


def test_nothing_is_written_where_nothing_could_be_read(checkpoints, tmp_path, capsys) -> None:
    out = tmp_path / "out.npz"
    arguments = [str(tmp_path / "no.wav"), "--model", str(checkpoints["audiomae"]), "-o", str(out)]
    assert main(["embed", *arguments]) == 1
    assert not out.exists()
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "a.wav", "--model", "m.pth", "-o", "o.npz", "--threads", "0"], "at least 1"),
        (["embed", "--model", "m.pth", "-o", "o.npz"], "PATH"),
        (["embed", "a.wav", "-o", "o.npz", "--encoder", "no"], "--encoder"),
        ([], "COMMAND"),
        (["sing"], "invalid choice"),
    ],
)
def test_wrong_usage(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"--model": "no.pth"}, 1, "there is no model file no.pth"),
        ({"--device": "tpu"}, 1, "device is"),
        ({"-o": "no/out.npz"}, 2, "there is no folder no"),
        ({"-o": "out.txt"}, 2, "it has to end in .npz"),
    ],
)
def test_options_that_cannot_be_used(  # noqa: PLR0917 - fixtures
    checkpoints, tmp_path, capsys, change, status, message
) -> None:
    options = {"--model": str(checkpoints["audiomae"]), "-o": str(tmp_path / "o.npz")} | change
    pairs = [part for pair in options.items() for part in pair]
    assert main(["embed", str(SAMPLE), *pairs]) == status
    assert message in capsys.readouterr().err


def test_a_failed_write_leaves_the_old_file(checkpoints, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out.npz"
    out.write_bytes(b"old")

    def fail(done) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(arrays, "scenes", fail)
    arguments = ["embed", str(SAMPLE), "--model", str(checkpoints["audiomae"]), "-o", str(out)]
    assert main(arguments) == 130
    assert "interrupted; 1 of 1 files are done and stay in out.npz.parts" in capsys.readouterr().err
    assert out.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"out.npz", "out.npz.parts"}
    monkeypatch.undo()
    assert main(arguments) == 0
    assert len(np.load(out)["paths"]) == 1


def test_long_files_are_kept_on_disk_and_give_the_same(model, tmp_path, monkeypatch) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(16000 * 40)
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    [expected] = embed.embed_files([tmp_path / "long.wav"], model)
    monkeypatch.setattr(embed, "IN_MEMORY", 1000)
    monkeypatch.setattr(embed, "CHUNK_ROWS", 77)
    [found] = embed.embed_files([tmp_path / "long.wav"], model)
    np.testing.assert_array_equal(found.timestamp_embeddings, expected.timestamp_embeddings)
    np.testing.assert_array_equal(found.scene_embedding, expected.scene_embedding)


@given(
    lengths=st.lists(st.integers(0, 9), max_size=9),
    in_memory=st.sampled_from([0, 100, 10_000]),
    chunk=st.integers(1, 20),
    data=st.data(),
)
def test_any_rows_come_back(lengths, in_memory, chunk, data) -> None:
    rows = np.arange(3 * sum(lengths), dtype=np.float32).reshape(-1, 3)
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed, "IN_MEMORY", in_memory)
        patch.setattr(embed, "CHUNK_ROWS", chunk)
        store = embed.FrameStore(3)
        for piece in np.split(rows, np.cumsum(lengths)[:-1]) if lengths else []:
            store.append(piece)
        assert len(store) == len(rows)
        empty = np.zeros((0, 3), np.float32)
        found = np.concatenate([empty, *store.chunks(start, stop)])
        np.testing.assert_array_equal(found, rows[start:stop])
        store.close()


def test_rows_of_any_layout_are_taken() -> None:
    store = embed.FrameStore(2)
    store.append(np.arange(8.0).reshape(2, 2, 2).transpose(1, 0, 2))
    assert np.concatenate(list(store.chunks(0, 4))).ravel().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_nothing_can_be_read_once_it_is_closed() -> None:
    store = embed.FrameStore(2)
    store.append(np.ones((1, 2), np.float32))
    store.close()
    with pytest.raises(ValueError, match="released"):
        store.chunks(0, 1)


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


def test_two_runs_write_the_same_bytes(checkpoints, tmp_path) -> None:
    outs = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for out in outs:
        arguments = ["--model", str(checkpoints["audiomae"]), "-o", str(out)]
        assert main(["embed", str(SAMPLE), *arguments]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_ctrl_c_ends_cleanly_and_what_was_done_stays(checkpoints, tmp_path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(16000 * 60), 16000)
    command = [
        sys.executable, "-m", "hearaudiomlp", "embed", *[str(tmp_path / "long.wav")] * 500,
        "--model", str(checkpoints["kwmlp"]), "-o", str(tmp_path / "out.npz"), "--shard-files", "2",
    ]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "out.npz.parts" / "00000.json").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    told, errors = running.communicate(timeout=60)
    assert (running.returncode, told) == (130, "")
    assert re.fullmatch(
        r"hearaudiomlp: interrupted; \d+ of 500 files are done and stay in out.npz.parts: "
        r"the same command goes on from there\n",
        errors,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"long.wav", "out.npz.parts"}
    assert not list((tmp_path / "out.npz.parts").glob(".*"))  # nothing half written


def test_info_tells_what_the_graph_has(checkpoints, capsys) -> None:
    assert main(["info", str(checkpoints["kwmlp"])]) == 0
    told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert told["parameters"] == "424,811"
    assert "windows [n, 16000]" in told["input"]
    embeddings = "frame_embeddings [n, 98, 64]; keyword_logits [n, 35]"
    assert told["output"] == f"{embeddings}; power_mel [n, 98, 40]; mfcc [n, 98, 40]"
    assert "Gemm 50" in told["operators"]
    # 98 frames times 40x64, then per block 98 (64x256 + 128x64 + 98x128); the head's 98 times 64x35
    encoder = 98 * 40 * 64 + 12 * 98 * (64 * 256 + 128 * 64 + 98 * 128) + 98 * 64 * 35
    assert f"encoder {encoder:,}" in " ".join(told.values())


def test_info_of_a_file_that_is_no_model(capsys) -> None:
    assert main(["info", str(SAMPLE)]) == 1
    assert "not an ONNX file" in capsys.readouterr().err
