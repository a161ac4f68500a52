"""Embeddings as a transformer of scikit-learn (extra ``[sklearn]``).

Examples:
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from hearaudiomlp.sklearn import Embedder
    >>> paths = ["recordings/a/one.wav", "recordings/a/two.flac", "recordings/b/three.wav"]
    >>> classifier = make_pipeline(Embedder(), LogisticRegression())
    >>> classifier.fit(paths, ["a", "a", "b"]).predict(paths).tolist()
    ['a', 'a', 'b']
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.embed import Failed, embed_files
from hearaudiomlp.errors import AudioTypeError, AudioValueError, OptionError, needs_extra
from hearaudiomlp.model import Model, load_model
from hearaudiomlp.spec import HOP

with needs_extra("sklearn", "hearaudiomlp.sklearn needs scikit-learn 1.6 or later"):
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data

POOLINGS = ("scene", "mean")
"""What one embedding of a sound can be: see :class:`Embedder`."""

_AT_ONCE = 64
"""Sounds of one length that are computed together."""


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Sounds into embeddings, in pipelines and searches of parameters.

    There is nothing to learn: :meth:`fit` loads the model. Embeddings of a sound don't depend on
    the sounds beside it.

    Args:
        model: a model file, ``"kwmlp"`` or ``"audiomae"`` for a published checkpoint, or a
            :class:`hearaudiomlp.Model`; None for the bundled weights.
        encoder: whose bundled weights to take, ``"kwmlp"`` or ``"audiomae"``.
        pooling: ``"scene"`` for the scene embedding, which keeps the order of sounds (1024 or 1584
            values), or ``"mean"`` for the mean of the timestamp embeddings, which doesn't (64 or 8
            values).
        device: as for :func:`hearaudiomlp.load_model`.
        threads: as for :func:`hearaudiomlp.load_model`.

    Attributes:
        model_: the :class:`hearaudiomlp.Model` in use.

    Examples:
        >>> from hearaudiomlp.sklearn import Embedder
        >>> embedder = Embedder(encoder="audiomae", pooling="mean").fit(["samples/words.flac"])
        >>> embedder.transform(["samples/words.flac"]).shape
        (1, 8)
        >>> embedder.get_feature_names_out()[:2].tolist()
        ['embedder0', 'embedder1']
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Model | None = None,
        *,
        encoder: str | None = None,
        pooling: str = "scene",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.pooling = pooling
        self.device = device
        self.threads = threads

    def fit(self, X: Any, y: Any = None) -> "Embedder":  # noqa: ARG002, N803
        """Look at the sounds and load the model.

        Args:
            X: as for :meth:`transform`.
            y: isn't used.

        Raises:
            OptionError: an invalid parameter.
            ModelNotFoundError, ModelFileError: as of :func:`hearaudiomlp.load_model`.
            ValueError: X are no sounds.
        """
        if self.pooling not in POOLINGS:
            raise OptionError(f"pooling is one of {', '.join(POOLINGS)}, not {self.pooling!r}")
        if _paths(X) is None and _ragged(X) is None:
            validate_data(self, X, dtype=np.float32)
        if isinstance(self.model, Model):
            self.model_ = self.model
        else:
            self.model_ = load_model(
                self.model, name=self.encoder, device=self.device, threads=self.threads
            )
        scene = self.pooling == "scene"
        size = self.model_.scene_embedding_size if scene else self.model_.timestamp_embedding_size
        self._n_features_out = size
        return self

    def transform(self, X: Any) -> Floats:  # noqa: N803
        """Embed sounds.

        Args:
            X: paths of recordings of any format and rate; or sounds of one length, mono at 16 kHz
                in [-1, 1] [shape=(n_sounds, n_samples)]; or a list of such sounds of several
                lengths [shape=(n_samples,)]. A column of paths of a data frame will do. Sounds
                may have other lengths than those of :meth:`fit`.

        Returns:
            The embeddings [shape=(n_sounds, n_features)], float32.

        Raises:
            AudioFileError: a recording can't be decoded.
            AudioFileNotFoundError: there is no such recording.
            ValueError: X are no sounds, or have NaN or infinity in them.
        """
        check_is_fitted(self)
        if (paths := _paths(X)) is not None:
            rows = self._of_files(paths)
        elif (sounds := _ragged(X)) is not None:
            rows = (self._of_sounds(sound[None])[0] for sound in sounds)
        else:
            array = check_array(X, dtype=np.float32, estimator=self, input_name="X")
            pieces = (array[at : at + _AT_ONCE] for at in range(0, len(array), _AT_ONCE))
            rows = (row for piece in pieces for row in self._of_sounds(piece))
        return np.stack(list(rows))

    def _of_files(self, paths: Sequence[str]) -> Iterator[Floats]:
        for file in embed_files(paths, self.model_):
            if isinstance(file, Failed):
                raise file.problem
            if self.pooling == "scene":
                yield file.scene_embedding
            else:
                yield _mean(file.timestamp_embeddings[None])[0]
            file.close()

    def _of_sounds(self, sounds: Floats) -> Floats:
        if self.pooling == "scene":
            return self.model_.scene_embeddings(sounds)
        return _mean(self.model_.timestamp_embeddings(sounds)[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _mean(embeddings: Floats) -> Floats:
    if not embeddings.shape[1]:
        raise AudioValueError(f"a sound of less than {HOP} samples has no timestamp embeddings")
    mean: Floats = embeddings.mean(axis=1)
    return mean


def _items(X: Any) -> list[Any] | None:  # noqa: N803
    """Return the elements of a sequence of one dimension, or of a column."""
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if isinstance(values, np.ndarray):
        if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind in "OUT":
            values = values[:, 0]
        return list(values) if values.ndim == 1 and len(values) else None
    return list(values) if isinstance(values, (list, tuple)) and len(values) else None


def _paths(X: Any) -> list[str] | None:  # noqa: N803
    """Return paths, if that is what these are."""
    if isinstance(X, (str, os.PathLike)):
        raise AudioTypeError(f"X is a list of paths, not one: [{os.fspath(X)!r}]")
    items = _items(X)
    if items is None or not all(isinstance(one, (str, os.PathLike)) for one in items):
        return None
    return [os.fspath(one) for one in items]


def _ragged(X: Any) -> list[Floats] | None:  # noqa: N803
    """Return sounds of several lengths, if that is what these are."""
    items = _items(X)
    if items is None or not all(isinstance(one, np.ndarray) and one.ndim == 1 for one in items):
        return None
    if isinstance(X, np.ndarray) and X.dtype != object:
        return None
    return [
        check_array(one, dtype=np.float32, ensure_2d=False, input_name="a sound of X")
        for one in items
    ]
