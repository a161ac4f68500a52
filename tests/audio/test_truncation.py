"""Sound files that were cut off are told from whole ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.audio import truncation
from hearaudiomlp.audio.files import read_audio
from hearaudiomlp.errors import AudioFileError

KINDS = {
    "wav": ("WAV", "PCM_16"),
    "ext.wav": ("WAVEX", "PCM_24"),
    "rf64": ("RF64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def find_truncation(path: Path) -> str | None:
    with path.open("rb") as file:
        return truncation.find_truncation(file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("whole")
    sound = 0.1 * np.random.default_rng(0).standard_normal((96000, 2))
    paths = {}
    for name, (kind, subtype) in KINDS.items():
        paths[name] = folder / f"a.{name}"
        soundfile.write(paths[name], sound, 48000, format=kind, subtype=subtype)
    return paths


@pytest.mark.parametrize("name", KINDS)
def test_whole_files_are_whole(whole, name) -> None:
    assert find_truncation(whole[name]) is None
    assert read_audio(whole[name]).duration == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", KINDS)
def test_cut_files_are_told(whole, tmp_path, name, fraction) -> None:
    data = whole[name].read_bytes()
    path = tmp_path / f"cut.{name}"
    path.write_bytes(data[: int(fraction * len(data))])
    with pytest.raises(AudioFileError, match=r"cut\."):
        read_audio(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_sizes_that_a_pipe_leaves_open_are_no_promise(whole, tmp_path, size) -> None:
    data = bytearray(whole["wav"].read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    path = tmp_path / "piped.wav"
    path.write_bytes(data)
    assert find_truncation(path) is None


def test_what_comes_behind_the_sound_may_be_missing(whole, tmp_path) -> None:
    path = tmp_path / "tagged.wav"
    path.write_bytes(whole["wav"].read_bytes() + b"LIST\xff\x00\x00\x00INFO")
    assert find_truncation(path) is None


@settings(max_examples=200, deadline=None)
@given(
    head=st.sampled_from([b"RIFF", b"RIFX", b"RF64", b"FORM", b".snd", b"OggS", b"fLaC", b""]),
    rest=st.binary(max_size=200),
)
def test_any_bytes_are_looked_at_without_harm(tmp_path_factory, head, rest) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(head + rest)
    assert find_truncation(path) is None or isinstance(find_truncation(path), str)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="pipes have no names here")
def test_a_pipe_is_told_from_a_damaged_file() -> None:
    """As a shell passes it: hearaudiomlp embed <(ffmpeg ...)."""
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"fLaC" + bytes(100))
        with pytest.raises(AudioFileError, match="a pipe or device: write it to a file first"):
            read_audio(f"/dev/fd/{ours}")
    finally:
        os.close(ours)
        os.close(theirs)
