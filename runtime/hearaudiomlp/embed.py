"""Many files in, one table of embeddings out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearaudiomlp.audio import Recording, read_audio
from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError
from hearaudiomlp.files import replacing
from hearaudiomlp.model import Embeddings, Model


@dataclass(frozen=True)
class Embedded:
    """A file and its embeddings."""

    path: str
    """As it was given."""

    recording: Recording
    embeddings: Embeddings


@dataclass(frozen=True)
class Failed:
    """A file from which no audio could be read."""

    path: str
    """As it was given."""

    problem: AudioFileError | AudioFileNotFoundError


def embed_files(
    paths: Iterable[str | os.PathLike[str]], model: Model
) -> Iterator[Embedded | Failed]:
    """Embed files one by one, in order; a file that can't be read doesn't stop the others.

    Raises:
        MissingPackageError: the extra ``[audio]`` isn't installed.
    """
    for path in paths:
        try:
            recording = read_audio(path)
        except (AudioFileError, AudioFileNotFoundError) as problem:
            yield Failed(str(path), problem)
        else:
            yield Embedded(str(path), recording, model.embeddings(recording.samples[None]))


def _table(files: list[Embedded], model: Model) -> dict[str, Any]:
    recordings = [file.recording for file in files]
    embeddings = [file.embeddings for file in files]
    lengths = [found.timestamps.shape[1] for found in embeddings]
    return {
        "paths": np.array([file.path for file in files]),
        "scene_embeddings": np.concatenate([found.scene_embeddings for found in embeddings]),
        "timestamp_embeddings": np.concatenate(
            [found.timestamp_embeddings[0] for found in embeddings]
        ),
        "timestamps": np.concatenate([found.timestamps[0] for found in embeddings]),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "durations": np.array([recording.duration for recording in recordings]),
        "sample_rates": np.array([recording.sample_rate for recording in recordings]),
        "channels": np.array([recording.channels for recording in recordings]),
        "model": np.array(model.name),
        "checkpoint_sha256": np.array(model.metadata["checkpoint_sha256"]),
    }


def write_npz(path: str | os.PathLike[str], files: Iterable[Embedded], model: Model) -> None:
    """Write the embeddings of files to an ``.npz``, whole or not at all.

    Row ``i`` of ``scene_embeddings`` [shape=(n_files, scene_embedding_size)] belongs to
    ``paths[i]``; so do rows ``offsets[i]`` to ``offsets[i + 1]`` of ``timestamp_embeddings``
    [shape=(n_rows, timestamp_embedding_size)] and ``timestamps`` [shape=(n_rows,)], in ms.

    Args:
        path: the file to write.
        files: at least one.
        model: what made them.

    Raises:
        OSError: the file can't be written.
    """
    table = _table(list(files), model)
    with replacing(path) as file:
        np.savez(file, **table)
