"""The recordings or segments of a table that are most like a given one.

The search is exact: every row is compared, by the cosine of the angle between scene embeddings.
Rows are read in pieces, so that the length of a table costs no memory. Sums of float32 select
candidates, and sums of float64 rank them: equal rows have equal similarities, in the order of the
table.
"""

import math
import operator
import os
import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.audio import files
from hearaudiomlp.audio.files import AudioStream, OnTruncated
from hearaudiomlp.embed import Failed, embed_files
from hearaudiomlp.errors import AudioFileError, OptionError, WeightsMismatchError, warn_once
from hearaudiomlp.model import Model, load_model
from hearaudiomlp.signal.windows import to_samples
from hearaudiomlp.spec import ENCODERS, SAMPLE_RATE
from hearaudiomlp.storage.remote import is_url
from hearaudiomlp.table.scenes import SceneTable, TableRow

_MARGIN = 1e-5
"""By which a cosine of float32 may be wrong: sums of 1,584 products err by less than 1e-6."""

_SAME_S = 0.01
"""Seconds by which times may differ that are meant to be the same."""


class Similar(NamedTuple):
    """A row of a table, and how like the query it is.

    Examples:
        >>> Similar(7, "archive/a.wav", 3.0, 6.0, None, 0.98).path
        'archive/a.wav'
    """

    row: int
    """Its number in the table, from 0."""

    path: str
    """Of the recording, as the table has it."""

    start: float | None
    """Seconds from the start of the recording to that of the segment; None for a whole one."""

    end: float | None
    """Seconds from the start of the recording to the end of the segment; None for a whole one."""

    channel: int | None
    """The channel, from 1; None for the average of all."""

    similarity: float
    """Cosine of the angle between the scene embeddings: 1 for the same direction."""


def find_similar(
    query: str | os.PathLike[str] | int,
    table: str | os.PathLike[str],
    *,
    k: int = 20,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
    on_truncated: OnTruncated = "fail",
    model: Model | None = None,
) -> list[Similar]:
    """Find the recordings or segments of a table that are most like a given one.

    Args:
        query: a recording; or, where there is no such file, the path that a recording has in the
            table; or the number of a row, from 0.
        table: what ``hearaudiomlp embed`` wrote, of any length.
        k: how many to return.
        start: seconds from the start of the recording to that of the query; 0, if None.
        end: seconds from the start of the recording to the end of the query; its end, if None.
        channel: the channel of the recording to take, from 1; None for the average of all.
        on_truncated: as for :func:`hearaudiomlp.embed_files`.
        model: with the weights that the table was made with; by default, the bundled ones of its
            encoder. Not needed for a query from the table.

    Returns:
        The ``k`` most similar rows, or all if there are fewer, the most similar first; rows of the
        same similarity are in the order of the table. A query that is in the table finds itself.

    Raises:
        WeightsMismatchError: the table was made with other weights.
        EmbeddingFileError: the table is empty or damaged, or has no scene embeddings.
        AudioFileError: the query can't be decoded, or is shorter than ``start`` or ``end``.
        AudioFileNotFoundError: there is no such recording, neither as a file nor in the table.
        OptionError: an invalid option value.
        MissingPackageError: the table's format needs an extra.
        FileNotFoundError: there is no such table.

    Examples:
        >>> import hearaudiomlp
        >>> from hearaudiomlp.cli import main
        >>> command = ["embed", "samples/words.flac", "--segment", "1.5", "-o", "words.npz"]
        >>> main(command)  # doctest: +ELLIPSIS
        samples/words.flac: 0.00 to 1.50 s, 1024 values
        ...
        >>> found = hearaudiomlp.find_similar(
        ...     "samples/words.flac", "words.npz", k=2, start=1.5, end=3.0
        ... )
        >>> [(one.row, one.start, one.end) for one in found][0], round(found[0].similarity, 4)
        ((1, 1.5, 3.0), 1.0)
    """
    check_options(k, start, end)
    opened = SceneTable(table)
    embedding = embed_query(
        query, opened, start=start, end=end, channel=channel, on_truncated=on_truncated, model=model
    )
    return search(embedding, opened, k)


def check_options(k: int, start: float | None, end: float | None) -> None:
    """Refuse invalid values of options.

    Raises:
        OptionError: ``k`` is less than 1, or ``start`` and ``end`` leave nothing.

    Examples:
        >>> check_options(k=20, start=3.0, end=2.0)
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OptionError: the query has to end after its start: 3 s, 2 s
    """
    if isinstance(k, bool) or not hasattr(k, "__index__") or operator.index(k) < 1:
        raise OptionError(f"k is a whole number of at least 1, not {k!r}")
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise OptionError(f"{name} is a number of seconds from 0, not {value!r}")
    if end is not None and end <= (start or 0.0):
        raise OptionError(f"the query has to end after its start: {start or 0.0:g} s, {end:g} s")


def search(query: Floats, table: SceneTable, k: int) -> list[Similar]:
    """Compare an embedding with all rows of a table.

    Args:
        query: a scene embedding [shape=(table.size,)].
        table: is read once.
        k: how many rows to return, from 1.

    Raises:
        EmbeddingFileError: the table is damaged.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> scenes = rng.standard_normal((100, 8)).astype(np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     names = [f"{number}.wav" for number in range(100)]
        ...     np.savez(f"{folder}/t.npz", paths=names, scene_embeddings=scenes)
        ...     found = search(scenes[7], SceneTable(f"{folder}/t.npz"), 3)
        >>> [one.path for one in found][0], len(found)
        ('7.wav', 3)
    """
    exact = _unit(query.astype(np.float64))
    rough = exact.astype(np.float32)
    found: list[Similar] = []
    for rows in table.rows():
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", rows.scenes, rows.scenes))
            cosines = (rows.scenes @ rough) / norms
        # What is silent, or so large that its square overflows, is left to float64.
        cosines[~np.isfinite(cosines) | (norms < np.finfo(np.float32).tiny)] = np.inf
        if len(found) == k:
            candidates = np.flatnonzero(cosines >= found[-1].similarity - _MARGIN)
        else:
            candidates = np.arange(len(rows))
        similarities = (_unit(rows.scenes[candidates].astype(np.float64)) * exact).sum(-1)
        best = np.argsort(-similarities, kind="stable")[:k]
        found += (
            Similar(*rows.at(int(candidates[index])), float(similarities[index])) for index in best
        )
        found = sorted(found, key=lambda one: -one.similarity)[:k]
    return found


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return vectors of length 1; those of zeros stay as they are."""
    lengths = np.sqrt(np.square(vectors).sum(-1, keepdims=True))
    return vectors / np.where(lengths, lengths, 1.0)


def embed_query(
    query: str | os.PathLike[str] | int,
    table: SceneTable,
    *,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
    on_truncated: OnTruncated = "fail",
    model: Model | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Floats:
    """Return the scene embedding of a query: computed, or from the table.

    Args, errors: as for :func:`find_similar`; ``device`` and ``threads`` are of the model that is
    loaded if none is given.

    Examples:
        >>> scenes = np.eye(3, 1024, dtype=np.float32)
        >>> np.savez("t.npz", paths=["a.wav", "b.wav", "c.wav"], scene_embeddings=scenes)
        >>> int(embed_query(2, SceneTable("t.npz")).argmax())  # the last row
        2
    """
    if not isinstance(query, (str, os.PathLike)):
        return _embedding_of_row(operator.index(query), table)
    path = os.fspath(query)
    if not is_url(path) and not os.path.exists(path):  # noqa: PTH110 - as it was given
        found = _embedding_of_path(path, table, start, end)
        if found is not None:
            return found
    if model is None:
        if table.model not in ENCODERS:
            raise WeightsMismatchError(
                f"{table.path} doesn't say which encoder it is of: give the model of its weights"
            )
        model = load_model(name=table.model, device=device, threads=threads)
    _check_weights(model, table)
    if start is None and end is None:
        [file] = embed_files(
            [path], model, channels=channel or "average", on_truncated=on_truncated
        )
        if isinstance(file, Failed):
            raise file.problem
        file.close()
        return file.scene_embedding
    samples = read_part(path, start, end, channel=channel, on_truncated=on_truncated)
    embedding: Floats = model.scene_embeddings(samples[None])[0]
    return embedding


def _check_weights(model: Model, table: SceneTable) -> None:
    mine = model.metadata["checkpoint_sha256"]
    if not table.checkpoint_sha256 and model.scene_embedding_size == table.size:
        warn_once(
            f"{table.path} weights",
            f"{table.path} doesn't say with which weights it was made",
            UserWarning,
        )
    elif mine != table.checkpoint_sha256:
        raise WeightsMismatchError(
            f"{table.path} was made with other weights ({table.model} {table.checkpoint_sha256[:8]}"
            f") than the query would be ({model.name} {mine[:8]}): give the model of the table, or "
            "the number of one of its rows as the query"
        )


def _embedding_of_row(number: int, table: SceneTable) -> Floats:
    for rows in table.rows():
        if rows.first <= number < rows.first + len(rows):
            embedding: Floats = rows.scenes[number - rows.first].copy()
            return embedding
    raise OptionError(f"{table.path} has rows 0 to {table.count - 1}, and no row {number}")


def _embedding_of_path(
    path: str, table: SceneTable, start: float | None, end: float | None
) -> Floats | None:
    """Return the embedding of the row with a path, if there is one."""
    found: list[tuple[TableRow, Floats]] = []
    others = 0
    for rows in table.rows():
        for index in range(len(rows)):
            if rows.path(index) != path:
                continue
            row = rows.at(index)
            if all(
                wanted is None or (has is not None and abs(wanted - has) < _SAME_S)
                for wanted, has in ((start, row.start), (end, row.end))
            ):
                found = [*found[:1], (row, rows.scenes[index].copy())]
            others += 1
    if len(found) > 1 or (others and not found):
        raise OptionError(
            f"there is no file {path}, and it has {others} rows in {table.path}: choose one by its "
            "number, or by its start and end"
        )
    return found[0][1] if found else None


def read_part(
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    channel: int | None = None,
    on_truncated: OnTruncated = "fail",
) -> Floats:
    """Decode a part of a recording, to mono at 16 kHz [shape=(n_samples,)].

    What is behind the part isn't read.

    Args:
        path: of the recording.
        start: seconds from its start to that of the part; 0, if None.
        end: seconds from its start to the end of the part; its end, if None.
        channel: as for :func:`hearaudiomlp.read_audio`.
        on_truncated: as for :func:`hearaudiomlp.read_audio`.

    Raises:
        AudioFileError: the recording is shorter, can't be decoded, or the part is of over four
            hours.
        AudioFileNotFoundError: there is no such file.

    Examples:
        >>> read_part("samples/words.flac", 0.5, 2.0).shape
        (24000,)
    """
    first = to_samples(start or 0.0)
    last = sys.maxsize if end is None else to_samples(end)
    stream = AudioStream(path, channel=channel, on_truncated=on_truncated)
    samples = files.read_part(stream, first, last)
    missing = 0 if end is None else last - first - len(samples)
    if not len(samples) or missing > _SAME_S * SAMPLE_RATE:
        raise AudioFileError(
            f"{path}: has {stream.duration:.2f} s, and not all of the part from {start or 0:g} s"
            + ("" if end is None else f" to {end:g} s")
        )
    return samples
