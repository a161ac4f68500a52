"""Foreign accents: English phonemes replaced by those that speakers of other languages use.

The notation is eSpeak's (Kirshenbaum-like mnemonics). Every rule is a substitution that is
described for learners of English: no dental fricatives, no /w/ beside /v/, tense for lax vowels,
final devoicing, no diphthongs, a trilled or uvular /r/, a vowel before /s/ and a stop.
"""

import re

import numpy as np

_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # "three" never becomes "tree", which is another keyword.
    (r"T(?!r)", ("s", "f", "t")),
    (r"T(?=r)", ("s", "f", "T")),
    (r"w", ("v", "w")),
    (r"v", ("f", "b", "v", "w")),
    (r"z", ("s", "ts", "z")),
    (r"(?<!t)s(?=['i\u0045])", ("z", "s")),
    (r"I(?!@)", ("i", "I", "e")),
    (r"i:", ("i", "i:")),
    (r"(?<![a-zA-Z])'a(?![IU@:])", ("'E", "'a")),
    (r"V", ("a", "V", "O")),
    (r"0", ("O", "0", "o")),
    (r"O2?:?(?![IU])", ("o", "O", "O:")),
    (r"3:", ("Er", "3:", "O:r")),
    (r"3(?!:)", ("Ar", "3", "er")),
    (r"oU", ("o:", "oU", "o")),
    (r"eI", ("e:", "eI", "E:")),
    (r"(?<![a-z])h", ("x", "h", "")),
    (r"j(?=')|j(?=E)", ("dZ", "j")),
    (r"d$", ("t", "d")),
    (r"g$", ("k", "g")),
    (r"v$", ("f", "v")),
    (r"r", ("r", "R", "*")),
    (r"^st", ("Est", "st")),
    (r"u:", ("u", "u:")),
    (r"@U", ("o", "@U")),
)


def accented(phonemes: str, rng: np.random.Generator, strength: float) -> str:
    """Return ``phonemes`` as a learner of English might say them.

    Args:
        phonemes: eSpeak mnemonics of one word.
        rng: source of randomness.
        strength: share of the rules that are applied, 0 to 1.
    """
    for pattern, replacements in _RULES:
        if rng.random() < strength:
            choice = replacements[int(rng.integers(len(replacements)))]
            phonemes = re.sub(pattern, choice, phonemes)
    return phonemes
