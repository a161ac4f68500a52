"""Whole files that look odd are read whole; what can't be known is said."""

import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearaudiomlp import read_audio
from hearaudiomlp.errors import AudioFileError, AudioFileTruncatedError, AudioFormatChangedError
from recordings import encode, ffmpeg, ogg_checksum, speech_like

SECONDS = 3.0
RATE = 44100


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return speech_like(RATE, SECONDS, 1)


def id3(size: int) -> bytes:
    digits = bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + digits + b"PRIV" + bytes(size - 4)


APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0x80000000) + bytes(8)


def test_a_flac_behind_a_tag_that_is_longer(tmp_path, sound) -> None:
    """libsndfile fails to seek in it."""
    path = tmp_path / "a.flac"
    soundfile.write(path, sound, RATE)
    expected = read_audio(path).samples
    path.write_bytes(id3(1_000_000) + path.read_bytes())
    np.testing.assert_array_equal(read_audio(path).samples, expected)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.aac", "a.ac3", "a.tta"])
def test_the_tag_in_front_is_not_decoded(tmp_path, monkeypatch, sound, name) -> None:
    """FFmpeg would unfold the pictures in it, to 256 MB each."""
    av = pytest.importorskip("av")
    options = ["-f", "flac", "-"] if name == "a.flac" else []
    data = encode(tmp_path / name, *options, sound=sound, rate=RATE).read_bytes()
    (tmp_path / name).write_bytes(id3(1000) + data + (data if name == "a.mp3" else b""))
    heads = []

    def note(file, **options):
        heads.append(file.read(3))
        file.seek(0)
        return av.container.open(file, **options)

    monkeypatch.setattr(av, "open", note)
    assert read_audio(tmp_path / name).duration > 2.9
    assert heads
    assert heads[0] != b"ID3"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system isn't Linux")
def test_tags_between_frames_are_not_decoded(tmp_path, sound) -> None:
    """Their pictures, of 65 kB each, would unfold to 64 MB each."""
    pytest.importorskip("av")
    data = encode(tmp_path / "a.aac", sound=sound, rate=RATE).read_bytes()
    expected = read_audio(tmp_path / "a.aac").samples
    picture = b"\0image/png\0\3\0" + bytes(1 << 26)
    packed = zlib.compress(picture)
    size = bytes((4 + len(packed)) >> shift & 127 for shift in (21, 14, 7, 0))
    frame = b"APIC" + size + b"\0\x09" + struct.pack(">I", len(picture)) + packed
    tag = id3(8 * len(frame))[:10] + 8 * frame
    first = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    places = [first, first + ((data[first + 3] & 3) << 11 | data[first + 4] << 3)]
    places[1] += data[first + 5] >> 5
    parts = [data[: places[0]], data[places[0] : places[1]], data[places[1] :]]
    (tmp_path / "tagged.aac").write_bytes((tag + id3(100) + data[:first]).join(parts))
    code = (
        "import re, hearaudiomlp\n"
        "print(hearaudiomlp.read_audio('tagged.aac').duration)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    duration, memory = map(float, done.stdout.split())
    assert memory < 300_000  # kB
    repeated = 2 * 1024 / RATE  # the first frame, twice
    assert duration == pytest.approx(len(expected) / 16_000 + repeated, abs=0.01)


# Headers that are wrong about the number of samples.

SIZES = {
    # Where the size is: behind which name, by how many bytes, and its type.
    "a.wav": (b"data", 4, "<I"),
    "big.wav": (b"data", 4, ">I"),
    "rf64.wav": (b"ds64", 16, "<Q"),
    "a.w64": (b"data\xf3\xac\xd3\x11", 16, "<Q"),
    "a.aiff": (b"SSND", 4, ">I"),
    "little.aifc": (b"SSND", 4, ">I"),
    "float.aifc": (b"SSND", 4, ">I"),
    "a.au": (b".snd", 8, ">I"),
    "float.au": (b".snd", 8, ">I"),
    "a.caf": (b"data", 4, ">q"),
    "big.caf": (b"data", 4, ">q"),
}
FORMATS = {
    "a.wav": ("WAV", "PCM_16", "LITTLE"),
    "big.wav": ("WAV", "PCM_16", "BIG"),
    "rf64.wav": ("RF64", "PCM_24", None),
    "a.w64": ("W64", "PCM_16", None),
    "a.aiff": ("AIFF", "PCM_24", "BIG"),
    "little.aifc": ("AIFF", "PCM_16", "LITTLE"),
    "float.aifc": ("AIFF", "FLOAT", None),
    "a.au": ("AU", "PCM_16", "BIG"),
    "float.au": ("AU", "DOUBLE", "BIG"),
    "a.caf": ("CAF", "PCM_16", "LITTLE"),
    "big.caf": ("CAF", "FLOAT", "BIG"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_ends_in_its_header_is_no_empty_sound(tmp_path, sound, name) -> None:
    kind, subtype, endian = FORMATS[name]
    path = tmp_path / name
    soundfile.write(path, sound[:50], RATE, subtype, endian, kind)
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        if cut < 150 or cut > len(whole) - 450:  # the header of CAF is long, and empty
            path.write_bytes(whole[:cut])
            with pytest.raises(AudioFileError):
                read_audio(path)


# CAF has a size of its own for what is unknown, so a small one is believed there.
@pytest.mark.parametrize(
    ("name", "size"),
    [
        (name, size)
        for name in SIZES
        for size in ("zero", "unknown", "small")
        if not (size == "small" and name.endswith(".caf"))
    ],
)
def test_sizes_that_were_never_written(tmp_path, name, size) -> None:
    sound = speech_like(RATE, SECONDS, 2)
    path = tmp_path / name
    container, subtype, endian = FORMATS[name]
    soundfile.write(path, sound, RATE, format=container, subtype=subtype, endian=endian)
    expected = read_audio(path).samples
    data = bytearray(path.read_bytes())
    mark, behind, kind = SIZES[name]
    at = data.rindex(mark) + behind
    least = {".w64": 24, ".caf": 0}.get(path.suffix, 0)
    width = struct.calcsize(kind)
    unknown = -1 if kind == ">q" else (1 << 8 * width) - 1
    value = {"zero": least, "unknown": unknown, "small": least + 4096}[size]
    data[at : at + width] = struct.pack(kind, value)
    path.write_bytes(data)
    found = read_audio(path)
    # libsndfile writes a chunk behind the samples of some formats, which is short.
    assert found.duration == pytest.approx(SECONDS, abs=0.01)
    count = len(expected) - 200
    np.testing.assert_allclose(found.samples[:count], expected[:count], atol=1e-7)


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), bytes(500), APE])
@pytest.mark.parametrize("name", ["a.w64", "a.au", "a.aiff", "big.wav", "a.caf"])
def test_a_tag_behind_the_samples_is_no_sound(tmp_path, sound, name, tag) -> None:
    path = tmp_path / name
    container, subtype, endian = FORMATS[name]
    soundfile.write(path, sound, RATE, format=container, subtype=subtype, endian=endian)
    expected = read_audio(path).samples
    path.write_bytes(path.read_bytes() + tag)
    np.testing.assert_array_equal(read_audio(path).samples, expected)


def test_more_samples_in_a_second_chunk(tmp_path, sound) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes() + b"data" + struct.pack("<I", 5000) + bytes(range(250)) * 20)
    with pytest.raises(AudioFileTruncatedError, match="more samples follow in a second chunk"):
        read_audio(path)


@pytest.mark.parametrize("number", [1000, 80_000])
def test_a_flac_is_longer_than_its_header_says(tmp_path, sound, number) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / "a.flac", sound=sound, rate=RATE)
    expected = read_audio(path).samples
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = number.to_bytes(4, "big")
    path.write_bytes(data)
    np.testing.assert_allclose(read_audio(path).samples, expected, atol=1e-7)


@pytest.mark.parametrize("count", [20_000, 50_001])
def test_flacs_put_together(tmp_path, sound, count) -> None:
    path = encode(tmp_path / "a.flac", sound=sound, rate=RATE)
    other = encode(tmp_path / "b.flac", sound=sound[:count], rate=RATE)
    both = encode(tmp_path / "both.wav", sound=np.concatenate([sound, sound[:count]]), rate=RATE)
    path.write_bytes(id3(300) + path.read_bytes() + other.read_bytes())
    np.testing.assert_array_equal(read_audio(path).samples, read_audio(both).samples)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(AudioFileTruncatedError):
        read_audio(path)


@pytest.mark.parametrize("rate", [RATE, 22050])
def test_flacs_of_another_format_put_together(tmp_path, sound, rate) -> None:
    path = encode(tmp_path / "a.flac", sound=sound, rate=RATE)
    other = encode(tmp_path / "b.flac", sound=speech_like(rate, 1, 2), rate=rate)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(AudioFormatChangedError, match=f"44100 Hz, 1 channels, then {rate} Hz, 2 "):
        read_audio(path)


# Codecs and tags in containers where they are rare.


@pytest.mark.parametrize("codec", [["libmp3lame", "-q:a", "5"], ["libmp3lame"], ["libgsm_ms"]])
def test_other_codecs_in_a_wav(tmp_path, codec) -> None:
    pytest.importorskip("av")
    rate = 8000 if "gsm" in codec[0] else RATE
    sound = speech_like(rate, SECONDS, 1)
    path = encode(tmp_path / "a.wav", "-c:a", *codec, sound=sound, rate=rate)
    whole = read_audio(path).samples
    assert len(whole) == pytest.approx(16000 * SECONDS, abs=800)
    decoded = encode(tmp_path / "b.wav", sound=sound, rate=rate)
    expected = read_audio(decoded).samples
    count = 40_000
    best = np.correlate(whole[: count + 800], expected[400 : 400 + count - 1200], "valid").max()
    power = np.linalg.norm(whole[:count]) * np.linalg.norm(expected[:count])
    assert best / power > 0.9
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(AudioFileTruncatedError, match="its header promises"):
        read_audio(path)


TAGGED = {
    "a.wav": [], "mp3.wav": ["-c:a", "mp3"], "a.aiff": [], "a.ogg": ["-c:a", "libvorbis"],
    "a.oga": ["-c:a", "flac"], "a.flac": [], "a.tta": [], "a.wv": [], "alac.caf": ["-c:a", "alac"],
    "a.caf": ["-c:a", "pcm_s16le"], "a.m4a": [], "a.mka": ["-c:a", "libvorbis"], "a.aac": [],
    "a.wma": ["-c:a", "wmav2"],
}  # fmt: skip


@pytest.mark.parametrize("name", TAGGED)
def test_a_tag_in_front(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / name, *TAGGED[name], sound=sound, rate=RATE)
    expected = read_audio(path).samples
    path.write_bytes(id3(3000) + id3(200) + path.read_bytes())
    np.testing.assert_array_equal(read_audio(path).samples, expected)


def test_a_tag_in_front_of_a_recorder_s_wav(tmp_path, sound) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[40:44] = bytes(4)
    path.write_bytes(id3(300) + data)
    assert read_audio(path).duration == SECONDS


@pytest.mark.parametrize(
    ("name", "behind"),
    [
        ("a.mp3", bytes(3000)),
        ("a.mp3", APE + b"TAG" + bytes(125)),
        ("a.mp3", b"a note\n" * 40),
        ("a.wv", APE),
        ("a.wv", b"TAG" + bytes(125)),
        ("a.tta", APE),
        ("a.flac", bytes(5000)),
        ("a.m4a", bytes(4096)),
        ("a.ts", bytes(1000)),
        ("a.ogg", bytes(1000)),
        ("a.wma", bytes(20_000)),
        ("live.webm", b"TAG" + bytes(125)),
        ("a.opus", bytes(1000)),
        ("a.avi", b"JUNK\x04\x00\x00\x00abcd"),
    ],
)
def test_what_is_behind_is_no_sound(tmp_path, capfd, sound, name, behind) -> None:
    pytest.importorskip("av")
    options = {
        "a.avi": ["-c:a", "mp3"],
        "a.opus": ["-ar", "48000"],
        "live.webm": ["-c:a", "libopus", "-ar", "48000", "-live", "1"],
    }.get(name, [])
    for channels in (1, 2):
        path = encode(
            tmp_path / name, *options, sound=np.repeat(sound, channels, axis=1), rate=RATE
        )
        path.write_bytes(path.read_bytes() + behind)
        assert read_audio(path).duration == pytest.approx(SECONDS, abs=0.06)
    assert capfd.readouterr().err == ""


def test_an_index_that_is_gone_is_no_loss_of_sound(tmp_path, sound) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / "a.avi", "-c:a", "pcm_s16le", sound=sound, rate=RATE)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])
    assert read_audio(path).duration == pytest.approx(SECONDS, abs=0.03)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioFileTruncatedError, match="its header promises"):
        read_audio(path)


def test_frames_longer_than_what_may_lack(tmp_path, sound) -> None:
    """FFmpeg takes all frames of a FLAC in CAF for full."""
    pytest.importorskip("av")
    path = encode(tmp_path / "a.caf", "-c:a", "flac", sound=sound, rate=RATE)
    assert read_audio(path).duration == pytest.approx(SECONDS, abs=1e-6)


@pytest.mark.parametrize("name", ["a.wv", "a.wma", "a.amr"])
def test_a_second_recording_in_other_formats(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    path = tmp_path / name
    if name == "a.amr":
        rng = np.random.default_rng(0)
        frames = (bytes([7 << 3 | 4]) + rng.bytes(31) for _ in range(100))
        path.write_bytes(b"#!AMR\n" + b"".join(frames))
    else:
        encode(path, sound=sound, rate=RATE)
    assert read_audio(path).truncated == ""
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(AudioFileTruncatedError, match="another recording of"):
        read_audio(path)


def test_channels_of_a_wavpack_in_several_blocks(tmp_path) -> None:
    pytest.importorskip("av")
    sound = speech_like(48000, SECONDS, 6)
    path = encode(tmp_path / "a.wv", "-c:a", "wavpack", sound=sound, rate=48000)
    assert read_audio(path).channels == 6


# Streams: several tracks, a station joined late, and time stamps that jump.


@pytest.mark.parametrize("name", ["a.ogg", "a.mkv", "a.mp4"])
def test_of_several_tracks_one_is_read_and_the_user_knows(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    one = encode(tmp_path / "1.wav", sound=sound, rate=RATE)
    two = encode(tmp_path / "2.wav", "-ar", "22050", sound=sound, rate=RATE)
    codec = ["-c:a", "libvorbis"] if name == "a.ogg" else ["-c:a", "aac"]
    ffmpeg("-i", one, "-i", two, "-map", "0", "-map", "1", *codec, tmp_path / name)
    with pytest.warns(UserWarning, match=r"of its 2 sound tracks, number [12] was read"):
        assert read_audio(tmp_path / name).duration == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("seconds", [0.5, 3, 1000])
@pytest.mark.parametrize("name", ["a.opus", "voip.opus", "a.ogg"])
def test_a_station_that_was_joined_late(tmp_path, name, seconds) -> None:
    pytest.importorskip("av")
    sound = speech_like(48000, SECONDS, 1)
    options = ["-frame_duration", "60"] if name == "voip.opus" else []
    codec = "libvorbis" if name == "a.ogg" else "libopus"
    path = encode(tmp_path / name, "-c:a", codec, *options, sound=sound, rate=48000)
    expected = read_audio(path).samples
    data = path.read_bytes()
    places = [match.start() for match in re.finditer(b"OggS", data)]
    pages = []
    for start, end in zip(places, [*places[1:], len(data)], strict=True):
        page = bytearray(data[start:end])
        place = int.from_bytes(page[6:14], "little", signed=True)
        if place > 0:
            page[6:14] = (place + int(seconds * 48000)).to_bytes(8, "little")
            page[22:26] = ogg_checksum(bytes(page)).to_bytes(4, "little")
        pages.append(bytes(page))
    path.write_bytes(b"".join(pages))
    found = read_audio(path).samples
    count = min(len(found), len(expected))
    assert count == pytest.approx(16000 * SECONDS, abs=1100)
    assert np.corrcoef(found[:count], expected[:count])[0, 1] > 0.999


def test_time_stamps_that_jump_are_not_silent(tmp_path, sound) -> None:
    pytest.importorskip("av")
    cluster = ["-c:a", "libopus", "-ar", "48000", "-f", "webm", "-cluster_time_limit", "500", "-"]
    film = encode(tmp_path / "a.webm", *cluster, sound=sound, rate=RATE)
    data = film.read_bytes()
    clusters = [match.start() for match in re.finditer(b"\x1f\x43\xb6\x75", data)]
    film.write_bytes(data[: clusters[1]] + data[clusters[3] :])
    fragments = ["-c:a", "aac", "-movflags", "cmaf+frag_every_frame"]
    parts = encode(tmp_path / "a.mp4", *fragments, sound=sound, rate=RATE)
    data = parts.read_bytes()
    boxes = [match.start() - 4 for match in re.finditer(b"moof", data)]
    parts.write_bytes(data[: boxes[20]] + data[boxes[40] :])
    for path in (film, parts):
        with pytest.warns(UserWarning, match=r"its time stamps jump from 0\.\d\d to \d\.\d\d s"):
            assert read_audio(path).duration < SECONDS - 0.3


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xff" * 5000, id3(5000), bytes(5000), b"\xff\xfb\x90\x00" + bytes(3000)),
        *(b"G" * 5000, (b"G 5 " + b"." * 89 + b"\n") * 99),  # in step with a transport stream
    ],
)
def test_what_is_no_sound_is_refused_without_a_word_of_the_decoder(
    tmp_path, capfd, content
) -> None:
    path = Path(tmp_path / "a.mp3")
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=r"a\.mp3: not an audio file"):
        read_audio(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["aac.ts", "ac3.ts", "ac3.m2ts"])
def test_transport_streams(tmp_path, sound, name) -> None:
    pytest.importorskip("av")
    options = ["-c:a", name.partition(".")[0], "-f", "mpegts"]
    if name.endswith(".m2ts"):
        options += ["-mpegts_m2ts_mode", "1"]
    path = encode(tmp_path / name, *options, sound=sound, rate=RATE)
    data, step = path.read_bytes(), 192 if name.endswith(".m2ts") else 188
    expected = len(read_audio(path).samples)
    assert expected == pytest.approx(16000 * SECONDS, abs=1000)
    middle = len(data) // 2 // step * step
    for whole in (data + bytes(1000), data + b"TAG" + bytes(125),
                  data[:middle] + bytes(1000) + data[middle:]):  # fmt: skip
        path.write_bytes(whole)
        assert len(read_audio(path).samples) == expected
    reasons = {
        len(data) - 3: "its last packet has",
        middle: "bytes of its sound|packets are damaged",
    }
    for cut, reason in reasons.items():
        path.write_bytes(data[:cut])
        with pytest.raises(AudioFileTruncatedError, match=reason):
            read_audio(path)


@pytest.mark.parametrize("codec", ["libmp3lame", "wmav2", "pcm_s64le"])
def test_other_codecs_in_a_wav_that_was_written_to_a_pipe(tmp_path, sound, codec) -> None:
    pytest.importorskip("av")
    path = encode(tmp_path / "a.wav", "-c:a", codec, "-f", "wav", "-", sound=sound, rate=RATE)
    assert read_audio(path).duration == pytest.approx(SECONDS, abs=0.1)
