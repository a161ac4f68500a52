"""WAV files with one sound in each channel, as samples and back. Needs numpy only."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
RATE = 16_000


def write_wav(path: Path, sounds: npt.NDArray[Any]) -> None:
    """Write sounds [shape=(n_sounds, n_samples)], one a channel, 16 kHz.

    int16 becomes 16-bit PCM; float32 becomes IEEE float, which keeps every bit.
    """
    channels, size = len(sounds), sounds.dtype.itemsize
    kind = {"int16": 1, "float32": 3}[sounds.dtype.name]
    data = sounds.T.astype(sounds.dtype.newbyteorder("<")).tobytes()
    head = struct.pack(
        "<HHIIHH", kind, channels, RATE, RATE * channels * size, channels * size, 8 * size
    )
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def read_wav(path: Path) -> Floats:
    """Read what :func:`write_wav` writes, as float32 in [-1, 1] [shape=(n_sounds, n_samples)]."""
    data = path.read_bytes()
    channels, bits = 0, 0
    at = 12
    while at < len(data):
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            channels, rate, bits = struct.unpack("<2xHI6xH", body[:16])
            assert rate == RATE, f"{path}: {rate} Hz"
        elif name == b"data":
            samples = np.frombuffer(body, "<i2" if bits == 16 else "<f4").reshape(-1, channels).T
            scale = np.float32(2**-15 if bits == 16 else 1)
            return np.ascontiguousarray(samples.astype(np.float32) * scale)
        at += 8 + size + size % 2
    raise ValueError(f"{path}: no samples")
