"""The reference for a graph with a user's phrases: the readable network, from the waveform on."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hearaudiomlp.fitting.taps import BLOCKS, STRETCHES
from hearaudiomlp_export.networks.encoders import KWMLP, WIDTH
from hearaudiomlp_export.networks.frontend import front_end

Array = npt.NDArray[np.float64]


class PhraseNetwork:
    """KW-MLP whose logits come from means of what its blocks put out.

    Examples:
        >>> from hearaudiomlp_export.networks.checkpoints import random_checkpoint
        >>> heads = nn.Sequential(nn.Flatten(), nn.Linear(7 * 424, 3))
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
            heads: maps the means [shape=(n, 7, 424)] to logits.
        """
        self._features = front_end("kwmlp")
        self._network = KWMLP().eval()
        self._network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        self._heads = heads.eval()

    @torch.inference_mode()
    def outputs(self, samples: npt.NDArray[np.float32], dtype: torch.dtype) -> tuple[Array, ...]:
        """Return frame embeddings and logits of a window [shape=(16000,)]."""
        features = self._features(torch.from_numpy(samples[None]).to(dtype))
        x = self._network.to(dtype).to_patch_embed(features)
        layers = self._network.layers
        means = []
        for number, layer in enumerate(layers, 1):
            x = layer(x)
            if number % (len(layers) // BLOCKS) == 0:
                means.append(_means(x))
        means.append(_means(features))
        logits = self._heads.to(dtype)(torch.cat(means, dim=2))
        embeddings = nn.functional.layer_norm(x, (WIDTH,))
        return embeddings[0].double().numpy(), logits[0].double().numpy()


def _means(frames: Tensor) -> Tensor:
    return frames.reshape(len(frames), STRETCHES, -1, frames.shape[2]).mean(dim=2)
