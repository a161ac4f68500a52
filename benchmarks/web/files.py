"""Sound files of many kinds: what the page computes, next to ``hearaudiomlp embed``.

    python benchmarks/web/files.py

FFmpeg writes the sentence of ``samples/`` as files of many formats, rates and depths: two seconds,
which the browser decodes whole, and forty, which it decodes packet by packet. Needs ``[media]``,
``npm install`` in ``web/``, FFmpeg, and Chromium.
"""

import argparse
import contextlib
import io
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from hearaudiomlp.cli import main as hearaudiomlp

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = ROOT / "samples" / "sentence.flac"
ARRAYS = ("timestamp_embeddings", "scene_embeddings")

KINDS = {
    "flac-16000.flac": "-ar 16000 -sample_fmt s16",
    "flac-44100-stereo.flac": "-ar 44100 -ac 2 -sample_fmt s16",
    "flac-48000-24bit.flac": "-ar 48000 -ac 2 -sample_fmt s32",
    "aac-44100.aac": "-ar 44100 -ac 2",
    "m4a-44100.m4a": "-ar 44100 -ac 2",
    "mka-flac.mka": "-ar 44100 -ac 2 -c:a flac",
    "mp3-16000.mp3": "-ar 16000",
    "mp3-44100.mp3": "-ar 44100 -ac 2",
    "mp3-no-header.mp3": "-ar 44100 -ac 2 -write_xing 0",
    "mp3-vbr.mp3": "-ar 44100 -ac 2 -q:a 4",
    "opus-48000.opus": "-ar 48000 -ac 2",
    "vorbis-16000.ogg": "-ar 16000 -c:a libvorbis",
    "vorbis-44100.ogg": "-ar 44100 -ac 2 -c:a libvorbis",
    "webm-48000.webm": "-ar 48000 -ac 2",
    "wav-adpcm.wav": "-ar 16000 -c:a adpcm_ms",
    "wav-6ch.wav": "-ar 16000 -ac 6",
    "wav-rf64.wav": "-ar 16000 -ac 2 -rf64 always",
    **{
        f"wav-{rate}.wav": f"-ar {rate} -ac 2"
        for rate in (
            *(8_000, 11_025, 12_000, 22_050, 24_000, 32_000),
            *(44_100, 48_000, 88_200, 96_000),
        )
    },
    **{
        f"wav-{codec}.wav": f"-ar 16000 -c:a {codec}"
        for codec in (
            *("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le"),
            *("pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"),
        )
    },
}


def write(folder: Path, seconds: int) -> list[Path]:
    """Write the sentence over and over, for so many seconds, in every kind; WAVs are short."""
    files = []
    for name, options in KINDS.items():
        if seconds > 2 and name.endswith(".wav"):
            continue
        file = folder / name.replace("-", f"-{seconds}s-", 1)
        source = ["-stream_loop", "-1", "-i", str(SENTENCE), "-t", str(seconds)]
        command = ["ffmpeg", "-loglevel", "error", *source, *options.split(), str(file)]
        subprocess.run(command, check=True)
        files.append(file)
    return files


def describe(saved: Path, folder: Path, model: Path) -> str:
    """Return the columns of a file: its length in page and Python, and the largest errors."""
    file = folder / saved.stem
    ours = folder / "embed.npz"
    command = ["embed", str(file), "--model", str(model), "-o", str(ours), "--overwrite"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert hearaudiomlp(command) == 0
    with np.load(saved) as page, np.load(ours) as python:
        lengths = " / ".join(f"{array['durations'][0]:.3f}" for array in (page, python))
        kind = f"{page['sample_rates'][0]} Hz, {page['channels'][0]} ch"
        errors = []
        for name in ARRAYS:
            count = min(len(page[name]), len(python[name]))
            found, expected = page[name][:count], python[name][:count]
            errors.append(np.abs(found - expected).max() / max(1, np.abs(expected).max()))
    return f"{lengths} s, {kind} | {errors[0]:.1e} | {errors[1]:.1e} |"


def main() -> None:
    """Compare and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    model = ROOT / "onnx_models" / "kwmlp-pipeline-float16.onnx"  # the page's
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = write(folder, 2) + write(folder, 40)
        command = ["node", "tools/embed.js", scratch, *map(str, files)]
        subprocess.run(command, check=True, cwd=ROOT / "web")
        print("| file | length, page and Python | timestamp embeddings | scene |")
        print("| --- | --- | ---: | ---: |")
        for file in files:
            saved = Path(f"{file}.npz")
            row = describe(saved, folder, model) if saved.exists() else "refused by the page | | |"
            print(f"| {file.name} | {row}")


if __name__ == "__main__":
    main()
