"""The reference for a graph with a user's phrases: the readable network, from the waveform on."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hearaudiomlp_export.networks.encoders import KWMLP, WIDTH
from hearaudiomlp_export.networks.frontend import front_end

Array = npt.NDArray[np.float64]


class PhraseNetwork:
    """KW-MLP with logits of its own, computed from the MFCCs.

    Examples:
        >>> from hearaudiomlp_export.networks.checkpoints import random_checkpoint
        >>> heads = nn.Sequential(nn.Flatten(), nn.Linear(98 * 40, 3))
        >>> network = PhraseNetwork(random_checkpoint("kwmlp").weights, heads)
        >>> outputs = network.outputs(np.zeros(16_000, np.float32), torch.float32)
        >>> [values.shape for values in outputs]
        [(98, 64), (3,)]
    """

    name = "kwmlp"

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], heads: nn.Module) -> None:
        """Prepare.

        Args:
            weights: of the encoder.
            heads: maps MFCCs [shape=(n, 98, 40)] to logits.
        """
        self._features = front_end("kwmlp")
        self._network = KWMLP().eval()
        self._network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        self._heads = heads.eval()

    @torch.inference_mode()
    def outputs(self, samples: npt.NDArray[np.float32], dtype: torch.dtype) -> tuple[Array, ...]:
        """Return frame embeddings and logits of a window [shape=(16000,)]."""
        features = self._features(torch.from_numpy(samples[None]).to(dtype))
        logits = self._heads.to(dtype)(features)
        x = self._network.to(dtype).encode(features)
        embeddings = nn.functional.layer_norm(x, (WIDTH,))
        return embeddings[0].double().numpy(), logits[0].double().numpy()
