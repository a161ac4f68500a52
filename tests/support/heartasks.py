"""A small task in the format of the HEAR benchmark, of synthetic speech or of tones."""

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

WORDS = ("yes", "no", "stop", "seven")
SPLITS = ("train", "valid", "test")


def speak(word: str, pitch: int, speed: int, voice: str) -> np.ndarray:
    """Return a word as espeak-ng says it, one second at 16 kHz."""
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", word]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(spoken), dtype="float32")
    sound = np.zeros(16000, np.float32)
    samples = soxr.resample(samples, rate, 16000)[:16000]
    sound[: len(samples)] = samples
    return sound


def whistle(word: str, pitch: int, speed: int, voice: str) -> np.ndarray:
    """Return a tone for a word, where there is no espeak-ng."""
    time = np.arange(16000) / 16000
    sound = np.sin(2 * np.pi * (300 + 200 * WORDS.index(word) + pitch) * time) * (
        time < 100 / speed
    )
    return (0.3 * sound).astype(np.float32)


def make_task(
    folder: Path, kind: str, per_word: int = 6, say: Callable[..., np.ndarray] = speak
) -> Path:
    """Write a task whose embeddings are of ``kind`` (``scene`` or ``event``); return its folder."""
    task = folder / f"speech_{kind}"
    rng = np.random.default_rng(0)
    for split in SPLITS:
        audio = task / "16000" / split
        audio.mkdir(parents=True)
        labels: dict[str, list] = {}
        for word in WORDS:
            for number in range(per_word):
                voice = ("en-us", "en-gb", "en-gb-scotland")[int(rng.integers(3))]
                sound = say(word, int(rng.integers(99)), int(rng.integers(120, 220)), voice)
                sound += (0.01 * rng.standard_normal(len(sound))).astype(np.float32)
                name = f"{word}_{split}_{number}.wav"
                if kind == "event":  # the word somewhere in two seconds of noise
                    at = int(rng.integers(0, 1000))
                    long = 0.01 * rng.standard_normal(32000).astype(np.float32)
                    long[16 * at : 16 * at + 16000] += sound
                    sound = long
                    labels[name] = [{"label": word, "start": at, "end": at + 700}]
                else:
                    labels[name] = [word]
                soundfile.write(audio / name, sound, 16000, subtype="PCM_16")
        (task / f"{split}.json").write_text(json.dumps(labels))
    vocabulary = "".join(f"{index},{word}\n" for index, word in enumerate(sorted(WORDS)))
    (task / "labelvocabulary.csv").write_text(f"idx,label\n{vocabulary}")
    metadata = {
        "task_name": task.name,
        "version": "1",
        "embedding_type": kind,
        "prediction_type": "multiclass" if kind == "scene" else "multilabel",
        "split_mode": "trainvaltest",
        "sample_duration": 1.0 if kind == "scene" else 2.0,
        "evaluation": ["top1_acc"] if kind == "scene" else ["event_onset_200ms_fms"],
        "evaluation_params": {"event_postprocessing_grid": {"median_filter_ms": [250]}},
        # With scores, heareval looks up the epoch it ended at, which is none that it scored.
        "use_scoring_for_early_stopping": kind == "scene",
        "splits": list(SPLITS),
        "max_task_duration_by_split": dict.fromkeys(SPLITS),
    }
    (task / "task_metadata.json").write_text(json.dumps(metadata))
    return task
