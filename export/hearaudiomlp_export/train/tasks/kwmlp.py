"""What KW-MLP is trained for: to name the keyword in a window, and to doubt where there is none."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
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
_MEASURED_AT_ONCE = 16


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

    def start_from(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Take the weights of a checkpoint, to train them further."""
        self.network.load_state_dict(
            {key: torch.from_numpy(value.copy()) for key, value in weights.items()}
        )
        patch = self.network.to_patch_embed[1]
        assert isinstance(patch, nn.Linear)
        with torch.no_grad():
            patch.bias.add_(patch.weight @ self.standardize.mean)
            patch.weight.mul_(self.standardize.spread)

    @torch.inference_mode()
    def logits(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the keyword logits of bare windows [shape=(n, 16000)], undisturbed."""
        rows = []
        for start in range(0, len(windows), _MEASURED_AT_ONCE):
            piece = torch.from_numpy(windows[start : start + _MEASURED_AT_ONCE].copy())
            features = self.standardize(self.mfcc(self.mel(piece.to(self.standardize.mean))))
            rows.append(self.network(features)[1].cpu())
        return torch.cat(rows).numpy()

    def encode(self, features: Tensor, rng: np.random.Generator, survival: float) -> Tensor:
        """Run the encoder, each of its blocks with the probability ``survival``."""
        x: Tensor = self.network.to_patch_embed(features)
        for layer in self.network.layers:
            if rng.random() < survival:
                x = layer(x)
        return x

    def loss(
        self,
        windows: Tensor,
        labels: Tensor,
        possible: Tensor,
        rng: np.random.Generator,
        progress: float,
    ) -> tuple[Tensor, Tensor]:
        """Return the cross entropy and the share of keywords that were named.

        Args:
            windows: [shape=(n, 16000)].
            labels: [shape=(n,)]; ``NOT_A_KEYWORD`` asks for the same probability everywhere.
            possible: [shape=(n, 35)]; words that may be heard although they are not the label:
                they may have any probability, and the others share what is left.
            rng: source of randomness.
            progress: share of the training that is done.
        """
        chosen = torch.from_numpy(rng.integers(WARPS, size=len(windows))).to(windows.device)
        with torch.autocast(windows.device.type, enabled=False):
            features = self.standardize(self.mfcc(self.mel.warp(windows, chosen)))
        features = mask(features, rng, _MASKED_FRAMES, _MASKED_BANDS)
        first, last = self.recipe.survival
        survival = first + (last - first) * progress
        logits = self.network.to_logits(self.encode(features, rng, survival)).float()
        words = len(KEYWORDS)
        named = labels >= 0
        hard = nn.functional.one_hot(labels.clamp(min=0), words).float()
        smoothing = torch.where(named, self.recipe.label_smoothing, 1.0)[:, None]
        spread = (~possible).float()
        targets = (1 - smoothing) * hard + smoothing * spread / spread.sum(1, keepdim=True)
        logits = logits.masked_fill(possible, -1e4)
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
