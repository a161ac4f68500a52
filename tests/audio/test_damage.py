"""What was lost is known, and what was not lost is not claimed."""

import os
import socket
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearaudiomlp import read_audio
from hearaudiomlp.audio import AudioStream
from hearaudiomlp.audio.containers import chunks
from hearaudiomlp.audio.containers.structure import Structure
from hearaudiomlp.audio.ffmpeg import FfmpegDecoder
from hearaudiomlp.errors import (
    AudioFileChangedError,
    AudioFileError,
    AudioFileTruncatedError,
    AudioFormatChangedError,
    MissingDecoderError,
    OptionError,
)
from recordings import encode, ogg_checksum, speech_like

SECONDS = 3.0


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return speech_like(44100, SECONDS, 1)


# Recorders that lost power, and sizes that wrapped round.


def wav(sound: np.ndarray, rate: int, **sizes: int) -> bytearray:
    """Return a WAV of 16 bits with sizes of the header as they are given."""
    data = (32767 * sound).astype("<i2").tobytes()
    size = sizes.get("data", len(data))
    channels = sound.shape[1]
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", sizes.get("riff", 36 + len(data)), b"WAVE", b"fmt ", 16, 1,
        channels, rate, 2 * channels * rate, 2 * channels, 16, b"data", size,
    )  # fmt: skip
    return bytearray(head + data)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "sizes",
    [
        {"data": 0, "riff": 36},
        {"data": 0, "riff": 0},
        {"data": 0},
        {"data": 4096, "riff": 36 + 4096},
        {"data": 44100, "riff": 0},
        {"data": 0xFFFFFFFF, "riff": 0xFFFFFFFF},
        {"data": 0x7FFFFFFF, "riff": 0x7FFFFFFF},
        {"data": 0x7FFFF000, "riff": 0},
    ],
)
def test_sizes_that_a_recorder_never_wrote(tmp_path, sizes, channels) -> None:
    sound = speech_like(44100, SECONDS, channels)
    (tmp_path / "a.wav").write_bytes(wav(sound, 44100, **sizes))
    (tmp_path / "b.wav").write_bytes(wav(sound, 44100))
    found, expected = read_audio(tmp_path / "a.wav"), read_audio(tmp_path / "b.wav")
    assert found.duration == SECONDS
    np.testing.assert_array_equal(found.samples, expected.samples)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_other_samples_behind_a_size_of_0(tmp_path, sound, subtype) -> None:
    soundfile.write(tmp_path / "b.wav", sound, 44100, subtype=subtype)
    data = bytearray((tmp_path / "b.wav").read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = bytes(4)
    (tmp_path / "a.wav").write_bytes(data)
    found, expected = read_audio(tmp_path / "a.wav"), read_audio(tmp_path / "b.wav")
    count = len(expected.samples)
    np.testing.assert_array_equal(found.samples[: count - 200], expected.samples[: count - 200])


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST\x04\x00\x00\x00INFO",
        b"LIST\xff\x00\x00\x00INFO",  # a tag that is cut off
        b"id3 \x06\x00\x00\x00abcdef" + b"LIST\x04\x00\x00\x00INFO",
        b"TAG" + bytes(125),
        bytes(3000),
        b"abcd\x02\x00\x00\x00xy",  # a chunk that nobody knows
    ],
)
def test_what_is_behind_the_samples_may_be_no_samples(tmp_path, sound, behind) -> None:
    (tmp_path / "a.wav").write_bytes(wav(sound, 44100) + behind)
    assert read_audio(tmp_path / "a.wav").duration == SECONDS


def test_what_is_no_sound_behind_the_samples_is_left_out_with_a_warning(tmp_path, sound) -> None:
    archive = b"\xfe\x01" + np.random.default_rng(0).bytes(20_000)
    (tmp_path / "a.wav").write_bytes(wav(sound, 44100) + archive)
    with pytest.warns(UserWarning, match="20,002 bytes behind its samples are no sound"):
        assert read_audio(tmp_path / "a.wav").duration == SECONDS


def test_two_wavs_put_together(tmp_path, sound) -> None:
    (tmp_path / "a.wav").write_bytes(2 * wav(sound, 44100))
    with pytest.raises(AudioFileTruncatedError, match="another recording of"):
        read_audio(tmp_path / "a.wav")
    kept = read_audio(tmp_path / "a.wav", on_truncated="keep")
    assert kept.duration == SECONDS
    assert "another recording of" in kept.truncated


def test_a_size_that_counts_the_header_is_no_loss(tmp_path, sound) -> None:
    size = len(wav(sound, 44100)) - 44
    (tmp_path / "a.wav").write_bytes(wav(sound, 44100, data=size + 44))
    assert read_audio(tmp_path / "a.wav").duration == SECONDS


@pytest.mark.parametrize("tag", [b"", b"LIST\x04\x00\x00\x00INFO"])
def test_sizes_that_wrapped_round_at_4_gib(tmp_path, tag) -> None:
    """A file that is nearly all hole is refused, but only when its structure was looked at."""
    from hearaudiomlp.audio.decoders import examine

    size = (1 << 32) + 480_000
    head = wav(np.zeros((0, 2)), 48000, data=480_000, riff=480_036)
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(head)
        file.seek(44)
        file.write(b"\x01\x00" * 240_002)  # what is behind the wrapped size is sound, too
        file.seek(44 + size)
        file.truncate()
        file.write(tag)
    with path.open("rb") as file:
        raw = examine(file).raw
    assert raw is not None
    assert (raw.offset, raw.size, raw.channels, raw.sample_rate) == (44, size, 2, 48000)
    with pytest.raises(AudioFileError, match="a sparse file"):
        read_audio(path)


# Files that were cut off.

CUT = {
    "a.wav": [], "a.aiff": [], "a.au": [], "a.w64": [], "a.flac": [], "a.mp3": [],
    "noxing.mp3": ["-write_xing", "0"], "a.ogg": ["-c:a", "libvorbis"], "a.opus": ["-ar", "48000"],
    "fast.m4a": ["-movflags", "+faststart"], "moov.m4a": [], "a.mka": ["-c:a", "libvorbis"],
    "fragments.mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    "live.webm": ["-c:a", "libopus", "-ar", "48000", "-f", "webm", "-"], "a.wma": ["-c:a", "wmav2"],
    "a.aac": [], "flac.oga": ["-c:a", "flac"], "pipe.flac": ["-f", "flac", "-"],
    "pipe.mkv": ["-c:a", "aac", "-f", "matroska", "-"], "index.caf": ["-c:a", "alac"],
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_files_that_were_cut_off(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    long = np.concatenate([sound] * 4)
    data = encode(tmp_path / name, *CUT[name], sound=long, rate=44100).read_bytes()
    for fraction in (0.35, 0.8):
        (tmp_path / name).write_bytes(data[: int(fraction * len(data))])
        with pytest.raises(AudioFileTruncatedError, match=f"{name}: incomplete: "):
            read_audio(tmp_path / name)
        if name in ("moov.m4a", "index.caf"):  # nothing of it can be read without its end
            continue
        kept = read_audio(tmp_path / name, on_truncated="keep")
        assert kept.truncated
        assert kept.duration == pytest.approx(4 * SECONDS * fraction, abs=1.8)


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        *(("SVX", 1), ("WVE", 1), ("VOC", 1), ("VOC", 2), ("NIST", 1), ("NIST", 2), ("AVR", 1)),
        *(("AVR", 2), ("MPC2K", 1), ("MPC2K", 2), ("MAT4", 1), ("MAT4", 2)),
    ],
)
def test_files_of_rare_formats_that_were_cut_off(tmp_path, kind, channels) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    rate, subtype = (8000, "ALAW") if kind == "WVE" else (16000, "PCM_16")
    soundfile.write(path, speech_like(rate, SECONDS, channels), rate, subtype, format=kind)
    assert read_audio(path).duration == SECONDS
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 5])
    with pytest.raises(AudioFileTruncatedError, match="its header promises"):
        read_audio(path)
    assert 1 < read_audio(path, on_truncated="keep").duration < 1.5


def test_samples_of_a_caf_that_its_header_leaves_out(tmp_path, sound) -> None:
    path = tmp_path / "a.caf"
    soundfile.write(path, sound, 44100)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 8] = struct.pack(">q", 20_000)
    path.write_bytes(data)
    with pytest.raises(AudioFileTruncatedError, match="header doesn't describe"):
        read_audio(path)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "flac.oga"])
def test_a_damaged_page_is_a_loss(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    long = np.concatenate([sound] * 4)
    path = encode(tmp_path / name, *CUT[name], sound=long, rate=44100)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(AudioFileTruncatedError, match="pages are damaged"):
        read_audio(path)
    assert read_audio(path, on_truncated="keep").duration > 6


@pytest.mark.parametrize("name", ["a.flac", "a.aac", "a.mka", "moov.m4a"])
def test_damage_in_the_middle_is_not_silent(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / name, *CUT[name], sound=sound, rate=44100)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)
    with pytest.raises(AudioFileError):
        read_audio(path)


# Whole files that look odd.


def test_a_missing_end_mark_is_a_warning(tmp_path, sound) -> None:
    path = encode(tmp_path / "a.ogg", *CUT["a.ogg"], sound=sound, rate=44100)
    data = bytearray(path.read_bytes())
    last = data.rindex(b"OggS")
    data[last + 5] &= ~4
    data[last + 22 : last + 26] = ogg_checksum(bytes(data[last:])).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="no end mark"):
        assert read_audio(path).duration == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize("media", [True, False])
@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_chained_streams_are_read_whole(tmp_path, monkeypatch, sound, name, media) -> None:
    monkeypatch.setitem(sys.modules, *(("av", None) if not media else ("unused", None)))
    parts = []
    for number, piece in enumerate((sound, sound[:50_000], sound[30_000:])):
        path = encode(tmp_path / f"{number}{name}", *CUT[name], sound=piece, rate=44100)
        parts.append(path)
    chain = tmp_path / name
    chain.write_bytes(b"".join(path.read_bytes() for path in parts))
    durations = [read_audio(path).duration for path in parts]
    assert read_audio(chain).duration == pytest.approx(sum(durations), abs=1e-9)
    assert sum(durations) == pytest.approx(len(sound) * 2 / 44100 + 20_000 / 44100, abs=1e-3)


def test_a_change_of_the_format_is_an_error_of_its_own(tmp_path, sound) -> None:
    pytest.importorskip("av")
    for name, options in (("a.ogg", CUT["a.ogg"]), ("a.mp3", []), ("a.aac", [])):
        one = encode(tmp_path / f"1{name}", *options, sound=sound, rate=44100).read_bytes()
        other = encode(tmp_path / f"2{name}", *options, sound=sound, rate=22050).read_bytes()
        (tmp_path / name).write_bytes(one + other)
        with pytest.raises(AudioFormatChangedError, match=f"{name}: changes its format: 44100 Hz"):
            read_audio(tmp_path / name)
        stereo = np.repeat(sound, 2, axis=1)
        other = encode(tmp_path / f"2{name}", *options, sound=stereo, rate=44100).read_bytes()
        (tmp_path / name).write_bytes(one + other)
        with pytest.raises(AudioFormatChangedError, match="1 channels, then 44100 Hz, 2 channels"):
            read_audio(tmp_path / name)


MP3 = {
    "cbr": ["-b:a", "64k", "-write_xing", "0"],
    "vbr": ["-q:a", "6", "-write_xing", "0"],
    "xing": ["-q:a", "6"],
    "mpeg2": ["-ar", "16000", "-b:a", "24k", "-write_xing", "0"],
}


@pytest.mark.parametrize("silence", ["before", "behind", "none"])
@pytest.mark.parametrize("tags", ["none", "picture", "id3v1"])
@pytest.mark.parametrize("mode", MP3)
def test_mp3s_whose_length_can_only_be_estimated(
    tmp_path, monkeypatch, mode, tags, silence
) -> None:
    rate = 16000 if mode == "mpeg2" else 44100
    sound = speech_like(rate, SECONDS, 1)
    nothing = np.zeros((2 * rate, 1))
    if silence != "none":
        sound = np.concatenate([nothing, sound] if silence == "before" else [sound, nothing])
    path = encode(tmp_path / "a.mp3", *MP3[mode], "-id3v2_version", "0", sound=sound, rate=rate)
    data = path.read_bytes()
    if tags == "picture":
        size = 150_000
        digits = bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))
        data = b"ID3\x04\x00\x00" + digits + b"APIC" + bytes(size - 4) + data
    elif tags == "id3v1":
        data += b"TAG" + b" " * 125
    path.write_bytes(data)
    seconds = len(sound) / rate
    for media in (True, False):
        if not media:
            monkeypatch.setitem(sys.modules, "av", None)
        try:
            assert read_audio(path).duration == pytest.approx(seconds, abs=0.15)
        except MissingDecoderError:
            assert not media  # an error that names the extra, not a part of the file


@pytest.mark.parametrize("mode", MP3)
def test_mp3s_put_together(tmp_path, monkeypatch, mode) -> None:
    pytest.importorskip("av")
    rate = 16000 if mode == "mpeg2" else 44100
    sound = speech_like(rate, SECONDS, 1)
    path = encode(tmp_path / "a.mp3", *MP3[mode], sound=sound, rate=rate)
    path.write_bytes(3 * path.read_bytes())
    assert read_audio(path).duration == pytest.approx(3 * SECONDS, abs=0.4)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDecoderError, match=r"\[media\]"):
        read_audio(path)


# What decoders print, empty files, changes, and what is to be kept.


def test_decoders_print_nothing(tmp_path, capfd, sound) -> None:
    """libmpg123 comments on such files on standard error, of its own accord."""
    pytest.importorskip("av")
    path = encode(tmp_path / "a.mp3", sound=sound, rate=44100)
    data = path.read_bytes()
    for number, odd in enumerate(
        (
            *(data + data, data[: len(data) // 2], data[:3000] + bytes(500) + data[3000:]),
            *(data + b"xyz", 2 * (b"\xff\xfb\x10\xc4" + bytes(100)) + 5_000_000 * b"x"),
        )
    ):
        (tmp_path / f"{number}.mp3").write_bytes(odd)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_audio(tmp_path / f"{number}.mp3", on_truncated="keep")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.txt"])
def test_empty_files_are_called_empty(tmp_path, name) -> None:
    (tmp_path / name).touch()
    with pytest.raises(AudioFileError, match=f"{name}.*it is empty"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "moov.m4a"])
def test_a_change_while_reading_is_noticed(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / name, *CUT[name], sound=sound, rate=44100)
    stream = AudioStream(path)
    chunks = stream.chunks()
    next(chunks)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(AudioFileChangedError, match="has changed while it was read"):
        list(chunks)


@pytest.mark.parametrize("left", [2, 6])
def test_a_file_that_shrinks_while_its_structure_is_looked_at(
    tmp_path, monkeypatch, sound, left
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, 44100)

    def shrink(file, size_of=chunks.size_of) -> int:
        size = size_of(file)
        os.truncate(path, left)
        return size

    monkeypatch.setattr(chunks, "size_of", shrink)
    monkeypatch.setattr("hearaudiomlp.audio.decoders._BUFFER", 0)
    with pytest.raises(AudioFileChangedError, match="has changed while it was read"):
        read_audio(path)


def test_a_file_that_is_emptied_before_it_is_decoded(tmp_path, capfd) -> None:
    """FFmpeg seeks to before its end then, and PyAV prints the traceback of that error."""
    pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    path.touch()
    with pytest.raises(ValueError, match="Invalid data"):
        FfmpegDecoder(str(path), Structure("M4A"))
    assert capfd.readouterr().err == ""


def test_a_format_that_does_not_tell_where_it_ends(tmp_path) -> None:
    """FFmpeg takes what is there for all: half a file must not be taken for a whole one unsaid."""
    av = pytest.importorskip("av")
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for samples in np.arange(16_000, dtype=np.int16).reshape(16, 1, -1):
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.rate = 16_000
            container.mux(stream.encode(frame))
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"its format \(nut\) doesn't tell where it ends"):
            assert len(read_audio(path).samples) > 1_000
        path = tmp_path / "b.nut"
        path.write_bytes((tmp_path / "a.nut").read_bytes()[:16_000])


def test_on_truncated_is_fail_or_keep(tmp_path) -> None:
    with pytest.raises(OptionError, match="on_truncated is fail or keep"):
        read_audio(tmp_path / "a.wav", on_truncated="perhaps")  # type: ignore[arg-type]


@pytest.mark.parametrize("channel", [0, -1, 1.0, "1", [1]])
def test_channels_are_whole_numbers(tmp_path, channel) -> None:
    with pytest.raises(OptionError, match="channels are whole numbers"):
        read_audio(tmp_path / "a.wav", channel=channel)


def silent_flac(frames: int, rate: int, channels: int) -> bytes:
    """Blocks of 65,535 samples take 11 bytes each, and two more for each further channel."""
    size = 65535
    info = struct.pack(">HH", size, size) + bytes(6)
    bits = rate << 44 | channels - 1 << 41 | 7 << 36 | frames * size
    data = b"fLaC" + b"\x80\x00\x00\x22" + info + bits.to_bytes(8, "big") + bytes(16)
    for number in range(frames):
        head = bytes([0xFF, 0xF8, 0x70, channels - 1 << 4 | 2])
        head += chr(number).encode("utf-8", "surrogatepass") + struct.pack(">H", size - 1)
        frame = head + bytes([crc8(head)]) + channels * b"\x00\x00"
        data += frame + struct.pack(">H", crc16(frame))
    return data


def test_a_flac_of_far_more_samples_than_bytes_is_refused(tmp_path, monkeypatch) -> None:
    """However short they are: an hour of eight channels at 655 kHz takes minutes."""
    monkeypatch.setattr("hearaudiomlp.audio.files._HOUR", 1 << 20)
    path = tmp_path / "bomb.flac"
    path.write_bytes(silent_flac(30, 655_350, 8))
    with pytest.raises(AudioFileError, match="822 bytes that decode to over 3,"):
        read_audio(path)
    soundfile.write(path, np.zeros((600_000, 8)), 48_000)  # by an encoder
    assert read_audio(path).duration == 12.5


def test_a_flac_that_decodes_to_days_is_refused(tmp_path) -> None:
    path = tmp_path / "bomb.flac"
    path.write_bytes(silent_flac(3000, 1000, 1))
    with pytest.raises(AudioFileError, match="bytes that decode to over"):
        for _ in AudioStream(path).chunks():
            pass


def crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


@pytest.mark.parametrize("place", ["folder", "pipe", "socket", "device", "link", "hole"])
def test_what_is_no_file_is_refused_at_once(tmp_path, place) -> None:
    path = tmp_path / "a.wav"
    if place == "folder":
        path.mkdir()
    elif place == "pipe":
        os.mkfifo(path)
    elif place == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif place == "device":
        path = Path("/dev/zero")
    elif place == "hole":
        with path.open("wb") as file:
            file.truncate(1 << 34)
    else:
        path.symlink_to(path)
    match = r"a folder|a pipe or device|symbolic links|a sparse file"
    with pytest.raises(AudioFileError, match=match):
        read_audio(path)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="pipes have no names here")
def test_a_pipe_that_a_shell_names() -> None:
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"fLaC" + bytes(100))
        with pytest.raises(AudioFileError, match="a pipe or device: write it to a file first"):
            read_audio(f"/dev/fd/{ours}")
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    "name", ["a.wav", "a.aiff", "a.au", "moov.m4a", "a.mka", "index.caf", "a.tta"]
)
def test_a_second_recording_in_a_file_is_not_passed_over(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / name, *CUT.get(name, []), sound=sound, rate=44100)
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(AudioFileTruncatedError, match="another recording of"):
        read_audio(path)
    kept = read_audio(path, on_truncated="keep")
    assert kept.truncated
    parts = 2 if name == "a.mka" else 1  # FFmpeg finds the second one by itself
    assert kept.duration == pytest.approx(parts * SECONDS, abs=0.06)
