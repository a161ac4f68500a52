"""Compare what read_audio makes of thousands of files with what the ffmpeg command makes of them.

Every format is encoded at several sample rates, numbers of channels and lengths, and taken whole,
cut off, damaged, with a piece missing, with tags and put together. Each file falls into one class:

    same        as long as ffmpeg's, within a frame, and the same sound
    refused     an error, where something is missing of the file
    warned      read, with a warning or marked as truncated when kept
    silent      shorter than the sound that was encoded, or than ffmpeg's, without a word
    whole       an error, although ffmpeg reads all that was encoded
    other       read as long as ffmpeg's, but another sound; or longer

    python benchmarks/recordings/against_ffmpeg.py [--part N/M] [--json OUT]
"""

import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hearaudiomlp import read_audio
from hearaudiomlp.errors import AudioFileError

FORMATS = {
    "pcm16.wav": (["-c:a", "pcm_s16le"], 0),
    "pcm24.wav": (["-c:a", "pcm_s24le"], 0),
    "float.wav": (["-c:a", "pcm_f32le"], 0),
    "ulaw.wav": (["-c:a", "pcm_mulaw"], 0),
    "adpcm.wav": (["-c:a", "adpcm_ms"], 2048),
    "rf64.wav": (["-c:a", "pcm_s16le", "-rf64", "always"], 0),
    "a.w64": ([], 0),
    "a.aiff": ([], 0),
    "a.au": ([], 0),
    "pcm.caf": (["-c:a", "pcm_s16le"], 0),
    "alac.caf": (["-c:a", "alac"], 4096),
    "a.flac": ([], 4608),
    "cbr.mp3": (["-c:a", "libmp3lame", "-b:a", "48k"], 1152),
    "vbr.mp3": (["-c:a", "libmp3lame", "-q:a", "6"], 1152),
    "cbr-noxing.mp3": (["-c:a", "libmp3lame", "-b:a", "48k", "-write_xing", "0"], 1152),
    "vbr-noxing.mp3": (["-c:a", "libmp3lame", "-q:a", "6", "-write_xing", "0"], 1152),
    "noid3.mp3": (["-c:a", "libmp3lame", "-b:a", "48k", "-id3v2_version", "0"], 1152),
    "vorbis.ogg": (["-c:a", "libvorbis", "-q:a", "2"], 2048),
    "flac.oga": (["-c:a", "flac"], 4608),
    "a.opus": (["-c:a", "libopus", "-b:a", "24k"], 960),
    "voip.opus": (["-c:a", "libopus", "-b:a", "12k", "-application", "voip"], 2880),
    "a.m4a": (["-c:a", "aac"], 1024),
    "fast.m4a": (["-c:a", "aac", "-movflags", "+faststart"], 1024),
    "fragments.mp4": (["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"], 1024),
    "alac.m4a": (["-c:a", "alac"], 4096),
    "pcm.mov": (["-c:a", "pcm_s16le"], 0),
    "mp3.mp4": (["-c:a", "libmp3lame", "-b:a", "48k"], 1152),
    "a.aac": (["-c:a", "aac"], 1024),
    "vorbis.mka": (["-c:a", "libvorbis"], 2048),
    "aac.mkv": (["-c:a", "aac"], 1024),
    "flac.mkv": (["-c:a", "flac"], 4608),
    "opus.webm": (["-c:a", "libopus", "-b:a", "24k"], 960),
    "a.wma": (["-c:a", "wmav2"], 2048),
    "a.ac3": (["-c:a", "ac3"], 1536),
    "a.mp2": (["-c:a", "mp2"], 1152),
    "a.tta": ([], 0),
    "a.wv": ([], 0),
    "mp3.avi": (["-c:a", "libmp3lame", "-b:a", "48k"], 1152),
    "vbr-mp3.wav": (["-c:a", "libmp3lame", "-q:a", "5"], 1152),
    "double.wav": (["-c:a", "pcm_f64le"], 0),
    "ima.wav": (["-c:a", "adpcm_ima_wav"], 2048),
    "float.caf": (["-c:a", "pcm_f32be"], 0),
    "little.aiff": (["-c:a", "pcm_s16le"], 0),
    "ulaw.au": (["-c:a", "pcm_mulaw"], 0),
    "24.flac": (["-sample_fmt", "s32"], 4608),
    "a.spx": (["-c:a", "libspeex", "-ar", "16000"], 640),
    "a.eac3": (["-c:a", "eac3"], 1536),
    "aac.ts": (["-c:a", "aac"], 1024),
    "pcm.avi": (["-c:a", "pcm_s16le"], 1024),
    "live.webm": (["-c:a", "libopus", "-b:a", "24k", "-live", "1"], 960),
}
"""Options of ffmpeg, and samples in a frame, by the name of a file."""

STEREO_AT_MOST = ("ima.wav", "a.wma", "a.spx")
"""Formats of which ffmpeg's encoders refuse more channels; others mix them to two."""

SHAPES = [
    (32000, 1),
    (16000, 1),
    (16000, 2),
    (22050, 2),
    (44100, 1),
    (44100, 2),
    (48000, 1),
    (48000, 2),
    (44100, 6),
    (48000, 6),
]
LENGTHS = (1.3, 2.9, 0.4, 5.1)
CHANGES = (
    *("whole", "cut 0.3", "cut 0.9", "cut 3 bytes", "damaged", "piece missing"),
    *("tag in front", "tag behind", "zeros behind", "twice"),
)


WITHOUT_LOSS = ("twice", "damaged", "piece missing", "tag behind", "zeros behind")
"""Changes after which a file as long as what was encoded is right, whatever ffmpeg makes of it."""


def make_sound(rate: int, channels: int, seconds: float, seed: int) -> np.ndarray:
    """Make a sound with edges in time [shape=(n, channels)]."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(rate * seconds)) / rate
    knots = np.arange(0, seconds + 0.2, 0.1)
    sound = sum(np.sin(2 * np.pi * hz * times + rng.uniform(0, 6)) for hz in (220, 570, 1330))
    sound = 0.15 * sound * np.interp(times, knots, rng.uniform(0.1, 1, len(knots)))
    return np.stack([sound * (1 - 0.3 * channel) for channel in range(channels)], axis=1)


def changed(  # noqa: PLR0911 - a change a return
    data: bytes, change: str, rng: random.Random
) -> bytes:
    """Return the content of a file after something happened to it."""
    if change.endswith("bytes"):
        return data[:-3]
    if change.startswith("cut"):
        return data[: int(len(data) * float(change[4:]))]
    if change == "damaged":
        at = int(len(data) * rng.uniform(0.4, 0.6))
        return data[:at] + rng.randbytes(64) + data[at + 64 :]
    if change == "piece missing":
        at = int(len(data) * rng.uniform(0.4, 0.6))
        return data[:at] + data[at + len(data) // 10 :]
    if change == "tag in front":
        return b"ID3\x04\x00\x00\x00\x00\x04\x00PRIV" + bytes(508) + data
    if change == "zeros behind":
        return data + bytes(1000)
    if change == "tag behind":
        return data + b"TAG" + b"title".ljust(125, b"\0")
    return 2 * data if change == "twice" else data


def encode(source: Path, path: Path, coding: list[str]) -> None:
    """Encode with the command."""
    rate = ["-ar", "48000"] if path.suffix in (".opus", ".webm") else []
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", source, *coding, *rate, path]
    subprocess.run([str(part) for part in command], check=True)


def by_ffmpeg(path: Path, rate: int) -> tuple[np.ndarray, str]:
    """Decode with the command; return the average of the channels, and what it printed."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-vn", "-ar", str(rate)]
    command += ["-c:a", "pcm_f32be", "-f", "au", "-"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    start, _, _, _, channels = struct.unpack(">5I", (done.stdout[4:24] or bytes(20)))
    count = (len(done.stdout) - start) // (4 * channels) * channels if channels else 0
    samples = np.frombuffer(done.stdout, ">f4", count, start).astype(np.float32)
    printed = done.stderr.decode(errors="replace").strip()
    return samples.reshape(-1, channels or 1).mean(axis=1), printed


def alike(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the correlation of two sounds at the best of all shifts of under 0.1 s."""
    size = 1 << (len(found) + len(expected)).bit_length()
    product = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(expected, size)), size)
    near = np.concatenate([product[:1600], product[-1600:]])
    power = np.linalg.norm(found) * np.linalg.norm(expected)
    return float(near.max() / power) if power else float(not len(found) and not len(expected))


def classify(  # noqa: PLR0911 - a class a return
    path: Path, change: str, shape: tuple[int, int], frame: int, seconds: float
) -> tuple[str, str]:
    """Return the class of a file, and a description."""
    rate, _ = shape
    native = 48000 if path.suffix in (".opus", ".webm") else rate
    native = 16000 if path.suffix == ".spx" else native
    expected, printed = by_ffmpeg(path, native)
    tolerance = max(0.011, 2 * frame / native)
    theirs = len(expected) / native
    lost = theirs < seconds - tolerance or printed or change.startswith(("cut", "damaged", "piece"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            recording = read_audio(path)
        except AudioFileError as problem:
            text = str(problem).partition(": ")[2]
            return ("refused" if lost else "whole"), f"{text} (ffmpeg: {theirs:.2f} s)"
    notes = "; ".join(str(one.message).partition(": ")[2] for one in caught)
    ours = recording.duration
    text = f"{ours:.3f} s, ffmpeg {theirs:.3f} s, encoded {seconds:.3f} s {notes}{printed[:80]}"
    if notes:
        return "warned", text
    if ours < max(min(theirs, seconds), seconds - tolerance) - tolerance:
        return "silent", text
    if abs(ours - seconds) < tolerance and change in WITHOUT_LOSS:
        return "same", text  # ffmpeg adds the padding of encoders, or takes tags for sound
    if abs(ours - theirs) > tolerance and ours < theirs:
        return "silent", text
    if native != 16000:
        expected = soxr.resample(expected, native, 16000)
    if ours > theirs + tolerance or alike(recording.samples, expected) < 0.97:
        return "other", text
    return "same", text


def main() -> None:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="0/1", help="N/M: every Mth shape from N on")
    parser.add_argument("--json", help="write all results to this file")
    options = parser.parse_args()
    first, step = map(int, options.part.split("/"))
    results = []
    for number, (rate, channels) in list(enumerate(SHAPES))[first::step]:
        seconds = LENGTHS[number % len(LENGTHS)]
        sound = make_sound(rate, channels, seconds, number)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            soundfile.write(folder / "source.wav", sound, rate, subtype="PCM_16")
            for one, (coding, samples) in FORMATS.items():
                if channels > 2 and one in STEREO_AT_MOST:
                    continue
                encode(folder / "source.wav", folder / one, coding)
                data = (folder / one).read_bytes()
                for change in CHANGES:
                    path = folder / f"changed-{one}"
                    path.write_bytes(changed(data, change, random.Random(f"{one}{change}{number}")))
                    twice = 2 if change == "twice" else 1
                    frame, shape = samples * twice, (rate, channels)
                    found = classify(path, change, shape, frame, seconds * twice)
                    results.append((one, rate, channels, seconds, change, *found))
                    path.unlink()
        print(rate, channels, Counter(result[5] for result in results), file=sys.stderr, flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results))
    show(results)


def show(results: list[tuple]) -> None:
    """Print the table in Markdown, and the files that differ."""
    classes = ("same", "refused", "warned", "silent", "whole", "other")
    table: dict[str, Counter] = defaultdict(Counter)
    for *_, change, found, _ in results:
        table[change][found] += 1
    print(f"| {len(results):,} files | " + " | ".join(classes) + " |")
    print("| --- |" + " ---: |" * len(classes))
    for change in CHANGES:
        print(f"| {change} | " + " | ".join(str(table[change][one]) for one in classes) + " |")
    for name, rate, channels, seconds, change, found, text in results:
        if found in ("silent", "whole", "other"):
            print(f"{found}: {name} {rate} Hz x {channels} {seconds} s, {change}: {text}")


if __name__ == "__main__":
    main()
