"""The live spotter against windows computed offline."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hearaudiomlp
from hearaudiomlp.errors import AudioValueError, OptionError
from hearaudiomlp.keywords.hits import mask_quiet, rms_dbfs, softmax
from hearaudiomlp.spotter import MODES, KeywordWindows, Spotter


def computed_offline(kwmlp: Any, sound: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and probabilities of the same windows, each cut by itself; under -40 dB none."""
    starts = [0]
    while starts[-1] + 16_000 < len(sound):
        starts.append(starts[-1] + hop)
    padded = np.pad(sound, (0, 16_000))
    windows = np.stack([padded[start : start + 16_000] for start in starts])
    rows = softmax(kwmlp.keyword_logits(windows))
    return np.array(starts) / 16_000, mask_quiet(rows, rms_dbfs(windows), -40.0)


@settings(max_examples=40, deadline=None)
@given(
    hop=st.one_of(st.just(4_000), st.integers(1_500, 16_000)),
    n=st.integers(1, 50_000),
    cuts=st.lists(st.integers(0, 50_000), max_size=9),
)
def test_live_probabilities_are_those_of_windows_computed_offline(
    kwmlp: Any, hop: int, n: int, cuts: list[int]
) -> None:
    sound = 0.1 * np.random.default_rng(3).standard_normal(n).astype(np.float32)
    sound[10_000:30_000] *= 1e-4  # quiet enough to count as silence
    live = KeywordWindows(kwmlp, hop / 16_000, quiet=-40.0)
    edges = [0, *sorted(min(cut, n) for cut in cuts), n]
    blocks = [
        block
        for start, stop in itertools.pairwise(edges)
        for block in live.push(sound[start:stop])
    ]  # fmt: skip
    blocks += live.flush()
    starts, rows = computed_offline(kwmlp, sound, hop)
    assert np.concatenate([starts for starts, _ in blocks]).tobytes() == starts.tobytes()
    assert np.concatenate([rows for _, rows in blocks]).tobytes() == rows.tobytes()
    assert live.n_samples == 0


def test_a_hop_of_one_frame(kwmlp: Any, noise: Any) -> None:
    sound, live = noise(17_600), KeywordWindows(kwmlp, 0.01, quiet=-40.0)
    blocks = [block for at in range(0, 17_600, 160) for block in live.push(sound[at : at + 160])]
    blocks += live.flush()
    _, rows = computed_offline(kwmlp, sound, 160)
    assert np.concatenate([rows for _, rows in blocks]).tobytes() == rows.tobytes()


def test_silence_has_no_words(kwmlp: Any) -> None:
    assert list(KeywordWindows(kwmlp).flush()) == []


@pytest.mark.parametrize("mode", MODES)
def test_what_is_found_does_not_depend_on_the_pieces(kwmlp: Any, noise: Any, mode: str) -> None:
    sound = noise(52_345)
    whole = Spotter(kwmlp, mode=mode, threshold=0.01)
    expected = whole.push(sound) + whole.flush()
    pieces = Spotter(kwmlp, mode=mode, threshold=0.01)
    found = [hit for at in range(0, 52_345, 999) for hit in pieces.push(sound[at : at + 999])]
    assert expected
    assert found + pieces.flush() == expected
    assert pieces.n_samples == 0
    assert all(hit.end <= 52_345 / 16_000 + 1 for hit in expected)


def test_words_of_a_recording_are_spotted(shared: Any) -> None:
    soundfile = pytest.importorskip("soundfile")
    del soundfile
    from hearaudiomlp.audio.files import read_audio
    from paths import ROOT

    model = hearaudiomlp.load_model(shared / "checkpoints" / "kwmlp.pth", device="cpu")
    spotter = Spotter(model, threshold=0.7)
    hits = spotter.push(read_audio(ROOT / "samples" / "words.flac").samples) + spotter.flush()
    words = [hit.word for hit in hits]
    assert [word for word in words if word in ("marvin", "seven", "happy", "stop")] == [
        "marvin", "seven", "happy", "stop",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "other"},
        {"hop": 0.009},
        {"hop": 1.01},
        {"hop": float("nan")},
        {"threshold": 0.0},
        {"threshold": 1.1, "mode": "vote"},
        {"smoothing": -1.0},
        {"refractory": -1.0},
        {"quiet": float("nan")},
    ],
)
def test_options_that_cannot_be_meant(kwmlp: Any, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Spotter(kwmlp, **options)


def test_audiomae_knows_no_words(checkpoints: Any) -> None:
    model = hearaudiomlp.load_model(checkpoints["audiomae"], device="cpu")
    with pytest.raises(OptionError, match="no keyword head"):
        Spotter(model)


@pytest.mark.filterwarnings("ignore:audio reaches")
def test_an_overflow_resets_the_spotter(kwmlp: Any, noise: Any) -> None:
    spotter = Spotter(kwmlp, threshold=0.01, mode="all")
    with pytest.raises(AudioValueError, match="so loud"):
        spotter.push(np.float32(1e30) * noise(20_000))
    assert spotter.n_samples == 0
    first = spotter.push(noise(20_000)) + spotter.flush()
    assert first == Spotter(kwmlp, threshold=0.01, mode="all").push(noise(20_000))[:2] + first[2:]
