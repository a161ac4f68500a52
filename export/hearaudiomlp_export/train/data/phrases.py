"""A user's phrases, what is like them, and sentences without them, as synthesizers say them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.train.data.augment import resampled
from hearaudiomlp_export.train.data.corpus import (
    Making,
    Pcm,
    Request,
    draw_voice,
    punctuated,
    speak_requests,
)
from hearaudiomlp_export.train.errors import PhraseError, SynthesizerMissingError
from hearaudiomlp_export.train.speech import flite, pico
from hearaudiomlp_export.train.speech.accents import accented
from hearaudiomlp_export.train.speech.espeak import ACCENTS, FOREIGN, ESpeak
from hearaudiomlp_export.train.speech.festival import Festival
from hearaudiomlp_export.train.speech.flite import Flite
from hearaudiomlp_export.train.speech.kokoro import Kokoro, mixed, read_voices
from hearaudiomlp_export.train.speech.phrases import (
    alike,
    distance,
    fragment,
    is_said,
    neighbour,
    plain,
    pronounced,
    sounds,
)
from hearaudiomlp_export.train.speech.pico import Pico
from hearaudiomlp_export.train.speech.voices import Voice
from hearaudiomlp_export.train.speech.words import KEYWORDS, OTHER_WORDS

ENGINES: dict[str, Callable[[], object]] = {
    "espeak": ESpeak,
    "kokoro": Kokoro,
    "flite": Flite,
    "festival": Festival,
    "pico": Pico,
}

LONGEST_S = 1.0
"""Seconds of a phrase at the synthesizers' own speed."""

_FITTED = WINDOW - SAMPLE_RATE // 50
_READ_ABROAD = ("de", "es", "it", "pl", "pt-br", "sv")
"""Languages whose rules of spelling read unusual names as people may."""

_FUNCTION_WORDS = (
    "the of and a to in he was that it his her with as had you for she not at but be they have him "
    "which said from this one by so is or if were when we them would an could been who my me your "
    "their now then some very about time did do before only than how any our can must"
)


@dataclass(frozen=True)
class PhrasePlan:
    """How much is made for some phrases: two minutes for six of them on two cores."""

    phrases: tuple[str, ...]
    engines: tuple[str, ...]
    """Those that are installed."""

    seed: int = 0
    voices: tuple[str, ...] = ()
    """Kokoro's; with others, another corpus is made."""

    espeak: int = 240
    """Clips of each phrase by eSpeak's English voices."""

    accented: int = 160
    """The same with foreign accents."""

    pronounced: int = 160
    """The same with other vowels and stress."""

    abroad: int = 80
    """The same, read by the spelling of other languages."""

    kokoro: int = 60
    """Clips of each phrase by Kokoro, half of them with other vowels, stress or accents."""

    flite: int = 120
    festival: int = 60
    pico: int = 24
    like: int = 160
    """Clips of each phrase that are like it, but aren't it."""

    parts: int = 80
    """Clips of the beginning or the end of each phrase, and half as many of each of its words."""

    sentences: int = 240

    windows: int = 900
    """Windows of each phrase that the network is trained on."""

    others: int = 3600
    """Windows of what is like the phrases, of other words, and of noise."""

    run: int = 2400
    """Windows of the sentences."""

    longest: ClassVar[int] = 6 * SAMPLE_RATE

    def fingerprint(self) -> str:
        """Return what distinguishes corpora."""
        spoken = {k: v for k, v in asdict(self).items() if k not in ("windows", "others", "run")}
        text = json.dumps([1, spoken, KEYWORDS, OTHER_WORDS])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def parts_to_make(self) -> tuple[str, ...]:
        """Return the names of the corpus' parts: phrases and sentences by each engine.

        Kokoro is too slow for sentences.
        """
        phrases = tuple(f"phrases-{engine}" for engine in self.engines)
        return phrases + tuple(f"sentences-{e}" for e in self.engines if e != "kokoro")

    def make(self, name: str) -> Making:
        """Return how many clips a part has, and an iterator that synthesizes them."""
        what, engine = name.split("-")
        rng = np.random.default_rng([self.seed, 21, *name.encode()])
        draw = _sentences if what == "sentences" else _phrases
        requests = list(draw(self, engine, rng))
        making = speak_requests(engine, requests)
        fitted = making if what == "sentences" else ((r, _fit(pcm)) for r, pcm in making)
        return len(requests), fitted


def installed_engines() -> tuple[tuple[str, ...], list[str]]:
    """Return the synthesizers that are installed, and how to install each of the others.

    Raises:
        SynthesizerMissingError: there is none.
    """
    found, missing = [], []
    for name, start in ENGINES.items():
        try:
            start()
        except SynthesizerMissingError as problem:
            missing.append(str(problem))
        else:
            found.append(name)
    if not found:
        raise SynthesizerMissingError("any speech synthesizer", "espeak-ng flite")
    return tuple(found), missing


def phonemes_of(phrases: tuple[str, ...]) -> dict[str, str]:
    """Return the phonemes of phrases, or their letters where eSpeak NG isn't installed."""
    try:
        speaker = ESpeak()
    except SynthesizerMissingError:
        return {phrase: plain(phrase) for phrase in phrases}
    return {phrase: speaker.phonemes(phrase) for phrase in phrases}


def check_phrases(phrases: tuple[str, ...], engines: tuple[str, ...]) -> list[str]:
    """Let each phrase be spoken once; return warnings of those that sound alike.

    Raises:
        PhraseError: no synthesizer can say a phrase, or it takes more than a second.
    """
    for phrase in phrases:
        seconds = []
        for engine in engines:
            voice = next(iter(_voices(engine)))
            for _, pcm in speak_requests(engine, [Request(phrase, plain(phrase), Voice(voice))]):
                seconds += [len(pcm) / SAMPLE_RATE] if len(pcm) else []
        if not seconds:
            raise PhraseError(f"none of the synthesizers ({', '.join(engines)}) can say {phrase!r}")
        if float(np.median(seconds)) > LONGEST_S:
            raise PhraseError(
                f"{phrase!r} takes {np.median(seconds):.2f} s to say, and phrases of up to "
                f"{LONGEST_S:.0f} s fit the model's window: choose a shorter one"
            )
    return [
        f"{first!r} and {second!r} sound alike: one will often be taken for the other"
        for first, second in alike(phonemes_of(phrases))
    ]


def _voices(engine: str) -> list[str]:
    if engine == "espeak":
        return list(ACCENTS)
    if engine == "kokoro":
        return list(read_voices())
    if engine == "festival":
        return Festival.installed_voices()
    return list(flite.PITCH if engine == "flite" else pico.VOICES)


def _draw(
    voices: list[str], engine: str, rng: np.random.Generator, variants: Sequence[str] = ()
) -> Voice:
    if engine == "kokoro":
        rate, pitch = rng.uniform(0.75, 1.25), rng.uniform(0.78, 1.12)
        return Voice(mixed(voices, rng), float(rate), float(pitch))
    name = voices[int(rng.integers(len(voices)))]
    if variants and rng.random() < 0.9:
        name += "+" + variants[int(rng.integers(len(variants)))]
    return draw_voice(rng, name, wide=engine == "espeak")


def _phrases(plan: PhrasePlan, engine: str, rng: np.random.Generator) -> Iterator[Request]:
    voices = _voices(engine)
    if engine == "espeak":
        yield from _by_espeak(plan, voices, rng)
    if engine == "kokoro":
        yield from _by_kokoro(plan, rng)
        return
    count: int = getattr(plan, engine)
    for phrase in plan.phrases if engine != "espeak" else ():
        for _ in range(count):
            voice = _draw(voices, engine, rng)
            yield Request(phrase, punctuated(plain(phrase), rng), voice)
        for word in _single_words(plan.phrases, phrase):
            for _ in range(count // 8):
                yield Request(word, word, _draw(voices, engine, rng))
    if engine != "pico":  # a process for each clip takes long
        for word in (*KEYWORDS, *OTHER_WORDS)[:: 4 if engine == "festival" else 1]:
            if word not in plan.phrases:
                yield Request(word, word, _draw(voices, engine, rng))


def _by_espeak(plan: PhrasePlan, voices: list[str], rng: np.random.Generator) -> Iterator[Request]:
    """Phrases by eSpeak, which is fast, has many voices, and takes phonemes."""
    speaker = ESpeak()
    draw = partial(_draw, engine="espeak", rng=rng, variants=speaker.variants())
    spoken = {phrase: speaker.phonemes(phrase) for phrase in plan.phrases}
    known = [sounds(each) for each in spoken.values()]
    for phrase, american in spoken.items():
        both = (american, speaker.phonemes(phrase, "en"))
        for _ in range(plan.espeak):
            yield Request(phrase, punctuated(phrase, rng), draw(voices))
        for number in range(plan.accented + plan.pronounced):
            said = accented(both[number % 2], rng, rng.uniform(0.0, 0.6))
            if number >= plan.accented:
                said = pronounced(said, rng)
            names = list(FOREIGN) if rng.random() < 0.4 else voices
            yield Request(phrase, said, draw(names), phonemes=True)
        for _ in range(plan.abroad):
            yield Request(phrase, phrase, draw(list(_READ_ABROAD)))
        changes = [neighbour] * plan.like + [fragment] * plan.parts
        for said in (change(american, rng) for change in changes):
            if all(distance(sounds(said), each) > 1 for each in known):
                yield Request("", said, draw(voices), phonemes=True)
        for word in _single_words(plan.phrases, phrase):
            for _ in range(plan.parts // 2):
                yield Request(word, word, draw(voices))


def _by_kokoro(plan: PhrasePlan, rng: np.random.Generator) -> Iterator[Request]:
    """Phrases by Kokoro, which is slow, and nearest to people."""
    speaker = ESpeak()
    draw = partial(_draw, _voices("kokoro"), "kokoro", rng)
    for phrase in plan.phrases:
        american = speaker.phonemes(phrase)
        for number in range(plan.kokoro):
            said = punctuated(phrase, rng)
            if number % 2:
                changed = accented(american, rng, rng.uniform(0.0, 0.5))
                said = changed if number % 4 == 1 else pronounced(american, rng)
            yield Request(phrase, said, draw(), phonemes=number % 2 == 1)


def _single_words(phrases: tuple[str, ...], phrase: str) -> list[str]:
    """Return the words of a phrase of several, except those that are phrases themselves."""
    words = plain(phrase).split()
    return [word for word in words if len(words) > 1 and word not in phrases]


def _sentences(plan: PhrasePlan, engine: str, rng: np.random.Generator) -> Iterator[Request]:
    """Sentences of common words, some with one of the phrases' words among them."""
    speaker = ESpeak() if engine == "espeak" else None
    variants = speaker.variants() if speaker else []
    parts = sorted({w for phrase in plan.phrases for w in _single_words(plan.phrases, phrase)})
    common = [word for word in (*OTHER_WORDS, *KEYWORDS) if word not in plan.phrases]
    share = {"espeak": 1.0, "flite": 0.6, "festival": 0.3, "pico": 0.2}[engine]
    for _ in range(round(plan.sentences * share)):
        pools = [common if rng.random() < 0.5 else _FUNCTION_WORDS.split() for _ in range(9)]
        said = [pool[int(rng.integers(len(pool)))] for pool in pools[: int(rng.integers(5, 10))]]
        if parts and rng.random() < 0.3:
            said[int(rng.integers(len(said)))] = parts[int(rng.integers(len(parts)))]
        text = " ".join(said)
        if not any(is_said(phrase, text) for phrase in plan.phrases):
            yield Request(text, text, _draw(_voices(engine), engine, rng, variants))


def _fit(pcm: Pcm) -> Pcm:
    """Play what is a little longer than a window faster, up to a quarter."""
    if len(pcm) <= _FITTED:
        return pcm
    faster = resampled(pcm, min(1.25, len(pcm) / _FITTED)) * 32768.0
    return faster.astype(np.int16)
