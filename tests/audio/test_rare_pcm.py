"""PCM of every width, order and header gives the sound that it was made from."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hearaudiomlp import read_audio
from hearaudiomlp.errors import AudioFileError

RATE = 16_000
PCM, FLOAT = 1, 3
_GUID = bytes.fromhex("000000001000800000aa00389b71")
_AMBISONIC = bytes.fromhex("00002107d3118644c8c1ca000000")
_WAVE64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    times = np.arange(RATE // 2) / RATE
    return np.stack([0.4 * np.sin(2 * np.pi * hz * times) for hz in (440, 660)], axis=1)


def integers(sound: np.ndarray, bits: int, size: int, order: str = "<") -> bytes:
    """Encode as integers that are the upper bits of ``size`` bytes."""
    values = np.round(sound * (2.0 ** (bits - 1) - 1)).astype("<i8") << (8 * size - bits)
    columns = values.view(np.uint8).reshape(-1, 8)[:, :size]
    return (columns if order == "<" else columns[:, ::-1]).tobytes()


def description(
    codec: int, bits: int, size: int, order: str, extensible: bytes = b"", *, valid: int = 0
) -> bytes:
    tag = 0xFFFE if extensible else codec
    plain = struct.pack(f"{order}HHIIHH", tag, 2, RATE, 2 * size * RATE, 2 * size, bits)
    if not extensible:
        return plain
    return plain + struct.pack(f"{order}HHIH", 22, valid or bits, 3, codec) + extensible


def wav(samples: bytes, form: bytes, order: str = "<", size: int | None = None) -> bytes:
    size = len(samples) if size is None else size
    body = b"WAVE" + struct.pack(f"{order}4sI", b"fmt ", len(form)) + form
    body += struct.pack(f"{order}4sI", b"data", size) + samples
    return struct.pack(f"{order}4sI", b"RIFX" if order == ">" else b"RIFF", len(body)) + body


def wave64(samples: bytes, form: bytes) -> bytes:
    body = b""
    for name, content in ((b"fmt ", form), (b"data", samples)):
        body += name + _WAVE64 + struct.pack("<Q", 24 + len(content))
        body += content + bytes(-len(content) % 8)
    head = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000") + struct.pack("<Q", 40 + len(body))
    return head + b"wave" + _WAVE64 + body


CASES: dict[str, Callable[[np.ndarray], bytes]] = {
    "64 bits": lambda x: wav(integers(x, 64, 8), description(PCM, 64, 8, "<")),
    "64 bits extensible": lambda x: wav(integers(x, 64, 8), description(PCM, 64, 8, "<", _GUID)),
    "64 bits to a pipe": lambda x: wav(
        integers(x, 64, 8), description(PCM, 64, 8, "<"), size=0xFFFFFFFF
    ),
    "24 in 32": lambda x: wav(integers(x, 24, 4), description(PCM, 24, 4, "<")),
    "24 in 32 extensible": lambda x: wav(
        integers(x, 24, 4), description(PCM, 32, 4, "<", _GUID, valid=24)
    ),
    "20 in 24": lambda x: wav(integers(x, 20, 3), description(PCM, 20, 3, "<")),
    "20 in 24, killed": lambda x: wav(integers(x, 20, 3), description(PCM, 20, 3, "<"), size=0),
    "12 in 16, killed": lambda x: wav(integers(x, 12, 2), description(PCM, 12, 2, "<"), size=0),
    "ambisonic": lambda x: wav(integers(x, 16, 2), description(PCM, 16, 2, "<", _AMBISONIC)),
    "RIFX 16": lambda x: wav(integers(x, 16, 2, ">"), description(PCM, 16, 2, ">"), ">"),
    "RIFX 24": lambda x: wav(integers(x, 24, 3, ">"), description(PCM, 24, 3, ">"), ">"),
    "RIFX extensible": lambda x: wav(
        integers(x, 16, 2, ">"), description(PCM, 16, 2, ">", _GUID), ">"
    ),
    "RIFX float": lambda x: wav(x.astype(">f4").tobytes(), description(FLOAT, 32, 4, ">"), ">"),
    "W64 float": lambda x: wave64(x.astype("<f4").tobytes(), description(FLOAT, 32, 4, "<")),
    "W64 float extensible": lambda x: wave64(
        x.astype("<f4").tobytes(), description(FLOAT, 32, 4, "<", _GUID)
    ),
    "W64 double extensible": lambda x: wave64(
        x.astype("<f8").tobytes(), description(FLOAT, 64, 8, "<", _GUID)
    ),
    "W64 24 in 32": lambda x: wave64(
        integers(x, 24, 4), description(PCM, 32, 4, "<", _GUID, valid=24)
    ),
    "W64 64 bits": lambda x: wave64(integers(x, 64, 8), description(PCM, 64, 8, "<")),
}


@pytest.mark.parametrize("name", CASES)
def test_rare_pcm(sound, tmp_path: Path, name) -> None:
    if "64 bits" in name:
        pytest.importorskip("av")
    path = tmp_path / "a.wav"
    path.write_bytes(CASES[name](sound))
    found = read_audio(path).samples
    assert found.shape == (len(sound),)
    np.testing.assert_allclose(found, sound.mean(axis=1), atol=4e-4 if "12" in name else 4e-5)


def test_big_endian_integers_of_64_bits_are_refused(sound, tmp_path) -> None:
    """FFmpeg would read them as little-endian: noise."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav(integers(sound, 64, 8, ">"), description(PCM, 64, 8, ">"), ">"))
    with pytest.raises(AudioFileError, match="unimplemented format"):
        read_audio(path)
