"""The published checkpoints: where they are, and how each is recognized.

Weights by M. M. Morshed and A. O. Ahsan, of the HEAR 2021 entry; they are not in this package.
"""

from typing import NamedTuple

LICENCE = "CC BY-SA 4.0"
"""Licence of the published weights."""

_URL = (
    "https://raw.githubusercontent.com/ID56/HEAR-2021-Audio-MLP/"
    "292c77c92468beff9292e9892742e9b1fcecfcab/checkpoints/"
)


class PublishedCheckpoint(NamedTuple):
    """One published checkpoint.

    Examples:
        >>> PUBLISHED["kwmlp"].size, PUBLISHED["kwmlp"].licence
        (1743045, 'CC BY-SA 4.0')
    """

    name: str
    """The encoder: ``kwmlp`` or ``audiomae``."""

    sha256: str
    size: int
    """Bytes."""

    url: str
    """Where the file is."""

    licence: str = LICENCE
    source: str = "ID56/HEAR-2021-Audio-MLP at 292c77c"


PUBLISHED = {
    checkpoint.name: checkpoint
    for checkpoint in (
        PublishedCheckpoint(
            "kwmlp",
            "bfb3c2b1da7f723bba8fd1ad96f5be9b25fa79de48af80ce0235e4871613c016",
            1_743_045,
            f"{_URL}kwmlp.pth",
        ),
        PublishedCheckpoint(
            "audiomae",
            "7bb9f183f41f9d388da5d68380a3dc1579a2c251af01fcfc636b6310e9a9ab5e",
            874_213,
            f"{_URL}audiomae.pth",
        ),
    )
}
"""The published checkpoints by the name of their encoder."""


def find_published(sha256: str) -> PublishedCheckpoint | None:
    """Return the published checkpoint with this SHA-256, if it is one.

    Examples:
        >>> find_published("0" * 64) is None
        True
    """
    return next((one for one in PUBLISHED.values() if one.sha256 == sha256), None)
