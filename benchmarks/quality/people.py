"""Keywords spoken by real people: accuracy by kind of word and of speaker, and false alarms.

    python benchmarks/quality/people.py NAME=CHECKPOINT [NAME=CHECKPOINT ...] --recordings DIR
        [--corpus training/corpus] [--json OUT.json] [--plot OUT.png]

Measures the validation split of recordings (``hearaudiomlp-export train --recordings``), which no
bundled weights were trained on. Accuracy is on bare windows: a clip's first second, zeros after it.
A linear probe of scene embeddings learns the digits of the training split's speakers. For spotting,
every second word is put between 1.25 s of its own quietest noise on either side, the others, with
pauses of 0.15 s, between stretches of running speech of the same level; running speech alone gives
false alarms: hits whose word isn't in its text.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr

import hearaudiomlp
from hearaudiomlp.keywords import (
    HOP_S,
    QUIET_DB,
    SMOOTHING_S,
    THRESHOLD,
    find_hits,
    mask_quiet,
    rms_dbfs,
    softmax,
)
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp_export.train.data import layouts, recordings
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.validation import bare_windows, rich_words, sliding_windows
from hearaudiomlp_export.train.speech.words import KEYWORDS

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_THRESHOLDS = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_SMOOTHINGS = (0.5, 0.75)
_AROUND_S = 1.25
_SLACK_S = 0.3
_SEED = 16

Floats = np.ndarray


def _groups(validation: Part, names: list[str], rich: frozenset[str]) -> dict[str, np.ndarray]:
    """Return which clips belong to each group."""
    words = np.array(validation.words)
    sets = np.array([
        "Speech Commands" if "_nohash_" in name
        else "AN4" if name.startswith(("an", "cen")) else "LibriSpeech"
        for name in names
    ])  # fmt: skip
    # AN4 names its speakers by sex: an407-fcaw-b, cen7-mmkw-b.
    sex = np.array([name.split("-")[1][0] if "-" in name else "" for name in names])
    return {
        "all words": np.ones(len(words), bool),
        "eleven rich words": np.isin(words, sorted(rich)),
        "the other words": ~np.isin(words, sorted(rich)),
        "ten commands": np.isin(words, _COMMANDS),
        "digits": np.isin(words, _DIGITS),
        "Speech Commands (one word a second, anyone's microphone)": sets == "Speech Commands",
        "AN4 (cut from numbers and addresses)": sets == "AN4",
        "- women": (sets == "AN4") & (sex == "f"),
        "- men": (sets == "AN4") & (sex == "m"),
        "LibriSpeech (cut from read books)": sets == "LibriSpeech",
    }


def _telephone(windows: Floats) -> Floats:
    """Return windows that have been at 8 kHz."""
    return np.stack([
        np.pad(heard := soxr.resample(soxr.resample(row, 16_000, 8_000), 8_000, 16_000),
               (0, max(0, len(row) - len(heard))))[: len(row)]
        for row in windows
    ]).astype(np.float32)  # fmt: skip


def _accuracy(
    logits: Callable[[Floats], Floats],
    windows: Floats,
    labels: Floats,
    groups: dict[str, np.ndarray],
) -> dict[str, float]:
    digits = np.array([KEYWORDS.index(word) for word in _DIGITS])
    found = {}
    wide = logits(windows)
    narrow = logits(_telephone(windows[groups["digits"]]))
    for group, rows in groups.items():
        found[group] = float(np.mean(wide[rows].argmax(1) == labels[rows]))
    said = labels[groups["digits"]]
    among_ten = digits[wide[groups["digits"]][:, digits].argmax(1)]
    found["digits, out of ten"] = float(np.mean(among_ten == said))
    found["digits at 8 kHz"] = float(np.mean(narrow.argmax(1) == said))
    among_ten = digits[narrow[:, digits].argmax(1)]
    found["digits at 8 kHz, out of ten"] = float(np.mean(among_ten == said))
    return found


def _probe(model: hearaudiomlp.Model, training: Part, validation: Part) -> float:
    """Return how many digits a linear classifier of scene embeddings names right."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sets = []
    for part in (training, validation):
        rows = [number for number, word in enumerate(part.words) if word in _DIGITS]
        clips = [part.clip(number)[:SAMPLE_RATE] / np.float32(32768) for number in rows]
        embeddings = [model.scene_embeddings(clip[None])[0] for clip in clips]
        sets.append((np.stack(embeddings), [part.words[number] for number in rows]))
    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(0, 5, 11)))
    return float(probe.fit(*sets[0]).score(*sets[1]))


def _quiet_noise(rng: np.random.Generator, clip: Floats, n: int) -> Floats:
    """Return white noise as loud as the clip's quietest 20 ms."""
    pieces = clip[: len(clip) // 320 * 320].reshape(-1, 320)
    level = max(1e-5, float(np.sqrt(np.square(pieces).mean(axis=1)).min()))
    return (level * rng.standard_normal(n)).astype(np.float32)


def _scenes(words: Part, running: Part) -> dict[str, list[tuple[Floats, str, float, float]]]:
    """Return sounds with the word in each and where it begins and ends, in seconds."""
    rng = np.random.default_rng(_SEED)
    alone, among = [], []
    pause = round(0.15 * SAMPLE_RATE)
    for number, word in enumerate(words.words):
        clip = words.clip(number).astype(np.float32) / 32768
        around = round(_AROUND_S * SAMPLE_RATE)
        sound = np.concatenate(
            [_quiet_noise(rng, clip, around), clip, _quiet_noise(rng, clip, around)]
        )
        if number % 2:
            alone.append((sound, word, around / SAMPLE_RATE, (around + len(clip)) / SAMPLE_RATE))
            continue
        speech = []
        for _ in range(2):
            at = int(rng.integers(len(running)))
            while word in running.words[at].split():
                at = int(rng.integers(len(running)))
            heard = running.clip(at).astype(np.float32) / 32768
            start = int(rng.integers(max(1, len(heard) - around)))
            heard = heard[start : start + around]
            loud = np.sqrt(np.mean(clip**2)) / max(1e-5, float(np.sqrt(np.mean(heard**2))))
            speech.append(np.clip(heard * loud, -1, 1))
        quiet = [_quiet_noise(rng, clip, pause) for _ in range(2)]
        sound = np.concatenate([speech[0], quiet[0], clip, quiet[1], speech[1]])
        start = len(speech[0]) + pause
        among.append((sound, word, start / SAMPLE_RATE, (start + len(clip)) / SAMPLE_RATE))
    return {"alone": alone, "among": among}


def _probabilities(logits: Callable[[Floats], Floats], samples: Floats) -> Floats:
    windows = sliding_windows(samples)
    return mask_quiet(softmax(logits(windows)), rms_dbfs(windows), QUIET_DB)


def _curve(
    logits: Callable[[Floats], Floats],
    scenes: dict[str, list[tuple[Floats, str, float, float]]],
    running: Part,
) -> list[dict[str, float]]:
    """Return misses and false alarms at every threshold and smoothing."""
    heard = {
        name: [_probabilities(logits, sound) for sound, *_ in scene]
        for name, scene in scenes.items()
    }
    spoken = [_probabilities(logits, clip.astype(np.float32) / 32768) for clip in running.clips()]
    hours = len(running.pcm) / SAMPLE_RATE / 3600
    points = []
    for smoothing in _SMOOTHINGS:
        averaged = {
            name: [_averaged(rows, smoothing) for rows in sounds]
            for name, sounds in {**heard, "running": spoken}.items()
        }
        for threshold in _THRESHOLDS:
            point: dict[str, float] = {"threshold": threshold, "smoothing": smoothing}
            for name, scene in scenes.items():
                missed = sum(
                    not any(
                        hit.word == word
                        and hit.start < end + _SLACK_S
                        and hit.end > start - _SLACK_S
                        for hit in _hits(rows, threshold)
                    )
                    for rows, (_, word, start, end) in zip(averaged[name], scene, strict=True)
                )  # fmt: skip
                point[f"missed {name}"] = missed / len(scene)
            alarms = sum(
                hit.word not in text.split()
                for rows, text in zip(averaged["running"], running.words, strict=True)
                for hit in _hits(rows, threshold)
            )
            point["alarms_per_hour"] = alarms / hours
            points.append(point)
    return points


def _averaged(rows: Floats, smoothing: float) -> Floats:
    """Return what ``HitFinder`` compares with the threshold, for all thresholds at once."""
    times = HOP_S * np.arange(len(rows))
    weights = np.maximum(0.0, 1.0 - np.abs(times[:, None] - times) / smoothing)
    return weights @ rows / weights.sum(axis=1, keepdims=True)


def _hits(averaged: Floats, threshold: float) -> list[Any]:
    if averaged.max() < threshold:
        return []
    starts = [HOP_S * number for number in range(len(averaged))]
    return find_hits(starts, averaged, KEYWORDS, threshold=threshold, smoothing=0.0)


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw misses over false alarms, a curve for each checkpoint, at the default smoothing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = {"alone": "words alone", "among": "words among running speech"}
    for axes, (scene, title) in zip(panels, titles.items(), strict=True):
        for index, (name, result) in enumerate(results.items()):
            curve = [point for point in result["spotting"] if point["smoothing"] == SMOOTHING_S]
            style = {"color": ("#0072B2", "#E69F00", "#009E73")[index % 3]}
            alarms = [max(0.5, point["alarms_per_hour"]) for point in curve]
            missed = [100 * point[f"missed {scene}"] for point in curve]
            axes.plot(alarms, missed, marker="os^"[index % 3], markersize=3, label=name, **style)
            for x, y, point in zip(alarms, missed, curve, strict=True):
                if point["threshold"] == THRESHOLD:
                    axes.plot(x, y, marker="os^"[index % 3], markersize=10, mfc="none", **style)
        axes.axvline(20, color="0.6", linestyle=":")
        axes.set(xscale="log", xlabel="false alarms an hour in running speech", title=title)
    panels[0].set_ylabel("words missed (%)")
    title = f"large marks: threshold {THRESHOLD}, the default"
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=3, frameon=False, title=title)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("training/corpus"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    clips = layouts.list_clips(options.recordings)
    folder = options.corpus / f"recordings-{recordings.fingerprint(clips)}"
    for _ in recordings.prepare(clips, folder):
        pass
    validation = recordings.load(folder, layouts.VALIDATION)
    about = json.loads((folder / f"{layouts.VALIDATION}-{layouts.WORD}.json").read_bytes())
    training = recordings.load(folder, layouts.TRAINING)
    rich = rich_words(training.words)
    groups = _groups(validation.words, about["names"], rich)
    windows, labels = bare_windows(validation.words)
    scenes = _scenes(validation.words, validation.running)
    results: dict[str, Any] = {}
    for named in options.checkpoints:
        name, _, path = named.partition("=")
        model = hearaudiomlp.load_model(path, name="kwmlp", device="cpu")
        shares = _accuracy(model.keyword_logits, windows, labels, groups)
        probe = "digits, linear probe of scene embeddings"
        shares[probe] = _probe(model, training.words, validation.words)
        results[name] = {
            "checkpoint_sha256": model.metadata["checkpoint_sha256"],
            "accuracy": shares,
            "spotting": _curve(model.keyword_logits, scenes, validation.running),
        }
    _print(results, {group: int(rows.sum()) for group, rows in groups.items()})
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot is not None:
        plot(results, options.plot)


def _print(results: dict[str, Any], counts: dict[str, int]) -> None:
    print("| right out of 35 words | windows | " + " | ".join(results) + " |")
    print("| --- | ---: |" + " ---: |" * len(results))
    for group in next(iter(results.values()))["accuracy"]:
        count = counts.get(group, counts["digits"])
        shares = [result["accuracy"][group] for result in results.values()]
        print(f"| {group} | {count} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |")
    print()
    print(
        "| weights | smoothing | threshold | missed alone | missed among speech | false alarms/h |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, result in results.items():
        for point in result["spotting"]:
            print(
                f"| {name} | {point['smoothing']} | {point['threshold']} | "
                f"{100 * point['missed alone']:.1f} % | {100 * point['missed among']:.1f} % | "
                f"{point['alarms_per_hour']:.0f} |"
            )


if __name__ == "__main__":
    main()
