"""Files of audio: every format, rate and number of channels, and what can't be read."""

import sys

import numpy as np
import pytest
import soundfile

from badfiles import bad_files
from hearaudiomlp.audio import read_audio
from hearaudiomlp.errors import (
    AudioFileError,
    AudioFileNotFoundError,
    HearAudioMLPError,
    MissingPackageError,
)
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"


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
