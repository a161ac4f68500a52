"""`hearaudiomlp fit` against heareval's own prediction stage, on the same splits of the same tasks.

    python benchmarks/quality/own_against_heareval.py ../shared/speech TASKS --heareval PYTHON \
        -o benchmarks/results/own-against-heareval.json

`TASKS` is a folder to write the tasks to, in heareval's format, made of the recordings in the first
folder. `hearaudiomlp embed --layout heareval` embeds them, and heareval's stage, unmodified and
with its default grid, runs under `PYTHON`, an interpreter that has heareval (tests/table/formats/
test_heareval.py installs one). It trains on the training split and chooses among its eight models
on the validation split. `fit` gets the training split alone. Both are scored on the test split by
top1_acc, the share of recordings that are classified correctly.
"""

import argparse
import csv
import json
import os
import pickle
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from own_words import RATE
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hearaudiomlp
from hearaudiomlp.cli import main as hearaudiomlp_command
from hearaudiomlp.keywords.hits import HOP_S, QUIET_DB, rms_dbfs, softmax
from hearaudiomlp.signal.windows import SlidingWindows, hop_samples

SPLITS = ("train", "valid", "test")
MOST = {"train": 25, "valid": 10, "test": 30}
"""Recordings of a class."""

WORDS = ["amelia", "athena", "dracarys", "hadouken", "joke", "trick_or_treat"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PLACES = [
    "forest_2_felixchenfy",
    "rain_felixchenfy",
    "jarbas_bg_noise9",
    "doing_the_dishes",
    "running_tap",
    "exercise_bike",
    "water_felixchenfy",
    "dude_miaowing",
]
READERS, READER_SECONDS = 10, 3

Pieces = Iterator[tuple[str, str, Any]]
"""Split, label and samples."""


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def read(speech: Path, row: dict[str, str]) -> Any:
    """Return the samples of a row."""
    start, stop = int(row["start"]), int(row["stop"])
    return soundfile.read(speech / row["file"], dtype="float32", start=start, stop=stop)[0]


def words(speech: Path, rng: np.random.Generator) -> Pieces:
    """Yield the words that the encoder has no label for, split by recording."""
    for word in WORDS:
        found = [row for row in rows(speech / "clips.csv") if row["word"] == word]
        clips = [read(speech, found[index]) for index in rng.permutation(len(found))]
        loud = iter([clip for clip in clips if rms_dbfs(clip[None])[0] >= QUIET_DB + 6])
        for split, most in MOST.items():
            yield from ((split, word, clip) for _, clip in zip(range(most), loud, strict=False))


def digits(speech: Path, rng: np.random.Generator) -> Pieces:
    """Yield digits, split by speaker: those of the test split the encoder has never heard."""
    for word in DIGITS:
        found = [row for row in rows(speech / "clips.csv") if row["word"] == word]
        counts: Counter[str] = Counter()
        for index in rng.permutation(len(found)):
            row = found[index]
            speaker = sum(row["speaker"].encode())
            split = "valid" if speaker % 3 == 0 else "train"
            split = "test" if row["split"] != "training" else split
            if counts[split] < MOST[split]:
                clip = read(speech, row)
                if rms_dbfs(clip[None])[0] >= QUIET_DB + 6:
                    counts[split] += 1
                    yield split, word, clip


def places(speech: Path, _rng: np.random.Generator) -> Pieces:
    """Yield seconds of noises: the first part of each recording to train on, the last to test."""
    found = {row["clip"]: row for row in rows(speech / "clips.csv") if row["kind"] == "noise"}
    for name in PLACES:
        samples = read(speech, found[name])
        whole = len(samples) // RATE
        shares = {"train": (0.0, 0.5), "valid": (0.5, 0.7), "test": (0.7, 1.0)}
        for split, (first, last) in shares.items():
            for second in range(int(first * whole), int(last * whole))[: MOST[split]]:
                yield split, name, samples[second * RATE : (second + 1) * RATE]


def readers(speech: Path, rng: np.random.Generator) -> Pieces:
    """Yield three seconds of readers, other sentences in each split."""
    sentences: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows(speech / "running.csv"):
        sentences[row["reader"]].append(row)
    size = READER_SECONDS * RATE
    for reader in sorted(sentences)[:READERS]:
        found = iter([sentences[reader][i] for i in rng.permutation(len(sentences[reader]))])
        for split, most in MOST.items():
            left = most
            for row in found:
                samples = read(speech, row)
                for start in range(0, len(samples) - size, size)[:left]:
                    left -= 1
                    yield split, f"reader {reader}", samples[start : start + size]
                if not left:
                    break


TASKS = {"other_words": words, "digits": digits, "places": places, "readers": readers}


def write_task(task: Path, pieces: Pieces) -> dict[str, int]:
    """Write a task in heareval's format; return how many recordings each split has."""
    labels: dict[str, dict[str, list[str]]] = {split: {} for split in SPLITS}
    for number, (split, label, samples) in enumerate(pieces):
        path = task / str(RATE) / split / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, subtype="PCM_16")
        labels[split][path.name] = [label]
    for split in SPLITS:
        (task / f"{split}.json").write_text(json.dumps(labels[split]))
    known = sorted({label for named in labels["train"].values() for label in named})
    lines = "".join(f"{index},{label}\n" for index, label in enumerate(known))
    (task / "labelvocabulary.csv").write_text(f"idx,label\n{lines}")
    metadata = {
        "task_name": task.name,
        "version": "1",
        "embedding_type": "scene",
        "prediction_type": "multiclass",
        "split_mode": "trainvaltest",
        "sample_duration": None,
        "evaluation": ["top1_acc"],
        "evaluation_params": {},
        "splits": list(SPLITS),
        "max_task_duration_by_split": dict.fromkeys(SPLITS),
    }
    (task / "task_metadata.json").write_text(json.dumps(metadata))
    return {split: len(names) for split, names in labels.items()}


def predict(python: Path, embedded: Path) -> float:
    """Run heareval's prediction stage; return the score of the test split."""
    command = [python, "-m", "heareval.predictions.runner", embedded]
    allowed = os.environ | {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    subprocess.run(command, check=True, env=allowed, capture_output=True)
    scores = json.loads((embedded / "test.predicted-scores.json").read_text())
    return float(scores["test"]["test_score"])


def logistic(embedded: Path) -> float:
    """Return the score of logistic regression on the same embeddings."""
    loaded = {}
    for split in ("train", "test"):
        shape = json.loads((embedded / f"{split}.embedding-dimensions.json").read_text())
        labels = pickle.loads((embedded / f"{split}.target-labels.pkl").read_bytes())
        values = np.fromfile(embedded / f"{split}.embeddings.npy", np.float32)
        loaded[split] = values.reshape(shape), [label for [label] in labels]
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    strengths = {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1]}
    return float(GridSearchCV(head, strengths, cv=5).fit(*loaded["train"]).score(*loaded["test"]))


def fit(task: Path, encoder: str, output: Path) -> float:
    """Fit to the training split; return the score of the test split."""
    with output.with_suffix(".csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["path", "label"])
        for name, [label] in json.loads((task / "train.json").read_text()).items():
            path = task / str(RATE) / "train" / name
            if rms_dbfs(hearaudiomlp.read_audio(path).samples[None])[0] >= QUIET_DB + 3:
                table.writerow([path.resolve(), label])  # fit refuses silence
    fitted = hearaudiomlp.fit(output.with_suffix(".csv"), output, name=encoder, threads=1)
    model = hearaudiomlp.load_model(fitted.path, threads=1)
    right = []
    for name, [label] in json.loads((task / "test.json").read_text()).items():
        samples = hearaudiomlp.read_audio(task / str(RATE) / "test" / name).samples
        sliding = SlidingWindows(hop_samples(HOP_S))
        windows = np.concatenate([*sliding.push(samples), *sliding.flush()])
        probabilities = softmax(model.encode(windows, ("keyword_logits",))["keyword_logits"])
        right.append(model.labels[probabilities[:, :-1].sum(axis=0).argmax()] == label)
    return float(np.mean(right))


def main() -> None:
    """Write the tasks, embed them, and print and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("folder", type=Path, help="is made; for the tasks")
    parser.add_argument("--heareval", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--encoders", default="kwmlp,audiomae")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    found = []
    for name in options.tasks.split(","):
        task = options.folder / name
        counts = write_task(task, TASKS[name](options.speech, np.random.default_rng(0)))
        for encoder in options.encoders.split(","):
            embedded = options.folder / encoder / name
            embedded.parent.mkdir(exist_ok=True)
            more = ["-o", str(embedded), "--encoder", encoder, "--device", "cpu"]
            code = hearaudiomlp_command(["embed", "--layout", "heareval", str(task), *more])
            if code:
                raise SystemExit(code)
            scores = {
                "heareval": predict(options.heareval, embedded),
                "logistic_regression": logistic(embedded),
                "fit": fit(task, encoder, options.folder / f"{encoder}-{name}.onnx"),
            }
            scores = {stage: round(score, 4) for stage, score in scores.items()}
            found.append({"task": name, "encoder": encoder, "recordings": counts, **scores})
            print(found[-1], flush=True)
            options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
