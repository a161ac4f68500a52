"""Write the negatives that `hearaudiomlp fit` uses with the bundled weights: embeddings, no audio.

    python scripts/make_negatives.py ../shared/speech

The folder has `clips.csv` and `running.csv`, lists of recordings (columns file, start, stop, split,
and word and kind or reader), and the recordings. Only those of the training split are taken, and a
third of the readers of running speech is left out, so that false alarms can be measured on them.
"""

import argparse
import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from hearaudiomlp._types import Floats
from hearaudiomlp.fitting.negatives import Negatives, Projection, pack
from hearaudiomlp.fitting.placing import cut_window
from hearaudiomlp.fitting.taps import Taps
from hearaudiomlp.keywords import QUIET_DB, rms_dbfs
from hearaudiomlp.spec import ENCODERS, SAMPLE_RATE, WINDOW
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import read_model_file

ROOT = Path(__file__).resolve().parent.parent
SPEECH, WORDS, NOISE = 1300, 5, 100
"""Windows of running speech, of each word, and of noise."""
COMPONENTS = {"kwmlp": 256, "audiomae": 64}


def held_out_readers(speech: Path) -> list[str]:
    """Return the readers of running speech that no negatives are taken of."""
    rows = _rows(speech / "running.csv")
    training = sorted({row["reader"] for row in rows if row["split"] == "training"})
    validation = sorted({row["reader"] for row in rows if row["split"] != "training"})
    return [*validation, *training[::3]]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _read(path: Path) -> Floats:
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE:
        raise ValueError(f"{path} has {rate} Hz")
    return np.asarray(samples)


def _clips(speech: Path, kind: str) -> Iterator[tuple[dict[str, str], Floats]]:
    for row in _rows(speech / "clips.csv"):
        if row["kind"] == kind and row["split"] == "training":
            yield row, _read(speech / row["file"])[int(row["start"]) : int(row["stop"])]


def _running(speech: Path, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    left_out = held_out_readers(speech)
    files = [path for path in sorted((speech / "running").iterdir()) if path.stem not in left_out]
    for number, path in enumerate(files):
        samples = _read(path)
        count = SPEECH * (number + 1) // len(files) - SPEECH * number // len(files)
        for start in np.sort(rng.integers(0, len(samples) - WINDOW, count)):
            yield f"reader {path.stem}", samples[start : start + WINDOW]


def _words(speech: Path, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    clips: dict[str, list[Floats]] = {}
    for row, samples in _clips(speech, "word"):
        clips.setdefault(row["word"], []).append(samples)
    for word, found in sorted(clips.items()):
        for index in rng.choice(len(found), min(WORDS, len(found)), replace=False):
            room = WINDOW - len(found[index])
            start = -int(rng.integers(0, room + 1)) if room >= 0 else int(rng.integers(0, -room))
            yield f"word {word}", cut_window(found[index], start)


def _noise(speech: Path, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    clips = [(row["clip"], samples) for row, samples in _clips(speech, "noise")]
    for number in range(NOISE):
        name, samples = clips[number % len(clips)]
        start = int(rng.integers(0, max(1, len(samples) - WINDOW)))
        yield f"noise {name}", cut_window(samples, start)


def main() -> None:
    """Write one file for each encoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    speech = parser.parse_args().speech
    rng = np.random.default_rng(0)
    running = list(_running(speech, rng))
    found = [*running, *_words(speech, rng), *_noise(speech, rng)]
    groups, windows = zip(*found, strict=True)
    sounds = np.stack(windows).astype(np.float32)
    from_speech = np.arange(len(groups)) < len(running)
    loud = rms_dbfs(sounds) >= QUIET_DB
    for name in ENCODERS:
        source = read_model_file(locate(None, name).read())
        summaries = Taps(source).summarize(sounds[loud])
        projection = Projection.of(summaries, COMPONENTS[name])
        kept = np.flatnonzero(loud)
        negatives = Negatives(
            projection(summaries), tuple(groups[index] for index in kept), from_speech[kept]
        )
        data = pack(projection, negatives, source.metadata["checkpoint_sha256"])
        path = ROOT / "runtime" / "hearaudiomlp" / "data" / f"negatives-{name}.npz"
        path.write_bytes(data)
        print(f"{path.relative_to(ROOT)}: {len(negatives)} windows, {len(data):,} bytes")


if __name__ == "__main__":
    main()
