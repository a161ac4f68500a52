"""Draw the pictures of the pages again, with the given weights.

    python docs/make_pictures.py KWMLP AUDIOMAE

The sounds for the map are made here, by code with a seed: words of espeak-ng's voices, chords and
noises, in folders named after what they are.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

HERE = Path(__file__).resolve().parent
RATE = 16_000
WORDS = ("yes", "no", "stop", "seven", "marvin", "house", "bird", "happy")
VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-029", "en-us+f2", "en-us+f5", "en-gb+m7")


def hearaudiomlp(*arguments: object, folder: Path | None = None) -> None:
    """Run the command, in a folder."""
    command = [sys.executable, "-m", "hearaudiomlp", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=folder)


def _write(path: Path, samples: npt.NDArray[np.float64]) -> None:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, 0.5 * samples / np.abs(samples).max(), RATE)


def make_sounds(folder: Path) -> list[Path]:
    """Write sounds of five kinds; return their paths."""
    rng = np.random.default_rng(0)
    for voice in VOICES:
        for word in WORDS:
            kind = "women" if "+f" in voice else "men"
            path = folder / kind / f"{word}-{voice.replace('+', '-')}.wav"
            path.parent.mkdir(exist_ok=True)
            subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", path, word], check=True)
    seconds = np.arange(2 * RATE) / RATE
    for index in range(24):
        root = 110.0 * 2.0 ** (rng.integers(24) / 12)
        chord = sum(
            np.sin(2 * np.pi * root * ratio * harmonic * seconds) / harmonic
            for ratio in (1.0, 1.26, 1.5)
            for harmonic in range(1, 7)
        )
        _write(folder / "chords" / f"chord-{index:02}.wav", chord * np.exp(-seconds))
        spectrum = np.fft.rfft(rng.standard_normal(2 * RATE))
        slope = np.maximum(np.arange(len(spectrum)), 40.0) ** -rng.uniform(0.0, 1.0)
        _write(folder / "noise" / f"noise-{index:02}.wav", np.fft.irfft(spectrum * slope))
        clicks = np.zeros(2 * RATE)
        clicks[:: RATE // int(rng.integers(3, 20))] = 1.0
        decay = np.exp(-np.arange(800) / rng.uniform(30, 200)) * rng.standard_normal(800)
        _write(folder / "clicks" / f"clicks-{index:02}.wav", np.convolve(clicks, decay)[: 2 * RATE])
    return sorted(folder.glob("*/*.wav"))


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kwmlp", type=Path)
    parser.add_argument("audiomae", type=Path)
    options = parser.parse_args()
    words = HERE.parent / "samples" / "words.flac"
    for name in ("kwmlp", "audiomae"):
        model = getattr(options, name)
        hearaudiomlp(
            "plot",
            words,
            "--model",
            model,
            "-o",
            HERE / f"plot-{name}.png",
            "--dpi",
            100,
            "--overwrite",
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sounds = make_sounds(folder)
        table = folder / "sounds.npz"
        names = [sound.relative_to(folder) for sound in sounds]  # as they are to be shown
        model = options.kwmlp.resolve()
        hearaudiomlp("embed", *names, "--model", model, "-o", table, folder=folder)
        title = f"{len(sounds)} synthetic sounds by their scene embeddings (kwmlp)"
        common = ["--method", "pca", "--title", title, "--overwrite"]
        hearaudiomlp("map", table, "-o", HERE / "map.png", "--dpi", 100, *common)


if __name__ == "__main__":
    main()
