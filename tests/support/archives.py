"""An archive of made-up recordings, broken ones among them, and what should come of each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

FORMATS = (
    ("wav", "PCM_16"), ("wav", "PCM_U8"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"),
    ("wav", "DOUBLE"), ("wav", "ULAW"), ("flac", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"), ("aiff", "PCM_16"), ("au", "PCM_16"), ("caf", "PCM_24"),
)  # fmt: skip
RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000)
BROKEN = (
    "empty", "text", "nan", "infinity", "cut_wav", "cut_flac", "cut_ogg", "cut_mp3", "cut_aiff",
    "header_only",
)  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """What was written, and what should come of it."""

    path: Path
    rate: int
    channels: int
    frames: int
    fails: str | None
    """Pattern of the message, if it can't be embedded."""


def _sound(rng: np.random.Generator, rate: int, channels: int, seconds: float) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    tone = np.sin(2 * np.pi * rng.uniform(80, 0.3 * rate) * time)
    noise = rng.standard_normal((channels, len(time)))
    return (0.3 * tone + 0.03 * noise).T


def _write_broken(kind: str, path: Path, rng: np.random.Generator) -> str:
    """Write a broken file; return a pattern of the message that it should get."""
    sound = _sound(rng, 16000, 1, 1.5)
    match kind:
        case "empty":
            path.write_bytes(b"")
            return "not an audio file"
        case "text":
            path.write_text("This is a text that somebody called .wav.\n" * 100)
            return "not an audio file"
        case "nan" | "infinity":
            sound[len(sound) // 2] = np.nan if kind == "nan" else np.inf
            soundfile.write(path, sound, 16000, subtype="FLOAT")
            return "NaN or infinity"
        case "header_only":
            soundfile.write(path, sound, 16000, subtype="PCM_16")
            path.write_bytes(path.read_bytes()[:44])
            return "incomplete"
        case _:
            ending = kind.removeprefix("cut_")
            whole = path.with_suffix(f".{ending}")
            soundfile.write(whole, sound, 16000, format=ending.upper())
            data = whole.read_bytes()
            whole.write_bytes(data[: int(len(data) * rng.uniform(0.3, 0.7))])
            return "incomplete|not an audio file"  # libsndfile finds some of them out itself


def make_archive(folder: Path, count: int, seed: int = 0) -> list[Recording]:
    """Write ``count`` files in nested folders; return them in the order of the table.

    One in twenty is broken, and one in fifty has a valid header and no samples.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        place = folder / f"{number % 7}" / f"ümlaut {number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{number:05}.wav"
        if number % 20 == 7:
            kind = BROKEN[number // 20 % len(BROKEN)]
            message = _write_broken(kind, path, rng)
            if kind.startswith("cut_"):
                path = path.with_suffix(f".{kind.removeprefix('cut_')}")
            made.append(Recording(path, 16000, 1, 0, message))
            continue
        ending, subtype = FORMATS[int(rng.integers(len(FORMATS)))]
        rate = RATES[int(rng.integers(len(RATES)))]
        if ending == "mp3" and rate > 48000:
            rate = 48000
        channels = int(rng.integers(1, 3))
        seconds = 0.0 if number % 50 == 3 else rng.uniform(0.1, 3.0)
        if seconds == 0:
            ending, subtype = "wav", "PCM_16"
        path = path.with_suffix(f".{ending}")
        sound = _sound(rng, rate, channels, seconds)
        soundfile.write(path, sound, rate, subtype=subtype)
        made.append(Recording(path, rate, channels, len(sound), None))
    (folder / "notes.md").write_text("no sound")
    (folder / "0" / "._00000.wav").write_text("what another system leaves beside a file")
    return sorted(made, key=lambda recording: [part.encode() for part in recording.path.parts])
