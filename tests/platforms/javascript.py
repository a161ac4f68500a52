"""A HEAR module whose models run in Node or in Chromium.

For the reference's ``compare.py``, with this folder in ``PYTHONPATH``::

    compare.py javascript chromium:kwmlp-pipeline.onnx

or instead of ``chromium`` ``onnxruntime-node`` or ``onnxruntime-web`` (in Node). Needs
``npm install`` in ``web/``.
"""

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ANSWER = Path(__file__).resolve().parents[2] / "web" / "tools" / "answer.js"
SIZES = {1024: 64, 1584: 8}
"""Values of a frame, by values of a scene embedding."""


class JavaScriptModel:
    """A process that answers sounds with embeddings."""

    sample_rate = 16_000

    def __init__(self, runtime: str, path: str) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            ["node", str(ANSWER), path, runtime], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        [_, _, scene, _] = self.embed(np.zeros(0, np.float32))
        self.scene_embedding_size = len(scene)
        self.timestamp_embedding_size = SIZES[len(scene)]

    def _read(self, count: int, dtype: str) -> npt.NDArray[np.generic]:
        assert self._process.stdout is not None
        raw = self._process.stdout.read(4 * count)
        if len(raw) != 4 * count:
            raise RuntimeError("the JavaScript process ended early")
        return np.frombuffer(raw, dtype)

    def embed(self, samples: Floats) -> list[Floats]:
        """Return timestamp embeddings, timestamps, scene embedding and logits, all flat."""
        assert self._process.stdin is not None
        self._process.stdin.write(np.uint32(len(samples)).tobytes())
        self._process.stdin.write(np.ascontiguousarray(samples, "<f4").tobytes())
        self._process.stdin.flush()
        sizes = self._read(4, "<u4")
        return [self._read(int(size), "<f4").astype(np.float32) for size in sizes]

    def close(self) -> None:
        """End the process."""
        with self._process:  # which closes its pipes
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(timeout=300)


def load_model(model_file_path: str) -> JavaScriptModel:
    """Load ``RUNTIME:FILE.onnx``."""
    runtime, _, path = model_file_path.partition(":")
    return JavaScriptModel(runtime, path)


def get_timestamp_embeddings(audio: Floats, model: JavaScriptModel) -> tuple[Floats, Floats]:
    """Return embeddings [shape=(n_sounds, n, size)] and timestamps [shape=(n_sounds, n)]."""
    results = [model.embed(sound) for sound in audio]
    frames = np.stack([embeddings for embeddings, _, _, _ in results])
    timestamps = np.stack([times for _, times, _, _ in results])
    return frames.reshape(*timestamps.shape, model.timestamp_embedding_size), timestamps


def get_scene_embeddings(audio: Floats, model: JavaScriptModel) -> Floats:
    """Return embeddings [shape=(n_sounds, scene_embedding_size)]."""
    return np.stack([model.embed(sound)[2] for sound in audio])
