"""Ten recordings of each of four words through `hearaudiomlp fit`: recall and false alarms.

    python benchmarks/quality/own_words.py ../shared/speech -o benchmarks/results/own-words.json

Each draw takes other recordings of the training split to fit to, and counts on all others: as
files, and with a second of faint noise before and behind. False alarms are counted on the readers
of running speech that neither the fit nor the bundled negatives have (the encoder was trained on
eight of the thirteen). The windows of a file are those of `hearaudiomlp keywords`. What the encoder
makes of them is the same for all draws, so it is computed once, and only the classifier of each
file is applied.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import soundfile

import hearaudiomlp
from hearaudiomlp.fitting.alarms import THRESHOLD
from hearaudiomlp.fitting.taps import PREFIX, STRETCHES, Taps
from hearaudiomlp.keywords.hits import HOP_S, QUIET_DB, find_hits, rms_dbfs, softmax
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import read_model_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from make_negatives import held_out_readers

RATE = 16_000
THRESHOLDS = (0.35, 0.4, 0.45, THRESHOLD, 0.55, 0.65)


class Sound(NamedTuple):
    """The means of a sound's windows, and which of them are silent."""

    means: Any
    quiet: Any


def read_clips(speech: Path, words: list[str], most: int) -> list[dict[str, Any]]:
    """Return the first recordings of each word, with their samples."""
    counts: Counter[str] = Counter()
    files: dict[str, Any] = {}
    clips = []
    with (speech / "clips.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["kind"] == "other" and row["word"] in words and counts[row["word"]] < most:
                counts[row["word"]] += 1
                if row["file"] not in files:
                    files[row["file"]] = soundfile.read(speech / row["file"], dtype="float32")[0]
                part = files[row["file"]][int(row["start"]) : int(row["stop"])]
                silent = rms_dbfs(part[None])[0] < QUIET_DB + 6  # fit refuses these
                clips.append({**row, "samples": part, "silent": silent})
    return clips


def summarize(taps: Taps, samples: Any) -> Sound:
    """Return what `keywords` would compute of a file, up to the classifier."""
    sliding = SlidingWindows(hop_samples(HOP_S))
    windows = np.concatenate([*sliding.push(samples), *sliding.flush()])
    means = taps.summarize(windows).astype(np.float16)
    return Sound(means, rms_dbfs(windows) < QUIET_DB)


def find(sound: Sound, weights: Any, bias: Any, labels: list[str], threshold: float) -> list[str]:
    """Return the words that `keywords` would print."""
    means = sound.means[:, :, : weights.shape[2]]  # without phonemes, if the file has none
    flat = means.reshape(len(means), -1).astype(np.float32)
    aligned = flat @ weights.reshape(len(bias), -1).T + bias
    probabilities = softmax(aligned.reshape(len(flat), len(labels) + 1, -1).max(axis=2))
    probabilities[sound.quiet] = 0.0
    starts = [number * HOP_S for number in range(len(probabilities))]
    hits = find_hits(starts, probabilities[:, :-1], labels, threshold=threshold)
    return [hit.word for hit in hits]


def fit_draw(clips: list[dict[str, Any]], words: list[str], count: int, seed: int) -> Any:
    """Fit to a draw; return the classifier's weights and bias, and which clips it has heard."""
    rng = np.random.default_rng(seed)
    chosen = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "recordings")
        for word in words:
            training = [
                index
                for index, clip in enumerate(clips)
                if clip["word"] == word and clip["split"] == "training" and not clip["silent"]
            ]
            for index in rng.permutation(training)[:count]:
                chosen.append(int(index))
                path = folder / word / f"{index}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, clips[index]["samples"], RATE)
        fitted = hearaudiomlp.fit(folder, Path(name, "fitted.onnx"), threads=1)
        tensors = onnx.load(fitted.path).graph.initializer
        arrays = {one.name: onnx.numpy_helper.to_array(one) for one in tensors}
        size = fitted.path.stat().st_size
    weights, bias = arrays[PREFIX + "weights"], arrays[PREFIX + "bias"]
    return weights.reshape(len(bias), STRETCHES, -1), bias, set(chosen), size


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("--words", default="athena,dracarys,hadouken,trick_or_treat")
    parser.add_argument("--recordings", type=int, default=10)
    parser.add_argument("--clips", type=int, default=110, help="of each word, at most")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    words = sorted(options.words.split(","))
    taps = Taps(read_model_file(locate(None).read()), threads=1, phonemes=True)
    clips = read_clips(options.speech, words, options.clips)
    rng = np.random.default_rng(0)
    alone, among = [], []
    for clip in clips:
        before, behind = (
            rng.normal(0, 10 ** (-55 / 20), n) for n in (rng.integers(12_000, 16_001), RATE)
        )
        padded = np.concatenate([before, clip["samples"], behind]).astype(np.float32)
        alone.append(summarize(taps, clip["samples"]))
        among.append(summarize(taps, padded))
    speech = [
        summarize(
            taps, soundfile.read(options.speech / "running" / f"{reader}.opus", dtype="float32")[0]
        )
        for reader in held_out_readers(options.speech)
    ]
    hours = sum(len(sound.quiet) for sound in speech) * HOP_S / 3600
    draws = []
    for seed in range(options.draws):
        weights, bias, heard, size = fit_draw(clips, words, options.recordings, seed)
        rows = []
        for threshold in THRESHOLDS:
            decide = (weights, bias, words, threshold)
            recalls: dict[str, list[list[bool]]] = {word: [] for word in words}
            for index, clip in enumerate(clips):
                if index not in heard:
                    word = clip["word"]
                    recalls[word].append(
                        [word in find(one[index], *decide) for one in (alone, among)]
                    )
            alarms = sum(len(find(sound, *decide)) for sound in speech)
            shares = {
                word: np.mean(found, axis=0).round(4).tolist() for word, found in recalls.items()
            }
            mean = np.mean(list(shares.values()), axis=0)
            rows.append(
                {
                    "threshold": threshold,
                    "recall_alone": round(float(mean[0]), 4),
                    "recall_among_noise": round(float(mean[1]), 4),
                    "false_alarms_per_hour": round(alarms / hours, 2),
                    "words": shares,
                }
            )
            print(
                seed, {key: value for key, value in rows[-1].items() if key != "words"}, flush=True
            )
        draws.append({"seed": seed, "bytes": size, "rows": rows})
    facts = {"words": words, "recordings": options.recordings, "hours_of_speech": round(hours, 2)}
    options.output.write_text(json.dumps(facts | {"draws": draws}, indent=1) + "\n")


if __name__ == "__main__":
    main()
