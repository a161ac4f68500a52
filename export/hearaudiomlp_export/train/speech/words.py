"""What is spoken: the keywords, and other words that must not be taken for them."""

from importlib.resources import files

from hearaudiomlp.spec import ENCODERS

KEYWORDS = ENCODERS["kwmlp"].labels
"""The 35 words in the order of the logits."""

OTHER_WORDS = tuple(
    files("hearaudiomlp_export").joinpath("data/other_words.txt").read_text("ascii").split()
)
"""Common words and the radio alphabet, none of them a keyword."""
