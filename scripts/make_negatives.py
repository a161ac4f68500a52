"""Write the negatives that `hearaudiomlp fit` uses with the bundled weights: embeddings, no audio.

    python scripts/make_negatives.py ../shared/speech

The folder has `clips.csv` and `running.csv`, lists of recordings (columns file, start, stop, split,
and word and kind, or reader and text), and the recordings. Only those of the training split are
taken, and a third of the readers of running speech is left out, so that false alarms can be
measured on them. Half of the running speech is from sentences that the network of phonemes hasn't
been trained on (`running_speech.npz` has their texts): the bias of a user's words is set on these,
since a network hears too well what it was trained on.

Both this and `benchmarks/quality/own_words.py` have to be run again after
`scripts/make_phonemes.py`; a minute or two on one core.
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
from hearaudiomlp.fitting.phonemes import count_phonemes
from hearaudiomlp.fitting.placing import cut_window
from hearaudiomlp.fitting.taps import Taps
from hearaudiomlp.keywords import QUIET_DB, rms_dbfs
from hearaudiomlp.spec import ENCODERS, SAMPLE_RATE, WINDOW
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import read_model_file
from hearaudiomlp_export.train.data.running import load_running_speech

ROOT = Path(__file__).resolve().parent.parent
FRESH, TRAINED, WORDS, NOISE = 1500, 1500, 5, 100
"""Windows of sentences that the network of phonemes hasn't heard, and of those it was trained on,
of each word, and of noise."""
COMPONENTS = {"kwmlp": 256, "audiomae": 64}
OF_PHONEMES = {"kwmlp": 192}


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


def _running(
    speech: Path, rng: np.random.Generator, fresh: bool, count: int
) -> Iterator[tuple[str, Floats]]:
    """Yield windows of sentences that the network of phonemes has heard, or hasn't."""
    left_out = held_out_readers(speech)
    running = load_running_speech()
    unheard = set(zip(running.readers, running.texts, strict=True))
    sentences = [
        row
        for row in _rows(speech / "running.csv")
        if row["split"] == "training"
        and row["reader"] not in left_out
        and ((row["reader"], row["text"].lower()) in unheard) == fresh
    ]
    lengths = np.array([int(row["stop"]) - int(row["start"]) - WINDOW for row in sentences])
    ends = np.cumsum(lengths.clip(0))
    for place in np.sort(rng.integers(0, ends[-1], count)):
        number = int(np.searchsorted(ends, place, side="right"))
        row = sentences[number]
        start = int(row["stop"]) - WINDOW - int(ends[number] - place)
        yield f"reader {row['reader']}", _read(speech / row["file"])[start : start + WINDOW]


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
    fresh = list(_running(speech, rng, fresh=True, count=FRESH))
    trained = _running(speech, rng, fresh=False, count=TRAINED)
    found = [*fresh, *trained, *_words(speech, rng), *_noise(speech, rng)]
    groups, windows = zip(*found, strict=True)
    sounds = np.stack(windows).astype(np.float32)
    from_speech = np.arange(len(groups)) < len(fresh)
    loud = rms_dbfs(sounds) >= QUIET_DB
    for name in ENCODERS:
        source = read_model_file(locate(None, name).read())
        phonemes = OF_PHONEMES.get(name)
        summaries = Taps(source, phonemes=phonemes is not None).summarize(sounds[loud])
        size = summaries.shape[2] - (count_phonemes()[0] if phonemes else 0)
        projection = Projection.of(summaries[..., :size], COMPONENTS[name])
        if phonemes:
            projection = projection.beside(Projection.of(summaries[..., size:], phonemes))
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
