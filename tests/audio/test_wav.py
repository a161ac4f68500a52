"""Ordinary WAV files are read as libsndfile reads them, whatever is in their headers."""

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.audio.files import AudioStream
from hearaudiomlp.audio.wav import plain_wav
from hearaudiomlp.errors import AudioFileError


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


def pcm(channels: int = 1, rate: int = 16000, bits: int = 16, frame: int | None = None) -> bytes:
    frame = 2 * channels if frame is None else frame
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate, rate * frame, frame, bits))


def plain_samples(path: Path) -> np.ndarray | None:
    """Return what the plain way reads, or None where it isn't taken."""
    with path.open("rb") as file:
        plain = plain_wav(file)
        return None if plain is None else plain.read(1 << 16)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("wav") / "a.wav"


SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 600).astype("<i2").tobytes()


SIZES = st.lists(st.integers(0, 9), max_size=2)


@settings(max_examples=100, deadline=None)
@given(
    form=st.builds(pcm, st.integers(1, 6), st.sampled_from([8000, 16000, 44100])),
    size=st.integers(16, 1200),  # libsndfile refuses some that have less
    before=SIZES,
    behind=SIZES,
)
def test_headers_with_more_in_them(path, form, size, before, behind) -> None:
    path.write_bytes(
        riff(
            form,
            *(chunk(b"LIST", bytes(count)) for count in before),
            chunk(b"data", SAMPLES[:size]),
            *(chunk(b"junk", bytes(count)) for count in behind),
        )
    )
    found = plain_samples(path)
    assert found is not None
    expected, _ = soundfile.read(path, dtype="int16", always_2d=True)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 59), byte=st.integers(0, 255))
def test_a_changed_byte_changes_both_ways_alike(path, position, byte) -> None:
    data = bytearray(riff(pcm(2), chunk(b"fact", bytes(4)), chunk(b"data", SAMPLES)))
    data[position] = byte
    path.write_bytes(data)
    found = plain_samples(path)
    try:
        expected, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError:  # it refuses names of chunks with odd characters
        return
    if found is not None:
        np.testing.assert_array_equal(found, expected)
        with contextlib.suppress(AudioFileError):  # a rate that can't be meant
            assert rate == AudioStream(path).sample_rate


@pytest.mark.parametrize("bits", [8, 24])
def test_other_formats_are_left_to_libsndfile(path, bits) -> None:
    path.write_bytes(riff(pcm(1, bits=bits, frame=bits // 8), chunk(b"data", SAMPLES)))
    assert plain_samples(path) is None
    assert AudioStream(path).sample_rate == 16000


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="open files can't be counted here")
def test_files_are_closed_when_they_are_refused(path) -> None:
    path.write_bytes(riff(pcm(1, rate=1), chunk(b"data", SAMPLES)))
    before = list(Path("/dev/fd").iterdir())
    with pytest.raises(AudioFileError, match="a rate of 1 Hz") as caught:
        AudioStream(path)
    assert len(list(Path("/dev/fd").iterdir())) == len(before)
    assert caught.value.__traceback__ is not None  # which would keep the file alive


@pytest.mark.parametrize("missing", [1, 2, 100])
def test_a_file_whose_samples_end_too_early_is_cut_off(path, missing) -> None:
    data = struct.pack("<4sI", b"data", len(SAMPLES) + missing) + SAMPLES
    path.write_bytes(riff(pcm(1), data))  # as long as it says, but for the last chunk
    assert plain_samples(path) is None
    with pytest.raises(AudioFileError, match="cut off"):
        AudioStream(path)


def test_reading_goes_on_where_it_stopped(path) -> None:
    path.write_bytes(riff(pcm(2), chunk(b"data", SAMPLES)))
    with path.open("rb") as file:
        plain = plain_wav(file)
        assert plain is not None
        pieces = [plain.read(count) for count in (1, 200, 99, 100)]
    assert [len(piece) for piece in pieces] == [1, 200, 99, 0]
    np.testing.assert_array_equal(np.concatenate(pieces).ravel(), np.frombuffer(SAMPLES, "<i2"))
