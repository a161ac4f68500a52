"""Windows of held-out speech, clean and disturbed, to measure keyword spotting with."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hearaudiomlp.spec import WINDOW
from hearaudiomlp_export.train.data.augment import Augmenter, Mix
from hearaudiomlp_export.train.data.backgrounds import Backgrounds
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.disturb import Strength
from hearaudiomlp_export.train.speech.words import KEYWORDS

Windows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_CALM = Strength(
    room=0, noise=0, equalizer=0, low_pass=0, clipping=0, codec=0, zero_padding=0, other_words=0
)

CONDITIONS = {
    "clean": None,
    "telephone": replace(_CALM, equalizer=1, low_pass=1, codec=0.5, zero_padding=1),
    "room and noise": replace(_CALM, room=1, noise=1),
}
"""What is done to the held-out words; ``None``: centred among zeros and left alone."""


def clean_windows(part: Part) -> tuple[Windows, Labels]:
    """Return every clip of ``part`` in the middle of a window, and the number of its word.

    Returns:
        Windows [shape=(n, 16000)] and labels [shape=(n,)].
    """
    windows = np.zeros((len(part), WINDOW), np.float32)
    for row, window in enumerate(windows):
        clip = part.clip(row)[:WINDOW] / np.float32(32768)
        start = (WINDOW - len(clip)) // 2
        window[start : start + len(clip)] = clip
    return windows, np.array([KEYWORDS.index(word) for word in part.words])


def windows_of(
    part: Part, condition: str, backgrounds: Backgrounds, seed: int = 1
) -> tuple[Windows, Labels]:
    """Return windows of ``part`` in one of ``CONDITIONS``; as many as it has clips.

    Args:
        part: held-out words.
        condition: a key of ``CONDITIONS``.
        backgrounds: noises and rooms; made from another seed than training's.
        seed: of what is drawn.
    """
    strength = CONDITIONS[condition]
    if strength is None:
        return clean_windows(part)
    augmenter = Augmenter([part], [1.0], backgrounds, strength, seed)
    windows, labels, _ = augmenter.batch(0, len(part), Mix(0, 0, 0))
    return windows.numpy(), labels.numpy()
