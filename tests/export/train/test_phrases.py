"""Training for a user's own phrases: what is said, what is refused, and a model that runs."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hearaudiomlp
from hearaudiomlp.fitting.negatives import Projection
from hearaudiomlp_export.train import cli, phrases
from hearaudiomlp_export.train.data import phrases as spoken
from hearaudiomlp_export.train.data.layouts import list_clips
from hearaudiomlp_export.train.errors import PhraseError, SynthesizerMissingError
from hearaudiomlp_export.train.speech.phrases import (
    alike,
    distance,
    fragment,
    neighbour,
    parse_phrases,
    pronounced,
    sounds,
)
from hearaudiomlp_export.train.tasks.phrases import Examples, PhraseHead, fit_heads

_GOOD_NIGHT = "gUdn'aIt"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no words"),
        (" , ", "no words"),
        ("joke, Joke", "twice"),
        ("other", "everything else"),
        ("日本", "Latin letters"),
        ("!!!", "Latin letters"),
        ("route 66", "as it sounds"),
        ("xqz", "spelled"),
        ("a" * 101, "too long"),
        (",".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60)), "too many"),
    ],
)
def test_what_is_no_phrase_is_refused(text: str, reason: str) -> None:
    """Before anything is synthesized."""
    with pytest.raises(PhraseError, match=reason):
        parse_phrases(text)


@given(*[st.text("abc", max_size=8)] * 3)
def test_the_edit_distance_is_a_metric(one: str, two: str, three: str) -> None:
    """It is symmetric, zero for equal sequences alone, and no way round is shorter."""
    assert distance(one, two) == distance(two, one)
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, three) <= distance(one, two) + distance(two, three)


def test_the_edit_distance_counts_edits() -> None:
    """Wagner and Fischer's example."""
    assert distance("kitten", "sitting") == 3


@pytest.mark.parametrize("seed", range(20))
def test_what_is_like_a_phrase_is_not_the_phrase(seed: int) -> None:
    """Its neighbours differ in two sounds or more, and its fragments are its ends."""
    rng = np.random.default_rng(seed)
    whole = sounds(_GOOD_NIGHT)
    near = sounds(neighbour(_GOOD_NIGHT, rng))
    assert len(near) == len(whole)
    assert sum(a != b for a, b in zip(near, whole, strict=True)) >= 3
    part = sounds(fragment(_GOOD_NIGHT, rng))
    assert 2 <= len(part) < len(whole) - 1
    assert part in (whole[: len(part)], whole[-len(part) :])


def test_pronunciations_keep_the_consonants() -> None:
    """Vowels and stress vary."""
    rng = np.random.default_rng(0)
    said = {pronounced(_GOOD_NIGHT, rng) for _ in range(40)}
    assert len(said) > 5
    for each in said:
        assert each.count("'") == 1
        assert [sound for sound in sounds(each) if sound in "gdnt"] == ["g", "d", "n", "t"]


def test_similar_phrases_are_found() -> None:
    """One sound of five is another; of the others, all are."""
    said = {"lights on": "l'aIts '0n", "lights off": "l'aIts '0f", "archie": "'A@tSi"}
    assert list(alike(said)) == [("lights on", "lights off")]


def _espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        spoken.ENGINES["espeak"]()
    except SynthesizerMissingError as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(spoken, "ENGINES", {"espeak": spoken.ENGINES["espeak"]})


def test_long_phrases_are_refused_with_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window has a second."""
    _espeak(monkeypatch)
    long = "please turn on the lights in the kitchen"
    with pytest.raises(PhraseError, match=r"takes [12]\.\d\d s to say"):
        spoken.check_phrases((long,), ("espeak",))
    assert spoken.check_phrases(("lights on", "archie"), ("espeak",)) == []


def test_without_any_synthesizer_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is enough; those that are missing are listed."""

    def missing() -> None:
        raise SynthesizerMissingError("nobody", "nobody-utils")

    monkeypatch.setattr(spoken, "ENGINES", {"flite": missing})
    with pytest.raises(SynthesizerMissingError, match="apt-get install"):
        spoken.installed_engines()
    monkeypatch.setattr(spoken, "ENGINES", {"espeak": object, "flite": missing})
    assert spoken.installed_engines() == (
        ("espeak",),
        ["nobody is missing: apt-get install nobody-utils"],
    )


def test_a_phrase_that_nobody_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthesizers may return nothing."""
    monkeypatch.setattr(spoken, "speak_requests", lambda *_: iter([(None, np.zeros(0, np.int16))]))
    with pytest.raises(PhraseError, match="none of the synthesizers"):
        spoken.check_phrases(("hm ah",), ("espeak",))


def _examples() -> Examples:
    """Return two "phrases" that are directions of noise, and noise without them."""
    rng = np.random.default_rng(0)
    components = rng.standard_normal((900, 7, 6)).astype(np.float32)
    labels = np.arange(900) % 3
    components[labels == 0, 2:5, 0] += 6
    components[labels == 1, 2:5, 1] += 6
    return Examples(components, labels, np.arange(900) // 30, labels == 2)


def test_heads_name_phrases_and_doubt_the_rest() -> None:
    """On noise that they haven't heard."""
    examples = _examples()
    projection = Projection(np.zeros(6, np.float32), np.eye(6, dtype=np.float32))
    heads = fit_heads(examples, projection, 3, 0, 80).eval()
    rng = np.random.default_rng(1)
    fresh = rng.standard_normal((3000, 7, 6)).astype(np.float32)
    fresh[:100, 2:5, 0] += 6
    with torch.inference_mode():
        sure = heads(torch.from_numpy(fresh)).softmax(dim=1).numpy()
    assert np.mean(sure[:100, 0] > 0.65) > 0.9
    assert np.mean(sure[100:, :2] > 0.65) < 0.002


def test_the_command_writes_a_model_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a list of words to a verified file with their labels, which the runtime takes."""
    _espeak(monkeypatch)
    few = partial(
        spoken.PhrasePlan, espeak=8, accented=4, pronounced=4, abroad=2, like=4, parts=4,
        sentences=4, windows=40, others=128, run=128,
    )  # fmt: skip
    monkeypatch.setattr(phrases, "PhrasePlan", few)
    output = tmp_path / "mine.onnx"
    arguments = ["kwmlp", "--words", "goodnight,hey archie", "-o", str(output), "--steps", "20"]
    assert cli.main([*arguments, "--corpus", str(tmp_path), "--threads", "1"]) == 0
    model = hearaudiomlp.load_model(output, device="cpu", threads=1)
    assert model.labels == ("goodnight", "hey archie", "other")
    assert (model.metadata["labels_kind"], model.metadata["other_label"]) == ("own", "other")
    assert "all comparisons passed" in output.with_suffix(".report.md").read_text()
    encoder = hearaudiomlp.load_model(output.with_suffix(".pth"), device="cpu", threads=1)
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 16000)).astype(np.float32)
    embeddings = [each.timestamp_embeddings(sound)[0] for each in (model, encoder)]
    np.testing.assert_allclose(*embeddings, atol=2e-4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["audiomae", "--words", "joke"], "--words is for kwmlp"),
        (["kwmlp", "--words", "joke", "--folder", "state"], "--folder"),
        (["kwmlp", "--words", "joke", "--refine"], "--refine"),
        (["kwmlp", "--words", "joke,joke"], "twice"),
    ],
)
def test_the_command_refuses(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a message, and before it writes."""
    assert cli.main(arguments) == 1
    assert reason in capsys.readouterr().err


def test_folders_of_phrases_are_read(tmp_path: Path) -> None:
    """Spaces may be underscores; other folders are other words."""
    for name in ("hey_archie", "joke", "water"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ann_1.wav").touch()
    clips = list_clips(tmp_path, ("hey archie", "joke"))
    assert {(clip.kind, clip.text) for clip in clips} == {
        ("word", "hey archie"), ("word", "joke"), ("other", "water"),
    }  # fmt: skip


def test_a_head_takes_a_phrase_anywhere() -> None:
    """The order of sounds counts, and where in the window they are nearly doesn't."""
    torch.manual_seed(0)
    head = PhraseHead(4, 3).eval()
    early, late, backwards = torch.zeros(3, 7, 4)
    sound = torch.randn(2, 4)
    early[2:4] = late[3:5] = sound
    backwards[2:4] = sound.flip(0)
    first, second, third = head(torch.stack([early, late, backwards])).detach()
    assert (first - second).abs().max() < (first - third).abs().max()
