"""What comes through a pipe: raw PCM, or a format recognized by its first bytes."""

import os
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from hearaudiomlp import read_audio
from hearaudiomlp.audio.piped import read_pipe
from hearaudiomlp.errors import AudioFileError, AudioFileTruncatedError, MissingDecoderError
from recordings import encode, speech_like


def piped(data: bytes, rate: int = 16000, channels: int = 1, sample_format: str = "s16le"):
    source, sink = os.pipe()

    def write() -> None:
        with os.fdopen(sink, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        chunks = read_pipe(source, rate=rate, channels=channels, sample_format=sample_format)
        return np.concatenate(list(chunks))
    finally:
        while os.read(source, 1 << 16):  # what nobody wanted
            pass
        os.close(source)
        writer.join()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (48000, 2)])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
def test_wav_is_read_by_its_header(tmp_path, kind, subtype, rate, channels) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speech_like(rate, 1.0, channels), rate, subtype=subtype, format=kind)
    data = path.read_bytes() + b"LIST\x04\x00\x00\x00INFO"
    expected = read_audio(path).samples
    np.testing.assert_allclose(piped(data), expected, atol=1e-5)
    at = data.index(b"data") + 4
    if kind != "RF64":  # what a program writes that doesn't know the length yet
        endless = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 : -12]
        np.testing.assert_allclose(piped(endless), expected, atol=1e-5)


@pytest.mark.parametrize("name", [
    *("a.flac", "a.ogg", "a.opus", "a.mp3", "id3.mp3", "a.aac"),
    *("a.w64", "a.wma", "a.wv", "a.tta", "a.avi", "a.ac3", "a.eac3", "a.ts", "a.m2ts"),
])  # fmt: skip
def test_other_formats_are_read_by_ffmpeg(tmp_path, monkeypatch, name) -> None:
    pytest.importorskip("av")
    options = ["-id3v2_version", "0" if name == "a.mp3" else "3"] if "mp3" in name else []
    path = encode(tmp_path / name, *options, sound=speech_like(48000, 1.0), rate=48000)
    found, expected = piped(path.read_bytes()), read_audio(path).samples
    assert len(found) == pytest.approx(len(expected), abs=1200)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDecoderError, match=r"standard input is .*'hearaudiomlp\[media\]'"):
        piped(path.read_bytes())


@pytest.mark.parametrize(
    "first",
    [b"", b"\xff", b"\xff\xfb\x90\x64", b"\xff\xff\xff\xff", b"\x0b\x77\0\0\x14@@", b"GPGP" * 300],
)
def test_samples_are_samples(first) -> None:
    """Also those that look like the beginning of a frame."""
    samples = first + (3000 * np.sin(np.arange(9_000) / 9)).astype("<i2").tobytes()
    samples = samples[: len(samples) & ~1]
    expected = np.frombuffer(samples, "<i2") / np.float32(32768)
    np.testing.assert_array_equal(piped(samples), expected)


def test_samples_are_not_waited_for() -> None:
    """The first byte is that of packets of a transport stream."""
    source, sink = os.pipe()
    with os.fdopen(source, "rb"), os.fdopen(sink, "wb") as live:
        live.write(b"G" + bytes(range(250)) * 8)
        live.flush()
        os.set_blocking(source, False)
        chunks = read_pipe(source, rate=16_000, channels=1, sample_format="s16le")
        assert len(next(chunks))


def test_what_cannot_be_read_is_an_error(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", speech_like(16000, 1.0), 16000)
    data = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(AudioFileTruncatedError, match="1,000 bytes more"):
        piped(data[:-1000])
    for wrong in (data[:20], data[:12] + b"junk\xff\xff\xff\x7f" + data[12:]):
        with pytest.raises(AudioFileError, match="WAV"):
            piped(wrong)
    soundfile.write(tmp_path / "c.wav", speech_like(16000, 1.0), 16000, endian="BIG")
    with pytest.raises(AudioFileError, match="big-endian"):
        piped((tmp_path / "c.wav").read_bytes())
    soundfile.write(tmp_path / "b.wav", speech_like(16000, 1.0), 16000, subtype="MS_ADPCM")
    with pytest.raises(AudioFileError, match="codec 2"):
        piped((tmp_path / "b.wav").read_bytes())


def wav(form: bytes, samples: bytes) -> bytes:
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


MONO = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)


def test_24_bits_in_32_are_read_as_such() -> None:
    form = struct.pack("<HHIIHH", 1, 1, 16000, 64000, 4, 24)
    samples = np.array([1 << 30, -(1 << 31)] * 100, "<i4")
    np.testing.assert_array_equal(piped(wav(form, samples.tobytes())), [0.5, -1.0] * 100)


@pytest.mark.parametrize(
    ("form", "match"),
    [
        (struct.pack("<HHIIHH", 1, 0, 16000, 32000, 0, 16), "can't be decoded from a pipe"),
        (struct.pack("<HHIIHH", 1, 1, 1, 2, 2, 16), "a damaged WAV header"),
        (struct.pack("<HHIIHH", 1, 2, 16000, 32000, 2, 16), "can't be decoded from a pipe"),
    ],
)
def test_a_header_that_cannot_be_is_the_fault_of_the_file(form, match) -> None:
    with pytest.raises(AudioFileError, match=match):
        piped(wav(form, bytes(3200)))


@pytest.mark.parametrize(
    ("behind", "match"),
    [
        (b"data\4\0\0\0abcd", "another recording"),
        (b"LIST\4\0\0\0INFO" + wav(MONO, bytes(100)), "another recording"),
        (b"\1\2" * 400, "doesn't describe"),
    ],
)
def test_samples_behind_the_samples_are_not_passed_over(behind, match) -> None:
    with pytest.raises(AudioFileTruncatedError, match=match):
        piped(wav(MONO, bytes(3200)) + behind)


@pytest.mark.parametrize("behind", [b"LIST\4\0\0\0INFO", bytes(100), b"\n", b""])
@pytest.mark.parametrize("pad", [b"", b"\0"])
def test_what_is_no_sound_behind_the_samples_may_be_there(behind, pad) -> None:
    form = struct.pack("<HHIIHH", 1, 1, 16000, 16000, 1, 8)
    assert len(piped(wav(form, bytes(3201)) + pad + behind)) == 3201


def test_parts_without_content_take_no_minutes(monkeypatch) -> None:
    monkeypatch.setattr("hearaudiomlp.audio.containers.structure.MOST_PARTS", 100)
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    wav, data = b"RIFF\xff\xff\xff\xffWAVE" + form, b"data\x02\0\0\0\0\0"
    nothing = 101 * b"JUNK\0\0\0\0"
    for sound in (wav + nothing + data, wav + data + nothing, 101 * b"ID3\4\0\0\0\0\0\0"):
        with pytest.raises(AudioFileError, match=r"it consists of over 100 (chunks|tags)"):
            piped(sound)
    assert len(piped(wav + nothing[:-24] + data + nothing[:-8])) == 1


def test_a_length_beyond_all_files_is_no_unknown_one() -> None:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    sizes = b"ds64" + struct.pack("<IQQQI", 28, 2**63, 2**63, 2**62, 0)
    with pytest.raises(AudioFileTruncatedError, match="promises 9,223,372,036,854,7"):
        piped(b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff" + bytes(32))


def test_tags_in_front_of_a_pipe_are_passed_over(tmp_path) -> None:
    """FFmpeg would unfold the pictures in them, to 256 MB each."""
    tag = b"ID3\4\0\0\0\0\x07\x76" + bytes(1014)
    assert len(piped(2 * tag + wav(MONO, bytes(3200)))) == 1600


def test_closed_standard_input_is_an_error(checkpoints) -> None:
    command = [sys.executable, "-m", "hearaudiomlp", "listen", "--stdin"]
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *command, "--model", str(checkpoints["kwmlp"])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("hearaudiomlp: standard input is closed")
