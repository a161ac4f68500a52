"""Recordings of real people, where they are at hand: the bundled weights name what they say."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hearaudiomlp
from hearaudiomlp import Model
from hearaudiomlp.keywordfiles import Spotted


@pytest.fixture(scope="module")
def bundled() -> Model:
    return hearaudiomlp.load_model(name="kwmlp", device="cpu")


def _validation(folder: Path, listing: str) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Give the clips of speakers that training didn't hear."""
    path, samples = "", np.zeros(0, np.float32)
    with (folder / listing).open(newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "validation" and row.get("kind", "word") == "word":
                if row["file"] != path:
                    path = row["file"]
                    samples = soundfile.read(folder / path, dtype="float32")[0]
                yield row, samples[int(row["start"]) : int(row["stop"])]


def test_real_words_are_named(bundled: Model, shared: Path, tmp_path: Path) -> None:
    """Files with one word each, with the defaults of ``hearaudiomlp keywords``."""
    words: list[str] = []
    for row, clip in _validation(shared / "speech", "clips.csv"):
        if Counter(words)[row["word"]] < 3:
            words.append(row["word"])
            soundfile.write(tmp_path / f"{len(words)}.wav", clip, 16000)
    paths = [tmp_path / f"{number}.wav" for number in range(1, len(words) + 1)]
    heard = [
        [hit.word for hit in file.hits]
        for file in hearaudiomlp.spot_files(paths, bundled)
        if isinstance(file, Spotted)
    ]
    assert len(heard) == len(words) > 70
    assert np.mean([[word] == found for word, found in zip(words, heard, strict=True)]) > 0.85


def test_running_speech_is_hardly_ever_taken_for_keywords(
    bundled: Model, shared: Path, tmp_path: Path
) -> None:
    """About three minutes: at most three words that the text doesn't have."""
    rows, paths = [], []
    for number, (row, clip) in enumerate(_validation(shared / "speech", "running.csv")):
        if number % 11 == 0:
            rows.append(row)
            paths.append(tmp_path / f"{number}.wav")
            soundfile.write(paths[-1], clip, 16000)
    alarms = []
    for row, file in zip(rows, hearaudiomlp.spot_files(paths, bundled), strict=True):
        assert isinstance(file, Spotted)
        said = row["text"].lower().split()
        alarms += [hit.word for hit in file.hits if hit.word not in said]
    assert len(rows) > 10
    assert len(alarms) <= 3
