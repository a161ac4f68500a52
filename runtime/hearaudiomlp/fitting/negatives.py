"""What is none of the user's sounds: speech, words and noise, as embeddings or made at fit time.

No audio comes with the package. The bundled negatives are what the bundled weights make of running
speech, single words and noises (checkpoints/NOTICE names the recordings), and they serve those
weights alone: they are found by the SHA-256 of the checkpoint. For other weights there is only
noise, computed when it is needed, and what the user adds. ``scripts/make_negatives.py`` writes the
files again when the bundled weights change.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.fitting.phonemes import phonemes_sha256
from hearaudiomlp.fitting.placing import make_noise

SIZE = 256
"""Principal components of an encoder's means that are kept, by default."""

SYNTHETIC = 300
"""Windows of synthetic noise that are added to every fit."""

_FOLDER = Path(__file__).parent.parent / "data"
_LEVELS = 127
_STEP = 0.5  # between levels, in standard deviations


@dataclass(frozen=True)
class Projection:
    """Principal components: what is kept of the means in a window.

    With phonemes, the encoder's components come first, and those of what the network of phonemes
    hears come behind them.
    """

    mean: Floats
    """[shape=(size,)]"""

    basis: Floats
    """From values less the mean to components [shape=(size, n_components)]."""

    phonemes: int = 0
    """How many of the components, the last ones, are of what the network of phonemes hears."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of first components that a classifier may use: without phonemes, or all."""
        size = self.basis.shape[1]
        return (size - self.phonemes, size) if self.phonemes else (size,)

    def first(self, count: int) -> "Projection":
        """Return the first components alone, of only those means that they are made of.

        Examples:
            >>> encoder, phonemes = (Projection(np.zeros(n), np.ones((n, 2))) for n in (8, 5))
            >>> encoder.beside(phonemes).first(2).basis.shape
            (8, 2)
        """
        basis = self.basis[:, :count]
        size = 1 + int(np.flatnonzero(basis.any(axis=1))[-1])
        kept = self.phonemes if count == self.basis.shape[1] else 0
        return Projection(self.mean[:size], basis[:size], kept)

    def beside(self, phonemes: "Projection") -> "Projection":
        """Return components of an encoder's means, and behind them those of phonemes.

        Examples:
            >>> encoder, phonemes = (Projection(np.zeros(n), np.ones((n, 2))) for n in (8, 5))
            >>> both = encoder.beside(phonemes)
            >>> both.basis.shape, both.sizes
            ((13, 4), (2, 4))
        """
        (rows, columns), (more_rows, more_columns) = self.basis.shape, phonemes.basis.shape
        basis = np.zeros((rows + more_rows, columns + more_columns), np.float32)
        basis[:rows, :columns] = self.basis
        basis[rows:, columns:] = phonemes.basis
        return Projection(np.concatenate([self.mean, phonemes.mean]), basis, more_columns)

    def __call__(self, summaries: Floats) -> Floats:
        """Return the components [shape=(n, 7, n_components)] of means [shape=(n, 7, size)]."""
        return np.asarray((summaries - self.mean) @ self.basis, np.float32)

    @classmethod
    def of(cls, summaries: Floats, components: int = SIZE) -> "Projection":
        """Find the components of standardized means.

        Args:
            summaries: [shape=(n, 7, size)].
            components: number of them; at most ``size``.

        Examples:
            >>> summaries = np.random.default_rng(0).normal(size=(50, 7, 20)).astype(np.float32)
            >>> Projection.of(summaries, 5)(summaries).shape
            (50, 7, 5)
        """
        rows = summaries.reshape(-1, summaries.shape[-1]).astype(np.float64)
        mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        standardized = (rows - mean) / spread
        _, vectors = np.linalg.eigh(standardized.T @ standardized / len(rows))
        basis = vectors[:, ::-1][:, :components] / spread[:, None]
        return cls(mean.astype(np.float32), basis.astype(np.float32))


@dataclass(frozen=True)
class Negatives:
    """Windows with none of the user's sounds in them.

    Examples:
        >>> negatives = Negatives(np.zeros((2, 7, 4)), ("anna", "ben"), np.ones(2, bool))
        >>> len(negatives)
        2
    """

    components: Floats
    """[shape=(n, 7, n_components)]"""

    groups: tuple[str, ...]
    """Of each window, the recording or the speaker: these stay on one side of a split."""

    speech: npt.NDArray[np.bool_]
    """Whether each window was drawn at random from running speech [shape=(n,)]."""

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.groups)


def bundled_negatives(checkpoint_sha256: str) -> tuple[Projection, Negatives] | None:
    """Return the negatives of the weights with this SHA-256, and how they were projected.

    Args:
        checkpoint_sha256: ``model.metadata["checkpoint_sha256"]``.

    Returns:
        None, if these weights have no negatives.

    Examples:
        >>> model = hearaudiomlp.load_model()
        >>> projection, negatives = bundled_negatives(model.metadata["checkpoint_sha256"])
        >>> projection.sizes, negatives.components.shape == (len(negatives), 7, 448)
        ((256, 448), True)
        >>> bundled_negatives("0" * 64) is None
        True
    """
    for path in sorted(_FOLDER.glob("negatives-*.npz")):
        with np.load(path) as stored:
            if str(stored["checkpoint_sha256"]) == checkpoint_sha256:
                return _unpack({name: stored[name] for name in stored.files})
    return None


def synthetic_windows(rng: np.random.Generator, count: int = SYNTHETIC) -> Floats:
    """Return windows of noise, white, pink and brown, faint to loud [shape=(count, 16000)].

    Examples:
        >>> synthetic_windows(np.random.default_rng(0), 4).dtype
        dtype('float32')
    """
    level = 10.0 ** (rng.uniform(-60.0, -10.0, (count, 1)) / 20.0)
    return (level * make_noise(rng, count)).clip(-1.0, 1.0).astype(np.float32)


def pack(projection: Projection, negatives: Negatives, checkpoint_sha256: str) -> bytes:
    """Return negatives as an ``.npz`` of small integers, which :func:`bundled_negatives` reads.

    Args:
        projection: how they were projected.
        negatives: what to keep.
        checkpoint_sha256: of the weights that computed them.

    Examples:
        >>> projection = Projection(np.zeros(8, np.float32), np.eye(8, 4, dtype=np.float32))
        >>> negatives = Negatives(np.zeros((2, 7, 4)), ("anna", "ben"), np.ones(2, bool))
        >>> np.load(io.BytesIO(pack(projection, negatives, "0" * 64)))["levels"].shape
        (2, 7, 4)
    """
    mean = negatives.components.mean(axis=0)
    scale = _STEP * negatives.components.std(axis=0) + 1e-6
    levels = ((negatives.components - mean) / scale).round().clip(-_LEVELS, _LEVELS)
    names = sorted(set(negatives.groups))
    file = io.BytesIO()
    np.savez_compressed(
        file,
        checkpoint_sha256=np.array(checkpoint_sha256),
        projection_mean=projection.mean,
        projection_basis=projection.basis.astype(np.float16),
        projection_phonemes=projection.phonemes,
        phonemes_sha256=phonemes_sha256(),
        levels=levels.astype(np.int8),
        mean=mean.astype(np.float16),
        scale=scale.astype(np.float16),
        names=np.array(names),
        group=np.array([names.index(name) for name in negatives.groups], np.uint16),
        speech=negatives.speech,
    )
    return file.getvalue()


def _unpack(stored: dict[str, npt.NDArray[np.generic]]) -> tuple[Projection, Negatives]:
    values = {key: stored[key].astype(np.float32) for key in ("levels", "scale", "mean")}
    components = values["levels"] * values["scale"] + values["mean"]
    names = stored["names"].tolist()
    groups = tuple(names[number] for number in stored["group"].tolist())
    projection = Projection(
        stored["projection_mean"].astype(np.float32),
        stored["projection_basis"].astype(np.float32),
        int(stored["projection_phonemes"]),
    )
    return projection, Negatives(components, groups, stored["speech"].astype(bool))
