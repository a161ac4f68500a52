"""The two halves of an encoder: the front end, frame by frame, and what follows it.

Windows that overlap have frames of the spectrogram in common, so live audio computes each frame
once. What depends on a whole window, kwmlp's floor 80 dB below the window's loudest band first of
all, is in the second half. Together the halves give the same bits as the whole graph.
"""

from collections.abc import Sequence

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.inference.providers import Provider
from hearaudiomlp.inference.session import Session
from hearaudiomlp.signal.arrays import refuse_overflow
from hearaudiomlp.spec import FRAMES, HOP
from hearaudiomlp.weights.model_file import ModelFile
from hearaudiomlp.weights.subgraph import Graph

FRAME = 480
"""Samples in a frame of the spectrogram: 30 ms."""

BANDS = 40
"""Mel bands in a frame."""


assert FRAME % HOP == 0


def count_frames(n_samples: int) -> int:
    """Return how many frames lie wholly inside ``n_samples``."""
    return max(0, (n_samples - FRAME) // HOP + 1)


class Halves:
    """Front end and encoder of one model as sessions of their own."""

    def __init__(
        self, source: ModelFile, *, device: str, providers: Sequence[Provider] | None, tf32: bool
    ) -> None:
        """Cut the model's graph in two.

        Args:
            source: of the model.
            device: as for :class:`~hearaudiomlp.inference.session.Session`.
            providers: likewise.
            tf32: likewise.

        Raises:
            ModelFileError: the graph isn't made as the packaged ones are.
        """
        graph = Graph(source.graph)
        frames, self._rows = graph.find_partner("hann"), graph.find_source("power_mel")
        front, _ = graph.cut((frames, (FRAME, "frames")), (self._rows, ("frames", BANDS)))
        encoder, used = graph.cut(("power_mel", ("n", FRAMES, BANDS)))
        weights = {name: values for name, values in source.weights.items() if name in used}
        self._front = Session(front, {}, device=device, providers=providers, tf32=tf32)
        self._encoder = Session(encoder, weights, device=device, providers=providers, tf32=tf32)

    def power_mel(self, samples: Floats) -> Floats:
        """Return the power mel of each frame that lies wholly inside some samples.

        The numbers of a frame don't depend on how many frames are computed together.

        Args:
            samples: at 16 kHz [shape=(n_samples,)], at least 480 of them.

        Returns:
            [shape=(n_frames, 40)], one frame every 160 samples.
        """
        n = count_frames(len(samples))
        # A frame is three hops. Products with a single row are summed in another order than those
        # with several, so that there are always two.
        hops = samples[: HOP * (n + 2)].reshape(n + 2, HOP).T
        columns = [hops[:, first : first + n] for first in range(FRAME // HOP)]
        if n == 1:
            columns = [np.repeat(column, 2, axis=1) for column in columns]
        return self._front.run(np.concatenate(columns))[self._rows][:n]

    def encode(self, power_mel: Floats) -> dict[str, Floats]:
        """Encode the power mels of windows.

        Args:
            power_mel: [shape=(n, 98, 40)]

        Returns:
            As :meth:`Model.encode <hearaudiomlp.model.Model.encode>`.

        Raises:
            AudioValueError: the audio was so loud that float32 overflowed.
        """
        outputs = self._encoder.run(power_mel)
        refuse_overflow(outputs["frame_embeddings"])
        return outputs
