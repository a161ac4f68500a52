"""What the AudioMAE encoder is trained for: eight numbers a frame that describe the whole spectrum.

An autoencoder with masked input (arXiv 2203.08490): the encoder sees the power mel with stretches
of frames and bands missing; a decoder, which is thrown away afterwards, has to say the complete
mel in decibels from the eight-channel embedding. Decibels, because an error in a quiet band is as
audible as one in a loud band.
"""

import numpy as np
import torch
from torch import Tensor, nn

from hearaudiomlp.spec import MEL_BANDS
from hearaudiomlp_export.networks.encoders import WIDTH, AudioMAE, GatedMLP, PostNorm, Residual
from hearaudiomlp_export.networks.frontend import decibels
from hearaudiomlp_export.train.data.features import WARPS, Standardize, WarpedPowerMel, mask
from hearaudiomlp_export.train.loop import Task
from hearaudiomlp_export.train.recipe import Recipe
from hearaudiomlp_export.train.tasks.initialize import open_gates

_MASKED_FRAMES = 20
_MASKED_BANDS = 8
_DECODER_BLOCKS = 4

_LOUDNESS = 5.0
"""What a typical loud band is scaled to.

The blocks' LayerNorms take the level out from about 3e-3 up, so that this sets how faint a sound
may be and still be reconstructed. Much larger, and the first Linear's output drowns what the blocks
add to it: the embedding of loud noise is then nothing but zeros.
"""

_LEAST_SPREAD = 0.5
"""Standard deviation over a batch under which one of the eight values counts as idle."""

_IDLE_WEIGHT = 0.2


class Decoder(nn.Module):
    """Gated-MLP blocks from the embedding back to a mel spectrogram."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, WIDTH)
        self.layers = nn.Sequential(
            *(Residual(PostNorm(GatedMLP())) for _ in range(_DECODER_BLOCKS))
        )
        self.to_mel = nn.Linear(WIDTH, MEL_BANDS)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map embeddings [shape=(n, 98, 8)] to standardized decibels [shape=(n, 98, 40)]."""
        decoded: Tensor = self.to_mel(self.layers(self.expand(embedding)))
        return decoded


class AutoencoderTask(Task):
    """Encoder, decoder and their loss."""

    def __init__(self, recipe: Recipe, examples: Tensor) -> None:
        """Build an untrained network.

        Args:
            recipe: the figures.
            examples: windows [shape=(n, 16000)] that levels are taken of.
        """
        super().__init__()
        self.recipe = recipe
        self.network = AudioMAE()
        self.decoder = Decoder(self.network.spec.timestamp_embedding_size)
        open_gates(self.network)
        open_gates(self.decoder)
        patch = self.network.to_patch_embed[1]
        assert isinstance(patch, nn.Linear)
        nn.init.zeros_(patch.bias)
        bottleneck = self.network.bottleneck[0]
        assert isinstance(bottleneck, nn.Linear)
        # Where GELU is nearly linear: from zero, a value can fall into the flat part and stay.
        nn.init.ones_(bottleneck.bias)
        self.mel = WarpedPowerMel(recipe.warp)
        mel = self.mel(examples)
        loud = mel.square().mean((0, 1)).sqrt()
        # Half way to equal bands: high ones are faint in speech, and loud in noise.
        typical = (loud * loud.mean()).sqrt()
        self.scale = Standardize(torch.zeros(MEL_BANDS), typical / _LOUDNESS)
        level = decibels(mel)
        self.standardize = Standardize(level.mean((0, 1)), level.std((0, 1)))

    def loss(
        self,
        windows: Tensor,
        labels: Tensor,  # noqa: ARG002 (for other tasks)
        possible: Tensor,  # noqa: ARG002
        rng: np.random.Generator,
        progress: float,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Return the mean squared error, and the share of the variance that was explained.

        Args:
            windows: [shape=(n, 16000)].
            labels: not looked at.
            possible: not looked at.
            rng: source of randomness.
            progress: not looked at.
        """
        chosen = torch.from_numpy(rng.integers(WARPS, size=len(windows))).to(windows.device)
        with torch.autocast(windows.device.type, enabled=False):
            mel = self.mel.warp(windows, chosen)
            target = self.standardize(decibels(mel))
            seen = mask(self.scale(mel), rng, _MASKED_FRAMES, _MASKED_BANDS)
        embedding = self.network(seen)[0]
        error = nn.functional.mse_loss(self.decoder(embedding).float(), target)
        # A value that hardly changes over a batch is idle (the hinge of VICReg, arXiv 2105.04906).
        spread = embedding.float().flatten(0, 1).std(dim=0)
        idle = nn.functional.relu(_LEAST_SPREAD - spread).mean()
        return error + _IDLE_WEIGHT * idle, 1 - error.detach() / target.var()

    def checkpoint(self) -> dict[str, Tensor]:
        """Return the encoder's weights under their published names, the scale folded in."""
        state = {
            key: value.detach().cpu().clone() for key, value in self.network.state_dict().items()
        }
        weight, bias = "to_patch_embed.1.weight", "to_patch_embed.1.bias"
        state[weight], state[bias] = self.scale.folded(state[weight], state[bias])
        return state
