"""Files of `hearaudiomlp-export train kwmlp --words` on real people: recall and false alarms.

    python benchmarks/quality/own_phrases.py ../shared/speech six.onnx four.onnx -o phrases.json

Every recording of a phrase counts, except those that `--recordings` trained on (`--heard`, a list
of names as in clips.csv). False alarms are counted on the validation split of the running speech,
whose readers neither the network of phonemes nor the limits have. A phrase that is found where the
sentence has it is none. The windows are those of `hearaudiomlp keywords`.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from own_words import read_clips

import hearaudiomlp
from hearaudiomlp._types import Floats
from hearaudiomlp.keywords.hits import HOP_S, QUIET_DB, find_hits, rms_dbfs, softmax
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples
from hearaudiomlp_export.train.speech.phrases import is_said

SHIFTS = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)
"""Added to the threshold that each file states."""


def read_running(speech: Path) -> list[tuple[str, Floats]]:
    """Return the texts and samples of the sentences of the validation split."""
    with (speech / "running.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "validation"]
    return [
        (
            row["text"].lower(),
            soundfile.read(
                speech / row["file"],
                start=int(row["start"]),
                stop=int(row["stop"]),
                dtype="float32",
            )[0],
        )
        for row in rows
    ]


def hear(model: hearaudiomlp.Model, samples: Floats) -> Floats:
    """Return the probabilities in each window, zeros where it is silent."""
    sliding = SlidingWindows(hop_samples(HOP_S))
    windows = np.concatenate([*sliding.push(samples), *sliding.flush()])
    probabilities = softmax(model.keyword_logits(windows))
    probabilities[rms_dbfs(windows) < QUIET_DB] = 0.0
    return probabilities


def found(probabilities: Floats, labels: tuple[str, ...], threshold: float) -> list[str]:
    """Return the phrases that `keywords` would print."""
    starts = [number * HOP_S for number in range(len(probabilities))]
    hits = find_hits(starts, probabilities[:, :-1], labels[:-1], threshold=threshold)
    return [hit.word for hit in hits]


def measure(
    path: Path, speech: Path, heard: set[str], running: list[tuple[str, Floats]]
) -> dict[str, Any]:
    """Return the figures of a file."""
    model = hearaudiomlp.load_model(path, device="cpu", threads=1)
    names = {label.replace(" ", "_"): label for label in model.labels[:-1]}
    clips = [c for c in read_clips(speech, list(names), sys.maxsize) if c["clip"] not in heard]
    said = [(names[clip["word"]], hear(model, clip["samples"])) for clip in clips]
    others = [(text, hear(model, samples)) for text, samples in running]
    stated = float(model.metadata["keyword_threshold"])
    rows = []
    for threshold in (round(stated + shift, 2) for shift in SHIFTS):
        recall = {}
        for label in names.values():
            own = [found(p, model.labels, threshold) for name, p in said if name == label]
            recall[label] = float(np.mean([label in words for words in own]))
        hits = [(w, text) for text, p in others for w in found(p, model.labels, threshold)]
        alarms = sorted(word for word, text in hits if not is_said(word, text))
        rows.append({"threshold": threshold, "recall": recall, "false_alarms": alarms})
        mean = float(np.mean(list(recall.values())))
        print(f"{path.name} at {threshold}: {mean:.1%}, {len(alarms)} false alarms {alarms}")
        print("   " + ", ".join(f"{label} {share:.1%}" for label, share in recall.items()))
    return {
        "stated_threshold": stated,
        "clips": {label: sum(name == label for name, _ in said) for label in names.values()},
        "thresholds": rows,
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--heard", type=Path, help="names of clips that were trained on")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    heard = set(options.heard.read_text().split()) if options.heard else set()
    running = read_running(options.speech)
    results = {
        "running_speech_minutes": sum(len(samples) for _, samples in running) / 16_000 / 60,
        "models": {
            path.stem: measure(path, options.speech, heard, running) for path in options.models
        },
    }
    options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
