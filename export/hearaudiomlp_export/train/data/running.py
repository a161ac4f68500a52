"""Running speech of real people, as phonemes: what a network of a user's phrases has to doubt.

It is also a store of how people say each phoneme, of which synthetic phrases are put together
again: as in unit selection (Hunt and Black 1996), but of what the network of phonemes hears.

No audio comes with the package. ``scripts/make_phonemes.py`` writes what the network of phonemes
hears in sentences that it wasn't trained on (checkpoints/NOTICE names the recordings).
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from hearaudiomlp_export.networks.phonemes import PHONEMES, STEPS

Array = npt.NDArray[np.float32]

_LEVELS = 15
_HOP = 8
"""Steps from one window to the next."""


@dataclass(frozen=True)
class RunningSpeech:
    """Sentences, each by one reader.

    Examples:
        >>> heard = [np.zeros((60, 40), np.float32)]
        >>> speech = RunningSpeech(heard, [np.zeros(60, np.uint8)], ["so it was"], ["anna"])
        >>> [(reader, text, windows.shape) for reader, text, windows in speech.sentences()]
        [('anna', 'so it was', (2, 49, 40))]
    """

    heard: Sequence[Array]
    """Phonemes of each sentence [shape=(n_steps, 40)]."""

    spoken: Sequence[npt.NDArray[np.uint8]]
    """The number of the phoneme that is said in each step [shape=(n_steps,)]."""

    texts: Sequence[str]
    readers: Sequence[str]

    def phonemes(self) -> list[list[Array]]:
        """Return what is heard where each phoneme is said, in all places [shape=(n_steps, 40)]."""
        found: list[list[Array]] = [[] for _ in PHONEMES]
        for heard, spoken in zip(self.heard, self.spoken, strict=True):
            for start, stop in _runs(spoken):
                found[spoken[start]].append(heard[start:stop])
        return found

    def sentences(self) -> Iterator[tuple[str, str, Array]]:
        """Yield the reader, the text and overlapping windows [shape=(n, 49, 40)] of each."""
        for heard, text, reader in zip(self.heard, self.texts, self.readers, strict=True):
            starts = range(0, len(heard) - STEPS + 1, _HOP)
            if starts:
                yield reader, text, np.stack([heard[at : at + STEPS] for at in starts])

    def pack(self) -> bytes:
        """Return an ``.npz`` of small integers, which :func:`load_running_speech` reads."""
        file = io.BytesIO()
        steps = np.concatenate(self.heard)
        np.savez_compressed(
            file,
            spoken=np.concatenate(self.spoken),
            levels=(steps * _LEVELS).round().astype(np.int8).T,
            ends=np.cumsum([len(each) for each in self.heard]),
            texts=np.array(self.texts),
            readers=np.array(self.readers),
        )
        return file.getvalue()


def load_running_speech() -> RunningSpeech:
    """Return the running speech that comes with the package.

    Examples:
        >>> speech = load_running_speech()
        >>> speech.heard[0].shape[1]
        40
    """
    path = files("hearaudiomlp_export").joinpath("data/running_speech.npz")
    with path.open("rb") as file, np.load(file) as stored:
        steps = stored["levels"].T.astype(np.float32) / _LEVELS
        heard = np.split(steps, stored["ends"][:-1])
        spoken = np.split(stored["spoken"], stored["ends"][:-1])
        return RunningSpeech(heard, spoken, stored["texts"].tolist(), stored["readers"].tolist())


def _runs(values: npt.NDArray[np.integer]) -> list[tuple[int, int]]:
    """Return where stretches of equal values start and stop.

    Examples:
        >>> _runs(np.array([4, 4, 7]))
        [(0, 2), (2, 3)]
    """
    changes = (np.flatnonzero(np.diff(values)) + 1).tolist()
    return list(zip([0, *changes], [*changes, len(values)], strict=True))


def respoken(
    heard: Array, phonemes: Sequence[Sequence[Array]], share: float, rng: np.random.Generator
) -> Array:
    """Return windows with most phonemes as people say them.

    Synthesizers pronounce more clearly than people, and always alike. The most probable phoneme of
    each stretch is replaced by what is heard in one of the places where people say it.

    Args:
        heard: windows [shape=(n, 49, 40)].
        phonemes: as :meth:`RunningSpeech.phonemes` returns them.
        share: of the stretches that are replaced.
        rng: source of randomness.

    Examples:
        >>> heard = np.eye(40, dtype=np.float32)[[[3] * 49]]
        >>> people = [[np.full((7, 40), 0.5, np.float32)] for _ in PHONEMES]
        >>> respoken(heard, people, 1.0, np.random.default_rng(0)).mean()
        np.float32(0.5)
    """
    again = heard.copy()
    for window in again:
        probable = window.argmax(axis=1)
        for start, stop in _runs(probable):
            places = phonemes[probable[start]]
            if places and rng.random() < share:
                place = places[int(rng.integers(len(places)))]
                steps = np.linspace(0, len(place) - 1e-3, stop - start).astype(np.int64)
                window[start:stop] = place[steps]
    return again
