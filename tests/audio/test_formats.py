"""Every format gives the sound that went into it, by whatever decoder reads it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearaudiomlp import read_audio
from hearaudiomlp.errors import AudioFileError, MissingDecoderError, MissingPackageError
from recordings import encode, ffmpeg, shift, speech_like

SECONDS = 2.5
PRIMING = 2400
"""Samples that an encoder may put before or behind the sound, if it can't say so."""

WITH_AUDIO = {
    "pcm.wav": [],
    "float.wav": ["-c:a", "pcm_f32le"],
    "24.wav": ["-c:a", "pcm_s24le"],
    "ulaw.wav": ["-c:a", "pcm_mulaw"],
    "adpcm.wav": ["-c:a", "adpcm_ms"],
    "pipe.wav": ["-f", "wav", "-"],
    "a.w64": [],
    "a.aiff": [],
    "a.au": [],
    "a.caf": ["-c:a", "pcm_s16le"],
    "a.flac": [],
    "cbr.mp3": ["-b:a", "64k"],
    "vbr.mp3": ["-q:a", "5"],
    "noxing.mp3": ["-b:a", "64k", "-write_xing", "0"],
    "a.mp2": ["-c:a", "mp2", "-b:a", "128k"],
    "vorbis.ogg": ["-c:a", "libvorbis"],
    "a.opus": ["-b:a", "32k"],
}
"""Options of ffmpeg for what the extra [audio] reads."""

WITH_MEDIA = {
    "a.m4a": ["-c:a", "aac"],
    "fast.m4a": ["-c:a", "aac", "-movflags", "+faststart"],
    "fragments.mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    "alac.m4a": ["-c:a", "alac"],
    "a.mov": ["-c:a", "pcm_s16le"],
    "a.aac": ["-c:a", "aac"],
    "alac.caf": ["-c:a", "alac"],
    "a.mka": ["-c:a", "libvorbis"],
    "opus.webm": ["-c:a", "libopus"],
    "live.webm": ["-c:a", "libopus", "-f", "webm", "-"],
    "a.wma": ["-c:a", "wmav2"],
    "a.ac3": ["-c:a", "ac3"],
    "flac.oga": ["-c:a", "flac"],
    "pipe.flac": ["-f", "flac", "-"],
    "aac.mkv": ["-c:a", "aac"],
    "a.tta": [],
    "a.wv": [],
    "a.avi": ["-c:a", "mp3"],
}
"""Options of ffmpeg for what takes the extra [media], too."""


def check(path: Path, sound: np.ndarray, rate: int) -> None:
    recording = read_audio(path)
    assert recording.truncated == ""
    assert recording.channels == sound.shape[1]
    assert recording.duration == pytest.approx(SECONDS, abs=PRIMING / rate)
    source = path.with_name("expected.wav")
    soundfile.write(source, sound, rate, subtype="FLOAT")
    expected = read_audio(source).samples
    late = shift(recording.samples, expected)
    assert abs(late) <= PRIMING / rate * 16000
    found = np.roll(recording.samples[: len(expected)], -late)
    count = min(len(found), len(expected)) - PRIMING
    assert np.corrcoef(found[:count], expected[:count])[0, 1] > 0.98


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("name", WITH_AUDIO)
def test_with_the_audio_extra_alone(tmp_path, monkeypatch, name, rate, channels) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    rate = 48000 if name.endswith(".opus") else rate
    sound = speech_like(rate, SECONDS, channels)
    check(encode(tmp_path / name, *WITH_AUDIO[name], sound=sound, rate=rate), sound, rate)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("name", WITH_MEDIA)
def test_with_the_media_extra(tmp_path, monkeypatch, name, rate, channels) -> None:
    pytest.importorskip("av")
    rate = 48000 if "webm" in name else rate
    sound = speech_like(rate, SECONDS, channels)
    path = encode(tmp_path / name, *WITH_MEDIA[name], sound=sound, rate=rate)
    check(path, sound, rate)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioFileError, match=rf"{name}.*'hearaudiomlp\[media\]'"):
        read_audio(path)


def test_a_missing_decoder_is_a_failed_file_and_a_missing_package(tmp_path, monkeypatch) -> None:
    path = encode(tmp_path / "a.m4a", sound=speech_like(16000, 1), rate=16000)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDecoderError, match="this M4A file needs the extra") as caught:
        read_audio(path)
    assert isinstance(caught.value, MissingPackageError)
    assert isinstance(caught.value, AudioFileError)


def test_the_sound_of_a_video(tmp_path) -> None:
    pytest.importorskip("av")
    sound = speech_like(48000, 2, 2)
    track = encode(tmp_path / "track.wav", sound=sound, rate=48000)
    picture = ("-f", "lavfi", "-i", "color=s=64x64:d=3", "-i", track)
    ffmpeg(*picture, "-c:v", "mpeg4", "-c:a", "aac", tmp_path / "film.mp4")
    assert read_audio(tmp_path / "film.mp4").duration == pytest.approx(2, abs=0.05)
    ffmpeg(*picture[:4], "-c:v", "mpeg4", tmp_path / "silent.mp4")
    with pytest.raises(AudioFileError, match="no sound track"):
        read_audio(tmp_path / "silent.mp4")


def test_a_list_of_addresses_is_no_recording(tmp_path) -> None:
    """FFmpeg would open what a playlist names."""
    sound = encode(tmp_path / "a.aac", sound=speech_like(16000, 1), rate=16000)
    for name, text in (
        ("a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{sound}\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", f"ffconcat version 1.0\nfile '{sound}'\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioFileError, match="not an audio file"):
            read_audio(tmp_path / name)


@pytest.mark.parametrize("mode", [0, 3, 7])
def test_amr(tmp_path, mode) -> None:
    """Frames of any content are sound; few programs encode them."""
    pytest.importorskip("av")
    size = (13, 14, 16, 18, 20, 21, 27, 32)[mode]
    rng = np.random.default_rng(mode)
    frames = [bytes([mode << 3 | 4]) + rng.bytes(size - 1) for _ in range(100)]
    path = tmp_path / "memo.amr"
    path.write_bytes(b"#!AMR\n" + b"".join(frames))
    assert read_audio(path).duration == pytest.approx(2.0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AudioFileError, match=f"{size - 1} of {size} bytes"):
        read_audio(path)


def test_names_that_mean_something_to_ffmpeg(tmp_path) -> None:
    pytest.importorskip("av")
    for name in ("concat:a|b.m4a", "https:x.m4a", "%03d.m4a", "-i.m4a", "pipe:0.m4a"):
        plain = encode(tmp_path / "plain.m4a", sound=speech_like(16000, 1), rate=16000)
        path = plain.rename(tmp_path / name)
        assert read_audio(path).duration == pytest.approx(1, abs=0.07)
