"""Training for a user's own phrases: what is said, what is refused, and a model that runs."""

from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hearaudiomlp
from hearaudiomlp.fitting.alarms import Tail
from hearaudiomlp.fitting.phonemes import STEPS
from hearaudiomlp.keywords import HOP_S, find_hits
from hearaudiomlp_export.networks.phonemes import PHONEMES, PhonemeNetwork
from hearaudiomlp_export.train import cli, phrases
from hearaudiomlp_export.train.data import phrases as spoken
from hearaudiomlp_export.train.data import running
from hearaudiomlp_export.train.data.layouts import list_clips
from hearaudiomlp_export.train.data.running import (
    People,
    RunningSpeech,
    pack_read_sentences,
    respoken,
)
from hearaudiomlp_export.train.errors import PhraseError, SynthesizerMissingError
from hearaudiomlp_export.train.speech.phrases import (
    alike,
    distance,
    fragment,
    is_said,
    neighbour,
    parse_phrases,
    pronounced,
    sounds,
)
from hearaudiomlp_export.train.tasks import phrases as heads_of
from hearaudiomlp_export.train.tasks.phrases import (
    Examples,
    PhraseHead,
    concatenate,
    fit_heads,
)

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


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("amelia", "to win the favour of georgy and amelia's maid", True),
        ("joke", "two jokes", True),
        ("hey archie", "hey  archie", True),
        ("archie", "the archies\u2019 song", True),
        ("archie", "archie\u2019s song", True),
        ("on", "one song upon another", False),
        ("mr. x", "mrs x", False),
        ("mr. x", "good morning mr. x", True),
    ],
)
def test_a_text_has_a_phrase_where_it_is_heard(phrase: str, text: str, expected: bool) -> None:
    assert is_said(phrase, text) is expected


def test_sentences_with_a_phrase_are_no_counterexamples() -> None:
    """Neither with an s after it."""
    texts = ["win amelia's favour", "amelia drove", "camelias are red"]
    heard = [np.zeros((62, 40), np.float32)] * 3
    speech = RunningSpeech(heard, [np.zeros(62, np.uint8)] * 3, texts, ["ann", "bob", "cid"])
    assert [e.groups[0] for e in phrases._bundled(("amelia",), speech)] == [2]


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


def _said(rng: np.random.Generator, count: int, *phonemes: str) -> npt.NDArray[np.float32]:
    """Return windows of silence with the phonemes somewhere in them, 80 ms each [(n, 49, 40)]."""
    heard = np.full((count, STEPS, len(PHONEMES)), -1, np.float32)
    heard[:, :, 0] = 0
    for window in heard:
        start = int(rng.integers(10, 20))
        for phoneme in phonemes:
            window[start : start + 4, 0] = -1
            window[start : start + 4, PHONEMES.index(phoneme)] = 0
            start += 4
    return heard + rng.normal(0, 0.02, heard.shape).astype(np.float32)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few windows tell these few phrases apart as well, in a quarter of the time."""
    monkeypatch.setattr(heads_of, "_BATCH", 64)


@pytest.mark.usefixtures("small_batches")
def test_heads_name_phrases_and_doubt_the_rest() -> None:
    """On windows that they haven't heard; the same phonemes in another order are no phrase."""
    rng = np.random.default_rng(0)
    kinds = [("G", "OW", "T"), ("M", "IY", "N"), ("T", "OW", "G")]
    heard = np.concatenate([_said(rng, 300, *kind) for kind in kinds])
    labels = np.repeat(np.arange(3), 300)
    sentences = np.where(labels == 2, np.arange(900) // 30, -1)
    examples = Examples(heard, labels, np.arange(900) // 30, sentences)
    heads = fit_heads(examples, PhonemeNetwork(8), 3, 0, 40).eval()
    heads.phonemes = torch.nn.Identity()
    with torch.inference_mode():
        sure = [heads(torch.from_numpy(_said(rng, 60, *kind))).softmax(dim=1) for kind in kinds]
    assert (sure[0][:, 0] > 0.65).float().mean() > 0.9
    assert (sure[1][:, 1] > 0.65).float().mean() > 0.9
    assert (sure[2][:, :2] > 0.65).float().mean() < 0.05


def test_a_head_takes_a_phrase_anywhere() -> None:
    """The order of sounds counts, and where in the window it is nearly doesn't."""
    torch.manual_seed(0)
    head = PhraseHead(3).eval()
    early, late, backwards = torch.zeros(3, STEPS, len(PHONEMES))
    sound = torch.randn(8, len(PHONEMES))
    early[16:24] = late[24:32] = sound
    backwards[16:24] = sound.flip(0)
    first, second, third = head(torch.stack([early, late, backwards])).detach()
    assert (first - second).abs().max() < (first - third).abs().max()


def test_sentences_keep_apart() -> None:
    """Those of each set of examples are its own."""

    def of(*sentences: int) -> Examples:
        count = len(sentences)
        nothing = np.zeros((count, STEPS, len(PHONEMES)), np.float32)
        return Examples(nothing, np.zeros(count, int), np.arange(count), np.array(sentences))

    together = concatenate([of(-1, 0, 0), of(-1), of(0, 1, -1), of(), of(0)])
    assert together.sentences.tolist() == [-1, 0, 0, -1, 1, 2, -1, 3]


def test_alarms_go_where_they_find_most() -> None:
    """A phrase that is found at any limit leaves its alarms to one that needs them."""
    tails = [Tail(0.0, 1.0)] * 3
    limit = tails[0].value(heads_of._ALARMS_PER_HOUR / 3600 / 3)
    rng = np.random.default_rng(0)
    margins = rng.normal(limit, 0.5, (3000, 3)).astype(np.float32)
    labels = np.arange(3000) % 3
    margins[labels == 0] += 9.0
    limits = heads_of._limits(tails, margins, labels)
    rates = [tail.share(at) * 3600 for tail, at in zip(tails, limits, strict=True)]
    assert limits[0] > limit > max(limits[1:])
    assert 0.8 < sum(rates) / heads_of._ALARMS_PER_HOUR <= 1.0 + 1e-3
    assert heads_of._limits(tails, margins[:0], labels[:0]).shape == (3,)


@pytest.mark.usefixtures("small_batches")
def test_limits_keep_running_speech_from_being_reported() -> None:
    """A phrase that running speech is full of gets a limit, which others don't."""
    rng = np.random.default_rng(0)
    kinds = [("G", "OW", "T"), ("M", "IY", "N"), ("G", "OW", "T")]
    heard = np.concatenate([_said(rng, 240, *kind) for kind in kinds])
    labels = np.repeat(np.arange(3), 240)
    sentences = np.where(labels == 2, np.arange(720) // 12, -1)
    heads = fit_heads(
        Examples(heard, labels, np.arange(720) // 12, sentences), PhonemeNetwork(8), 3, 0, 40
    ).eval()
    assert heads.offset[0] < heads.offset[1] - 1
    heads.phonemes = torch.nn.Identity()
    with torch.inference_mode():
        logits = heads(torch.from_numpy(_said(rng, 200, *kinds[2])))
    starts = [HOP_S * n for n in range(200)]
    said = find_hits(starts, logits.softmax(dim=1).numpy(), ["goat", "mean", "other"])
    assert {hit.word for hit in said} <= {"other"}


def _speech(*sentences: str) -> RunningSpeech:
    """Return sentences of one step for each phoneme; the value is the number of the place."""
    spoken = [np.array([PHONEMES.index(p) for p in each.split()], np.uint8) for each in sentences]
    ends = np.cumsum([0, *map(len, spoken)])
    heard = [
        np.full((b - a, len(PHONEMES)), 0, np.float32) + np.arange(a, b, dtype=np.float32)[:, None]
        for a, b in pairwise(ends.tolist())
    ]
    return RunningSpeech(heard, spoken, [""] * len(spoken), ["anna"] * len(spoken))


def test_a_phoneme_is_taken_from_between_the_same_ones() -> None:
    """If it is there often enough; else from beside one of them, or from anywhere."""
    people = People(_speech(*["G OW T"] * 4, *["M OW T"] * 4, "M OW N"))
    rng, number = np.random.default_rng(0), PHONEMES.index

    def places(*phonemes: str) -> set[float]:
        before, phoneme, after = map(number, phonemes)
        said = [people.say(phoneme, before, after, rng) for _ in range(200)]
        return {float(each[0, 0]) for each in said if each is not None}

    assert places("G", "OW", "T") == {1, 4, 7, 10}
    assert places("M", "OW", "N") == {13, 16, 19, 22, 25}
    assert places("Z", "OW", "Z") == {1, 4, 7, 10, 13, 16, 19, 22, 25}
    assert places("G", "UH", "T") == set()


def test_phrases_are_said_again_by_people() -> None:
    """Each stretch takes what is heard of its own phoneme; phonemes that nobody says stay."""
    rng = np.random.default_rng(0)
    window = np.full((1, STEPS, len(PHONEMES)), -1, np.float32)
    window[0, :20, 3] = window[0, 20:, 5] = 0
    heard = np.full((7, len(PHONEMES)), -0.5, np.float32)
    people = People(RunningSpeech([heard], [np.full(7, 3, np.uint8)], [""], ["anna"]))
    again = respoken(window, people, 1.0, rng)
    assert (again[0, :20] == -0.5).all()
    np.testing.assert_array_equal(again[0, 20:], window[0, 20:])
    np.testing.assert_array_equal(respoken(window, people, 0.0, rng), window)


def test_the_bundled_running_speech_is_what_was_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for rounding to a thirtieth; texts and phonemes belong to their sentences."""
    rng = np.random.default_rng(0)
    heard = [-rng.random((n, len(PHONEMES))).astype(np.float32) for n in (70, 55)]
    spoken = [rng.integers(0, len(PHONEMES), len(each)).astype(np.uint8) for each in heard]
    speech = RunningSpeech(heard, spoken, ["so it was", "and so on"], ["anna", "ben"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "running_speech.npz").write_bytes(speech.pack())
    monkeypatch.setattr(running, "files", lambda _: tmp_path)
    again = running.load_running_speech()
    for one, other in zip(again.heard, heard, strict=True):
        np.testing.assert_allclose(one, other, atol=1 / 30 + 1e-6)
    np.testing.assert_array_equal(np.concatenate(again.spoken), np.concatenate(spoken))
    assert (list(again.texts), list(again.readers)) == (list(speech.texts), list(speech.readers))


@given(st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=9), min_size=1, max_size=5))
def test_read_sentences_are_what_was_packed(sentences: list[list[int]]) -> None:
    """Each with its text, also where two sentences meet in the same phoneme."""
    packed = [(f"text {n}", np.array(each, np.uint8)) for n, each in enumerate(sentences)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        (Path(folder) / "data").mkdir()
        (Path(folder) / "data" / "read_sentences.npz").write_bytes(pack_read_sentences(packed))
        patch.setattr(running, "files", lambda _: Path(folder))
        again = running.load_read_sentences()
    assert [(text, spoken.tolist()) for text, spoken in again] == [
        (text, spoken.tolist()) for text, spoken in packed
    ]


def test_sentences_are_said_again_by_people() -> None:
    """Every phoneme is somebody's, and in its place."""
    said = [3] * 20 + [5] * 60 + [3] * 20
    people = People(
        RunningSpeech(
            [np.full((7, len(PHONEMES)), -0.3, np.float32), np.full((7, 40), -0.5, np.float32)],
            [np.full(7, 3, np.uint8), np.full(7, 5, np.uint8)],
            ["", ""],
            ["anna", "ben"],
        )
    )
    again = running.say_again(np.array(said, np.uint8), people, np.random.default_rng(0))
    assert again.shape == (2, STEPS, len(PHONEMES))
    heard = np.where(np.array(said[: 2 * STEPS]) == 3, -0.3, -0.5).astype(np.float32)
    np.testing.assert_array_equal(again.reshape(-1, len(PHONEMES))[:, 0], heard)


@pytest.mark.usefixtures("small_batches")
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
