"""Running speech of real people, as phonemes: what a network of a user's phrases has to doubt.

It is also a store of how people say each phoneme, of which synthetic phrases are put together
again: as in unit selection (Hunt and Black 1996), but of what the network of phonemes hears.

No audio comes with the package. ``scripts/make_phonemes.py`` writes what the network of phonemes
hears in sentences that it wasn't trained on (checkpoints/NOTICE names the recordings). Of those
that it was trained on, which it hears better than any others, come only the phonemes.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from hearaudiomlp.fitting.phonemes import STEPS
from hearaudiomlp_export.networks.phonemes import PHONEMES

Array = npt.NDArray[np.float32]

_LEVELS = 15
_CHOICE = 4
"""Places that there have to be for the best match, lest it is always the same one."""

_HOP = 12
"""Steps from one window to the next, about HOP_S."""


@dataclass(frozen=True)
class RunningSpeech:
    """Sentences, each by one reader.

    Examples:
        >>> heard = [np.zeros((62, 40), np.float32)]
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


def load_read_sentences() -> list[tuple[str, npt.NDArray[np.uint8]]]:
    """Return the texts that the network of phonemes was trained on, and what is said in each step.

    Examples:
        >>> text, spoken = load_read_sentences()[0]
        >>> len(text.split()) > 5, spoken.dtype, int(spoken.max()) < 40
        (True, dtype('uint8'), True)
    """
    path = files("hearaudiomlp_export").joinpath("data/read_sentences.npz")
    with path.open("rb") as file, np.load(file) as stored:
        spoken = np.split(np.repeat(stored["phonemes"], stored["lengths"]), stored["ends"][:-1])
        return list(zip(stored["texts"].tolist(), spoken, strict=True))


def pack_read_sentences(sentences: Sequence[tuple[str, npt.NDArray[np.uint8]]]) -> bytes:
    """Return an ``.npz`` that :func:`load_read_sentences` reads."""
    steps = np.concatenate([spoken for _, spoken in sentences])
    starts = np.flatnonzero(np.diff(steps, prepend=-1))
    file = io.BytesIO()
    np.savez_compressed(
        file,
        phonemes=steps[starts],
        lengths=np.diff(starts, append=len(steps)).astype(np.uint16),
        ends=np.cumsum([len(spoken) for _, spoken in sentences]),
        texts=np.array([text for text, _ in sentences]),
    )
    return file.getvalue()


def say_again(spoken: npt.NDArray[np.uint8], people: "People", rng: np.random.Generator) -> Array:
    """Return the windows of a sentence [shape=(n, 49, 40)] as other people might say it.

    Args:
        spoken: the number of the phoneme in each step [shape=(n_steps,)].
        people: who say it.
        rng: source of randomness.

    Examples:
        >>> people = People(load_running_speech())
        >>> _, spoken = load_read_sentences()[0]
        >>> say_again(spoken[:100], people, np.random.default_rng(0)).shape
        (2, 49, 40)
    """
    count = len(spoken) // STEPS
    certain = np.eye(len(PHONEMES), dtype=np.float32) - 1.0
    heard = certain[spoken[: count * STEPS]].reshape(count, STEPS, len(PHONEMES))
    return respoken(heard, people, 1.0, rng)


class People:
    """How people say each phoneme between others.

    Examples:
        >>> heard, spoken = np.zeros((3, 40), np.float32), np.array([4, 7, 5], np.uint8)
        >>> people = People(RunningSpeech([heard], [spoken], ["oh"], ["anna"]))
        >>> people.say(7, 4, 5, np.random.default_rng(0)).shape
        (1, 40)
    """

    def __init__(self, speech: RunningSpeech) -> None:
        """Collect all places where a phoneme is said."""
        self._heard: list[list[Array]] = [[] for _ in PHONEMES]
        between: list[list[tuple[int, int]]] = [[] for _ in PHONEMES]
        for heard, spoken in zip(speech.heard, speech.spoken, strict=True):
            for phoneme, before, after, stretch in _stretches(spoken):
                self._heard[phoneme].append(heard[stretch])
                between[phoneme].append((before, after))
        self._between = [np.array(each).reshape(-1, 2) for each in between]

    def say(self, phoneme: int, before: int, after: int, rng: np.random.Generator) -> Array | None:
        """Return what is heard in a place [shape=(n_steps, 40)], or None, if nobody says it.

        Places between the same two phonemes come first, then those with one of them beside.
        """
        alike = (self._between[phoneme] == (before, after)).sum(axis=1)
        for least in (2, 1, 0):
            places = np.flatnonzero(alike >= least)
            if len(places) >= (_CHOICE if least else 1):
                place: int = rng.choice(places)
                return self._heard[phoneme][place]
        return None


def _stretches(spoken: npt.NDArray[np.integer]) -> Iterator[tuple[int, int, int, slice]]:
    """Yield each stretch of one phoneme: its number, those before and after, and where it is.

    Examples:
        >>> list(_stretches(np.array([4, 4, 7])))
        [(4, 0, 7, slice(0, 2, None)), (7, 4, 0, slice(2, 3, None))]
    """
    changes = np.flatnonzero(np.diff(spoken)) + 1
    starts, stops = [0, *changes.tolist()], [*changes.tolist(), len(spoken)]
    said = [0, *spoken[starts].tolist(), 0]
    for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        before, phoneme, after = said[number : number + 3]
        yield phoneme, before, after, slice(start, stop)


def respoken(heard: Array, people: People, share: float, rng: np.random.Generator) -> Array:
    """Return windows with most phonemes as people say them.

    Synthesizers pronounce more clearly than people, and always alike. The most probable phoneme of
    each stretch is replaced by what is heard in one of the places where people say it.

    Args:
        heard: windows [shape=(n, 49, 40)].
        people: who say them.
        share: of the stretches that are replaced.
        rng: source of randomness.

    Examples:
        >>> people = People(load_running_speech())
        >>> heard = np.eye(40, dtype=np.float32)[[[3] * 49]]
        >>> respoken(heard, people, 1.0, np.random.default_rng(0)).shape
        (1, 49, 40)
    """
    again = heard.copy()
    for window in again:
        for phoneme, before, after, stretch in _stretches(window.argmax(axis=1)):
            said = people.say(phoneme, before, after, rng) if rng.random() < share else None
            if said is not None:
                steps = np.linspace(0, len(said) - 1e-3, stretch.stop - stretch.start)
                window[stretch] = said[steps.astype(np.int64)]
    return again
