"""What KW-MLP is trained for: to name the keyword in a window, and to doubt where there is none."""

import numpy as np
import torch
from torch import Tensor, nn

from hearaudiomlp_export.networks.encoders import KWMLP
from hearaudiomlp_export.networks.frontend import MFCC
from hearaudiomlp_export.train.data.features import WARPS, Standardize, WarpedPowerMel, mask
from hearaudiomlp_export.train.loop import Task
from hearaudiomlp_export.train.recipe import Recipe
from hearaudiomlp_export.train.speech.words import KEYWORDS
from hearaudiomlp_export.train.tasks.initialize import open_gates

_MASKED_FRAMES = 14
_MASKED_BANDS = 6


class KeywordTask(Task):
    """The network and its loss."""

    def __init__(self, recipe: Recipe, examples: Tensor) -> None:
        """Build an untrained network.

        Args:
            recipe: the figures.
            examples: windows [shape=(n, 16000)] that the features' mean and spread are taken of.
        """
        super().__init__()
        self.recipe = recipe
        self.network = KWMLP()
        open_gates(self.network)
        self.mel = WarpedPowerMel(recipe.warp)
        self.mfcc = MFCC()
        features = self.mfcc(self.mel(examples))
        self.standardize = Standardize(features.mean((0, 1)), features.std((0, 1)))

    def encode(self, features: Tensor, rng: np.random.Generator, survival: float) -> Tensor:
        """Run the encoder, each of its blocks with the probability ``survival``."""
        x: Tensor = self.network.to_patch_embed(features)
        for layer in self.network.layers:
            if rng.random() < survival:
                x = layer(x)
        return x

    def loss(
        self, windows: Tensor, labels: Tensor, rng: np.random.Generator, progress: float
    ) -> tuple[Tensor, Tensor]:
        """Return the cross entropy and the share of keywords that were named.

        Args:
            windows: [shape=(n, 16000)].
            labels: [shape=(n,)]; ``NOT_A_KEYWORD`` asks for the same probability everywhere.
            rng: source of randomness.
            progress: share of the training that is done.
        """
        chosen = torch.from_numpy(rng.integers(WARPS, size=len(windows))).to(windows.device)
        features = self.standardize(self.mfcc(self.mel.warp(windows, chosen)))
        features = mask(features, rng, _MASKED_FRAMES, _MASKED_BANDS)
        first, last = self.recipe.survival
        survival = first + (last - first) * progress
        logits = self.network.to_logits(self.encode(features, rng, survival)).float()
        words = len(KEYWORDS)
        named = labels >= 0
        hard = nn.functional.one_hot(labels.clamp(min=0), words).float()
        smoothing = torch.where(named, self.recipe.label_smoothing, 1.0)[:, None]
        targets = (1 - smoothing) * hard + smoothing / words
        loss = nn.functional.cross_entropy(logits, targets)
        right = (logits.argmax(1) == labels)[named].float().mean()
        return loss, right

    def checkpoint(self) -> dict[str, Tensor]:
        """Return the weights under their published names, the standardization folded in."""
        state = {
            key: value.detach().cpu().clone() for key, value in self.network.state_dict().items()
        }
        weight, bias = "to_patch_embed.1.weight", "to_patch_embed.1.bias"
        state[weight], state[bias] = self.standardize.folded(state[weight], state[bias])
        return state
