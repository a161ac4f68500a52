"""Keyword spotting: probabilities into hits, files into windows, and the command around it."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp import Model, keywordfiles, load_model
from hearaudiomlp.audio import read_audio
from hearaudiomlp.cli import main
from hearaudiomlp.embed import Failed
from hearaudiomlp.errors import AudioFileError, OptionError
from hearaudiomlp.keywordfiles import Spotted, spot_files
from hearaudiomlp.keywords import hits
from hearaudiomlp.keywords.hits import Hit, HitFinder, find_hits
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"
LABELS = ("yes", "no", "up")


def rows(*words: str | None, p: float = 0.9) -> np.ndarray:
    """Probabilities of windows that are sure of a word, or silent."""
    table = np.zeros((len(words), len(LABELS)), np.float32)
    for row, word in zip(table, words, strict=True):
        if word is not None:
            row[:] = (1 - p) / 2
            row[LABELS.index(word)] = p
    return table


def spotted(*words: str | None, hop: float = 0.25, **options: float) -> list[Hit]:
    return find_hits(np.arange(len(words)) * hop, rows(*words), LABELS, **options)


def test_a_word_that_several_windows_hear() -> None:
    [hit] = spotted(None, None, None, "no", "no", "no", None, None, None)
    assert hit.word == "no"
    assert (hit.start + hit.end) / 2 == pytest.approx(1.0 + 0.5)  # window 4 is the middle one
    assert hit.probability == pytest.approx(0.9)


def test_a_word_of_one_window_only_is_chance() -> None:
    assert spotted(None, None, "no", None, None) == []
    assert [hit.word for hit in spotted(None, None, "no", None, None, smoothing=0)] == ["no"]


def test_a_short_sound_has_one_window_and_that_counts() -> None:
    assert [hit.word for hit in spotted("up")] == ["up"]
    assert spotted(None) == []
    assert spotted() == []


def test_neighbouring_hits_are_merged_and_others_are_not() -> None:
    none = [None] * 4
    assert len(spotted("no", "no", "no", None, "no", "no", "no", smoothing=0)) == 2
    assert len(spotted("no", "no", "no", None, "no", "no", "no", smoothing=0, merge=0.5)) == 1
    hits = spotted("no", "no", "no", *none, "no", "no", "no", *none, "up", "up", "up")
    assert [hit.word for hit in hits] == ["no", "no", "up"]
    assert [hit.word for hit in spotted("no", "no", "no", "yes", "yes", "yes", "no", "no")] == [
        "no", "yes", "no",
    ]  # fmt: skip


def test_where_a_word_is_told_to_be() -> None:
    [hit] = spotted(None, None, None, "no", "no", "no", None, None, None, smoothing=0)
    # windows from 0.75, 1 and 1.25 s hold it: they have 1.25 to 1.75 s in common
    assert (hit.start, hit.end) == (1.25, 1.75)
    [hit] = spotted(*["no"] * 9)  # windows from 0 to 2 s: said again and again
    assert (hit.start, hit.end) == (0.75, 2.25)
    [hit] = spotted("no", smoothing=0)
    assert (hit.start, hit.end) == (0.0, 1.0)
    assert hit.within(0.4) == Hit("no", 0.0, 0.4, hit.probability)


def test_threshold_is_on_the_average() -> None:
    windows = [None, None, "no", "no", None, None]
    average = 0.9 * 1.5 / 2
    assert len(spotted(*windows, threshold=average - 0.001)) == 1
    assert len(spotted(*windows, threshold=average + 0.001)) == 0


@pytest.mark.parametrize(
    "options", [{"threshold": 0}, {"threshold": 1.1}, {"threshold": float("nan")},
                {"smoothing": -1}, {"smoothing": float("inf")}, {"merge": -0.1}],
)  # fmt: skip
def test_options_that_cannot_be_meant(options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        HitFinder(LABELS, **options)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    hop=st.sampled_from([0.05, 0.1, 0.25, 1.0]),
    smoothing=st.sampled_from([0.0, 0.3, 0.5, 2.0]),
    threshold=st.sampled_from([0.4, 0.6, 0.9]),
)
def test_hits_are_those_of_a_plain_rule_however_windows_come(  # noqa: PLR0917
    seed, n, cuts, hop, smoothing, threshold
) -> None:
    rng = np.random.default_rng(seed)
    said = np.repeat(rng.integers(0, 3, n), rng.integers(1, 6, n))[:n]
    table = hits.softmax(rng.normal(0, 1, (n, 3)) + 4 * np.eye(3)[said]).astype(np.float32)
    starts = np.arange(n) * hop

    finder = HitFinder(LABELS, threshold=threshold, smoothing=smoothing)
    edges = sorted({0, n, *(cut for cut in cuts if cut < n)})
    found = []
    for start, stop in itertools.pairwise(edges):
        found += finder.push(starts[start:stop], table[start:stop])
    found += finder.finish()

    distance = np.abs(starts[:, None] - starts)
    kernel = np.clip(1 - distance / smoothing, 0, None) if smoothing else np.eye(n)
    average = kernel @ table.astype(np.float64) / kernel.sum(axis=1, keepdims=True)
    runs: list[list[int]] = []
    for i in np.flatnonzero(average.max(axis=1, initial=0) >= threshold):
        word = average[i].argmax()
        if runs and average[runs[-1][-1]].argmax() == word and (
            (i - runs[-1][-1]) * hop <= hits.MERGE_S + 1e-6
        ):  # fmt: skip
            runs[-1].append(i)
        else:
            runs.append([i])
    assert [hit.word for hit in found] == [LABELS[average[run[0]].argmax()] for run in runs]
    for hit, run in zip(found, runs, strict=True):
        assert hit.probability == pytest.approx(average[run].max())
        assert 0 <= hit.end - hit.start <= max(1, starts[run[-1]] - starts[run[0]]) + 1e-6


def test_the_finder_begins_anew_after_the_end() -> None:
    finder = HitFinder(LABELS)
    for _ in range(2):
        hits = [*finder.push([0, 0.25], rows("no", "no")), *finder.finish()]
        assert hits == spotted("no", "no")


def test_softmax_and_levels() -> None:
    logits = np.array([[1000.0, 999.0, 0.0]], np.float32)
    np.testing.assert_allclose(hits.softmax(logits), [[0.7310586, 0.2689414, 0.0]], rtol=1e-6)
    sine = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000).astype(np.float32)
    np.testing.assert_allclose(
        hits.rms_dbfs(np.stack([sine, sine / 1000, 0 * sine])),
        [-3.01, -63.01, -np.inf],
        atol=0.01,
    )
    quiet = hits.mask_quiet(rows("no", "no", "no"), [-3.0, -63.0, -np.inf], -60.0)
    assert quiet.sum(axis=1).tolist() == pytest.approx([1, 0, 0])


@pytest.fixture(scope="module")
def published(shared: Path) -> Model:
    return load_model(shared / "checkpoints" / "kwmlp.pth", device="cpu")


@pytest.mark.parametrize("hop", [0.1, 0.2, 0.25])
def test_the_words_of_the_sample(published: Model, hop: float) -> None:
    [file] = spot_files([SAMPLE], published, hop=hop)
    assert isinstance(file, Spotted)
    assert [hit.word for hit in file.hits] == ["marvin", "seven", "happy", "stop"]
    samples = read_audio(SAMPLE).samples
    for hit in file.hits:  # each is where the sample isn't silent
        middle = samples[int(16000 * hit.start) : int(16000 * hit.end)]
        assert np.sqrt(np.mean(middle**2)) > 0.02


def test_files_are_told_as_their_windows_are(kwmlp: Model, tmp_path: Path) -> None:
    """Random weights: low thresholds, so that there is something to compare."""
    rng = np.random.default_rng(0)
    for name, seconds in (("a", 0.4), ("b", 7.3), ("c", 0.0), ("d", 1.0), ("e", 2.0)):
        samples = 0.2 * rng.standard_normal(int(16000 * seconds))
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000, subtype="FLOAT")
    paths = sorted(tmp_path.iterdir())
    some = False
    for path, file in zip(paths, spot_files(paths, kwmlp, threshold=0.05, hop=0.1), strict=True):
        samples = read_audio(path).samples
        starts = np.arange(1 + max(0, -(-(len(samples) - 16000) // 1600)))
        windows = np.zeros((len(starts), 16000), np.float32)
        for window, start in zip(windows, starts, strict=True):
            inside = samples[start * 1600 :][:16000]
            window[: len(inside)] = inside
        table = hits.softmax(kwmlp.keyword_logits(windows))
        table[hits.rms_dbfs(windows) < -60] = 0
        expected = find_hits(starts * 1600 / 16000, table, kwmlp.labels, threshold=0.05)
        assert isinstance(file, Spotted)
        assert file.path == str(path)
        assert file.hits == tuple(hit.within(file.duration) for hit in expected)
        some = some or bool(file.hits)
    assert some


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_says_nothing(kwmlp: Model, tmp_path: Path, level: float) -> None:
    samples = level * np.random.default_rng(0).standard_normal(16000 * 3)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    [file] = spot_files([tmp_path / "a.wav"], kwmlp, threshold=1e-6)
    assert isinstance(file, Spotted)
    assert file.hits == ()
    [file] = spot_files([tmp_path / "a.wav"], kwmlp, threshold=1e-6, quiet=-np.inf)
    assert isinstance(file, Spotted)
    assert file.hits


def test_bad_files_do_not_stop_the_others(kwmlp: Model, tmp_path: Path) -> None:
    for name, scale in (("a", 0.1), ("b", 1e30), ("c", 0.1)):
        samples = scale * np.sin(np.arange(20000))
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000, subtype="DOUBLE")
    (tmp_path / "b1.wav").write_text("no audio")
    with pytest.warns(UserWarning, match="far outside"):
        first, loud, bad, last = spot_files(sorted(tmp_path.iterdir()), kwmlp, threshold=0.05)
    assert isinstance(loud, Failed)
    assert "overflows float32" in str(loud.problem)
    assert isinstance(bad, Failed)
    assert "b1.wav" in str(bad.problem)
    assert isinstance(first, Spotted)
    assert isinstance(last, Spotted)
    assert first.hits == last.hits != ()


def test_a_long_file_takes_no_more_memory_than_a_short_one(kwmlp, tmp_path, monkeypatch) -> None:
    peaks = []
    monkeypatch.setattr(
        type(kwmlp),
        "encode",
        lambda _, block, names: {"keyword_logits": np.zeros((len(block), 35), "f4")},
    )
    for minutes in (1, 5):
        soundfile.write(tmp_path / "a.wav", np.zeros(16000 * 60 * minutes, "i2"), 16000)
        tracemalloc.start()
        list(spot_files([tmp_path / "a.wav"], kwmlp))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize(
    "options",
    [{"hop": 0.001}, {"hop": 1.5}, {"hop": float("nan")}, {"threshold": 0}, {"smoothing": -1},
     {"quiet": float("nan")}],
)  # fmt: skip
def test_options_are_refused_before_the_work(kwmlp: Model, options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        spot_files(["no.wav"], kwmlp, **options)


def test_audiomae_is_refused(checkpoints, capsys) -> None:
    assert main(["keywords", str(SAMPLE), "--model", str(checkpoints["audiomae"])]) == 1
    assert "audiomae has no keyword head; kwmlp has one" in capsys.readouterr().err


@pytest.fixture
def three_hits(monkeypatch, checkpoints) -> list[str]:
    """Arguments that name a model whose hits are known."""
    hits = (Hit("no", 0.0, 0.75, 0.8125), Hit("yes", 1.25, 1.75, 0.9), Hit("no", 60.5, 61.0, 0.61))

    def spot(paths, model, **_):
        for path in paths:
            problem = AudioFileError(f"{path}: bad")
            yield Failed(path, problem) if "bad" in path else Spotted(path, 61.25, hits)

    monkeypatch.setattr(keywordfiles, "spot_files", spot)
    return ["--model", str(checkpoints["kwmlp"])]


def test_table(three_hits, capsys) -> None:
    assert main(["keywords", "a.wav", *three_hits]) == 0
    assert capsys.readouterr().out == (
        "a.wav: 61.25 s, 3 keywords\n"
        "    start       end  word       probability\n"
        "     0.00      0.75  no                0.81\n"
        "     1.25      1.75  yes               0.90\n"
        "    60.50     61.00  no                0.61\n"
    )


def test_json(three_hits, capsys, kwmlp: Model) -> None:
    assert main(["keywords", "a.wav", "bad.wav", "--json", *three_hits]) == 1
    captured = capsys.readouterr()
    first, second = map(json.loads, captured.out.splitlines())
    assert first == {
        "path": "a.wav",
        "duration": 61.25,
        "model": "kwmlp",
        "checkpoint_sha256": kwmlp.metadata["checkpoint_sha256"],
        "keywords": [
            {"word": "no", "start": 0.0, "end": 0.75, "probability": 0.8125},
            {"word": "yes", "start": 1.25, "end": 1.75, "probability": 0.9},
            {"word": "no", "start": 60.5, "end": 61.0, "probability": 0.61},
        ],
    }
    assert second == {"path": "bad.wav", "error": "bad.wav: bad"}
    assert "1 of 2 files failed" in captured.err


def test_audacity_labels(three_hits, capsys) -> None:
    assert main(["keywords", "a.wav", "--labels", *three_hits]) == 0
    assert capsys.readouterr().out == "0.000\t0.750\tno\n1.250\t1.750\tyes\n60.500\t61.000\tno\n"
    assert main(["keywords", "a.wav", "b.wav", "--labels", *three_hits]) == 2
    assert "one file" in capsys.readouterr().err


def test_ctrl_c_ends_at_once(checkpoints, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(16000 * 60, "i2"), 16000)
    files = [str(SAMPLE), *[str(tmp_path / "long.wav")] * 2000]
    running = subprocess.Popen(
        [sys.executable, "-m", "hearaudiomlp", "keywords", *files, "--model",
         str(checkpoints["kwmlp"])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
