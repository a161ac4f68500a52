"""Recordings of all kinds, made by the tests."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile


def speech_like(rate: int, seconds: float, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Make a sound with edges in time, so that a shift or a gap shows [shape=(n, channels)]."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * hz * times + rng.uniform(0, 6)) for hz in (220, 570, 1330))
    knots = np.arange(0, seconds + 0.2, 0.1)
    loudness = np.interp(times, knots, rng.uniform(0, 1, len(knots)))
    sound = 0.15 * tones * loudness
    return np.stack([sound * (1 - 0.3 * channel) for channel in range(channels)], axis=1)


def ffmpeg(*arguments: object) -> bytes:
    """Run ffmpeg, or skip the test where there is none; return its standard output."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg command")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encode(path: Path, *options: object, sound: np.ndarray, rate: int) -> Path:
    """Have ffmpeg encode a sound into a file; ``-`` among the options makes it write to a pipe."""
    source = path.with_name(f"{path.name}.source.wav")
    soundfile.write(source, sound, rate, subtype="PCM_16")
    if "-" in options:
        path.write_bytes(ffmpeg("-i", source, *(o for o in options if o != "-"), "pipe:1"))
    else:
        ffmpeg("-i", source, *options, path)
    source.unlink()
    return path


def shift(found: np.ndarray, expected: np.ndarray) -> int:
    """Return by how many samples a sound is late, by cross-correlation."""
    size = len(found) + len(expected)
    product = np.fft.rfft(found, size) * np.conj(np.fft.rfft(expected, size))
    at = int(np.argmax(np.fft.irfft(product, size)))
    return at if at <= size // 2 else at - size


def ogg_checksum(page: bytes) -> int:
    """Compute Ogg's CRC bit by bit, as RFC 3533 describes it."""
    crc = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
