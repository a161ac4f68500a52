"""Words in files: those of the windows, whatever else is computed with them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearaudiomlp import Model, load_model
from hearaudiomlp.audio import read_audio
from hearaudiomlp.embed import Failed
from hearaudiomlp.errors import OptionError
from hearaudiomlp.keywordfiles import Spotted, spot_files
from hearaudiomlp.keywords import hits
from hearaudiomlp.keywords.hits import find_hits
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"


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


def test_files_have_the_hits_of_their_windows(kwmlp: Model, tmp_path: Path) -> None:
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


def test_a_long_file_takes_little_memory(kwmlp, tmp_path, monkeypatch) -> None:
    def silent(model, block, names) -> dict[str, np.ndarray]:
        return {"keyword_logits": np.zeros((len(block), 35), "f4")}

    monkeypatch.setattr(type(kwmlp), "encode", silent)
    soundfile.write(tmp_path / "a.wav", np.zeros(16000 * 60 * 5, "i2"), 16000)
    tracemalloc.start()
    try:
        list(spot_files([tmp_path / "a.wav"], kwmlp))
        assert tracemalloc.get_traced_memory()[1] < 12e6  # its windows have 77 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "options",
    [{"hop": 0.001}, {"hop": 1.5}, {"hop": float("nan")}, {"threshold": 0}, {"smoothing": -1},
     {"quiet": float("nan")}],
)  # fmt: skip
def test_options_are_refused_before_the_work(kwmlp: Model, options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        spot_files(["no.wav"], kwmlp, **options)
