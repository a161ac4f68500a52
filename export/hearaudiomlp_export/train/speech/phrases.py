"""A user's own words and phrases: which there are, how they sound, and what sounds like them.

Sounds are eSpeak's phoneme mnemonics of American English; where eSpeak NG isn't installed, the
letters stand for them.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from hearaudiomlp_export.train.errors import PhraseError

OTHER_LABEL = "other"
"""The label of everything that is none of the phrases."""

MOST = 50
"""Phrases of one model."""

ALIKE = 0.34
"""Edit distance of two phrases, as a share of the longer one's sounds, up to which they count as
alike."""

_LONGEST_LABEL = 100
_DIPHONES = "aI@ aU@ tS dZ aI aU eI OI oU @U i: u: A: O: 3: A@ E@ e@ O@ U@ i@ I2 O2 a# @2 @L E2"
_SOUND = re.compile("|".join(map(re.escape, _DIPHONES.split())) + r"|[A-Za-z0-9@&*?]")
_VOWELS = "aI aU eI oU OI i: u: A: O: 3: I U E a V 0 @"
_CONSONANTS = "p b t d k g f v T D s z S h m n l r w j tS dZ"
_VOWEL_LETTERS = frozenset("aeiouyAEIOUV@03")
_SPELLED_ALIKE = {
    "a": "A: eI @",
    "A:": "a O: @",
    "A@": "A: a",
    "a#": "@ a eI",
    "aI": "i: I",
    "aU": "u: oU O:",
    "eI": "E a aI",
    "oU": "0 O: @ u:",
    "u:": "U oU V",
    "i:": "I E eI",
    "i": "I i: aI",
    "I": "i: aI @",
    "I2": "I i:",
    "E": "i: eI @",
    "0": "oU O: A:",
    "O2": "0 O:",
    "O:": "0 oU",
    "O@": "@ O: 0",
    "V": "U u: @",
    "U": "u: V",
    "@": "a E V I",
    "3": "@ O:",
    "3:": "@ E",
}
"""Vowels that may be spelled with the same letters."""


def parse_phrases(text: str) -> tuple[str, ...]:
    """Return the phrases in a list with commas between them, in lower case.

    Raises:
        PhraseError: there is none, one twice, one that is no text, or too many.

    Examples:
        >>> parse_phrases("Lights on, lights  off,hey Archie")
        ('lights on', 'lights off', 'hey archie')
    """
    phrases = [" ".join(phrase.lower().split()) for phrase in text.split(",") if phrase.strip()]
    if not phrases:
        raise PhraseError("no words: separate them with commas, as in --words 'lights on, archie'")
    if len(phrases) > MOST:
        raise PhraseError(f"{len(phrases)} words are too many for one model: at most {MOST}")
    for phrase in phrases:
        if phrases.count(phrase) > 1:
            raise PhraseError(f"{phrase!r} is there twice")
        if phrase == OTHER_LABEL:
            raise PhraseError(
                f"{OTHER_LABEL!r} is the label of everything else: choose other words"
            )
        if len(phrase) > _LONGEST_LABEL:
            raise PhraseError(
                f"{phrase[:40]!r}... is too long: at most {_LONGEST_LABEL} characters"
            )
        _check_letters(phrase)
    return tuple(phrases)


def _check_letters(phrase: str) -> None:
    """Refuse what English synthesizers spell out, or read the name of ("Chinese letter")."""
    for letter in phrase:
        latin = letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")
        if not (latin and letter.isalpha()) and letter not in " '-\u2019.":
            raise PhraseError(
                f"{phrase!r} can't be spoken by the synthesizers, which read English: write it in "
                f"Latin letters, as it sounds (not {letter!r})"
            )
    if not re.search("[aeiouy]", plain(phrase)) or len(plain(phrase).replace(" ", "")) < 2:
        raise PhraseError(f"{phrase!r} can't be spoken as a word: it would be spelled")


def plain(text: str) -> str:
    """Return ``text`` in ASCII letters, which every synthesizer reads.

    Examples:
        >>> plain("café")
        'cafe'
    """
    spelled = unicodedata.normalize("NFKD", text.replace("\u2019", "'"))
    return spelled.encode("ascii", "ignore").decode()


def is_said(phrase: str, text: str) -> bool:
    """Return whether a text contains a phrase, by itself or with an s after it.

    Examples:
        >>> is_said("amelia", "it was amelia's maid"), is_said("on", "one song")
        (True, False)
    """
    spaced = " ".join(text.split())
    return re.search(rf"(?<!\w){re.escape(phrase)}(['\u2019]?s)?(?!\w)", spaced) is not None


def sounds(phonemes: str) -> list[str]:
    """Return the sounds of a phrase without stress and pauses.

    Examples:
        >>> sounds("l'aIts '0n")
        ['l', 'aI', 't', 's', '0', 'n']
    """
    return _SOUND.findall(phonemes)


def distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the edit distance (Levenshtein 1966) of two sequences of sounds.

    Examples:
        >>> distance(sounds("l'aIts '0n"), sounds("l'aIts '0f"))
        1
    """
    row = list(range(len(second) + 1))
    for number, one in enumerate(first, 1):
        before, row[0] = row[0], number
        for column, other in enumerate(second, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (one != other)),
            )
    return row[-1]


def alike(spoken: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of phrases that sound alike.

    Args:
        spoken: phrases and their phonemes.

    Examples:
        >>> list(alike({"lights on": "l'aIts '0n", "lights off": "l'aIts '0f", "go": "g'oU"}))
        [('lights on', 'lights off')]
    """
    for first, second in combinations(spoken, 2):
        one, other = sounds(spoken[first]), sounds(spoken[second])
        if distance(one, other) <= ALIKE * max(len(one), len(other)):
            yield first, second


def pronounced(phonemes: str, rng: np.random.Generator) -> str:
    """Return phonemes of another way in which people may say a phrase that they read.

    Synthesizers guess at names, and may guess wrong: another syllable has the stress half of the
    time, and three vowels in ten are others that English spells alike.
    """
    found = list(_SOUND.finditer(phonemes))
    vowels = [number for number, match in enumerate(found) if _is_vowel(match.group())]
    moved = len(vowels) > 1 and rng.random() < 0.5
    stressed = vowels[int(rng.integers(len(vowels)))] if moved else -1
    out, at = "", 0
    for number, match in enumerate(found):
        between, sound = phonemes[at : match.start()], match.group()
        if moved:
            between = between.replace("'", "").replace(",", "") + "'" * (number == stressed)
        if sound in _SPELLED_ALIKE and rng.random() < 0.3:
            sound = str(rng.choice(_SPELLED_ALIKE[sound].split()))
        out, at = out + between + sound, match.end()
    return out + phonemes[at:]


def neighbour(phonemes: str, rng: np.random.Generator) -> str:
    """Return phonemes of something that a phrase might be confused with, and that it isn't.

    Half of its consonants or more are others, at least two, and a third of its vowels or more.
    """
    found = list(_SOUND.finditer(phonemes))
    chosen: set[int] = set()
    for vowels, least, share in ((False, 2, 0.5), (True, 1, 0.3)):
        kind = [n for n, match in enumerate(found) if _is_vowel(match.group()) == vowels]
        count = max(least, int(np.ceil(len(kind) * rng.uniform(share, 0.8))))
        chosen.update(rng.permutation(kind)[:count].tolist())
    out, at = "", 0
    for number, match in enumerate(found):
        sound = match.group()
        if number in chosen:
            pool = _VOWELS if _is_vowel(sound) else _CONSONANTS
            sound = str(rng.choice([each for each in pool.split() if each != sound]))
        out, at = out + phonemes[at : match.start()] + sound, match.end()
    return out + phonemes[at:]


def _is_vowel(sound: str) -> bool:
    return sound[0] in _VOWEL_LETTERS


def fragment(phonemes: str, rng: np.random.Generator) -> str:
    """Return the beginning or the end of a phrase: 30 to 60 % of its sounds."""
    found = list(_SOUND.finditer(phonemes))
    count = min(max(2, round(len(found) * rng.uniform(0.3, 0.6))), max(1, len(found) - 2))
    if rng.random() < 0.5:
        return phonemes[: found[count - 1].end()]
    return phonemes[found[-count].start() :]
