"""Text from outside made fit to print: names of files and tensors, labels, servers' replies."""

import re

_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode's categories of control and format characters (escape sequences begin with one, and
bidirectional overrides are others), lone surrogates, unassigned ones and separators of lines."""

_JOINERS = "\u200c\u200d"  # Persian, the scripts of India and emoji are written with them


LONGEST = 10_000
"""Characters of a message that is printed."""


def printable(text: object, keep: str = "") -> str:
    r"""Return text with everything that a terminal would act upon as an escape sequence.

    Control characters (line breaks and tabs too), bidirectional overrides and other invisible
    characters, and lone surrogates come out as ``repr`` writes them. Letters of all scripts, and
    backslashes, stay as they are.

    Args:
        text: any object's ``str``.
        keep: control characters that the caller put there and wants.

    >>> print(printable("a\x1b[31m\nb ü 漢"))
    a\x1b[31m\nb ü 漢
    """
    whole = str(text)
    if whole.isascii() and whole.isprintable():  # nearly all
        return whole
    import unicodedata

    kept = _JOINERS + keep
    return "".join(
        one.encode("unicode_escape").decode()
        if unicodedata.category(one) in _INVISIBLE and one not in kept
        else one
        for one in whole
    )


def shorten(text: object, most: int = 100) -> str:
    """Return printable text of at most about ``most`` characters, for use in an error message.

    >>> shorten("a" * 1000, 10)
    'aaaaaaaaaa... (1,000 characters)'
    """
    whole = str(text)
    if len(whole) <= most:
        return printable(whole)
    return f"{printable(whole[:most])}... ({len(whole):,} characters)"


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula may begin with, behind spaces and line breaks; the last four are full-width."""


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet may take text for a formula.

    >>> is_formula(" =1+1"), is_formula("one + one")
    (True, False)
    """
    return text.lstrip().startswith(_FORMULA)


def spreadsheet_cell(value: object) -> object:
    """Keep a spreadsheet from taking a path for a formula: ``./=x.wav`` is the same file.

    >>> spreadsheet_cell("=x.wav"), spreadsheet_cell("x.wav"), spreadsheet_cell(-1.5)
    ('./=x.wav', 'x.wav', -1.5)
    """
    if isinstance(value, str) and is_formula(value):
        return f"./{value}"
    return value


_MARKUP = re.compile(r"[][\\`*<>&|@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""Of HTML, links, code and tables in Markdown; addresses become links without any."""


def markdown_text(text: object) -> str:
    r"""Return text as it is written in Markdown to be text, whatever is in it.

    >>> print(markdown_text("<b> https://example.org"))
    \<b\> https\://example.org
    """
    return _MARKUP.sub(r"\\\g<0>", printable(text))
