"""The two published encoders, written layer by layer, with the names of their checkpoints.

This is the readable form: what is trained, what a checkpoint is loaded into, and what every graph
is verified against. The form that is exported is in :mod:`hearaudiomlp_export.graph.encoder`.

A gated-MLP block (gMLP: Liu et al., "Pay Attention to MLPs", arXiv 2105.08050, figure 1) has no
attention: the frames of a window are mixed by one fixed 98x98 matrix, inside the gate.
"""

import torch
from torch import Tensor, nn

from hearaudiomlp.spec import ENCODERS, FRAMES, MEL_BANDS

WIDTH = 64
"""Channels between the blocks."""

HIDDEN = 256
"""Channels inside a block; one half is the residual, the other the gate."""


class SpatialGatingUnit(nn.Module):
    """Multiply one half of the channels by the other, mixed over time (arXiv 2105.08050, eq. 4).

    Examples:
        >>> SpatialGatingUnit()(torch.zeros(2, 98, 256)).shape
        torch.Size([2, 98, 128])
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN // 2)
        self.proj = nn.Conv1d(FRAMES, FRAMES, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate ``x`` [shape=(n, 98, 256)], giving [shape=(n, 98, 128)]."""
        residual, gate = x.chunk(2, dim=-1)
        gated: Tensor = residual * self.proj(self.norm(gate))
        return gated


class GatedMLP(nn.Module):
    """Linear 64->256, exact GELU, gating over time, Linear 128->64.

    Examples:
        >>> GatedMLP()(torch.zeros(2, 98, 64)).shape
        torch.Size([2, 98, 64])
    """

    def __init__(self) -> None:
        super().__init__()
        self.proj_in = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU())
        self.sgu = SpatialGatingUnit()
        self.proj_out = nn.Linear(HIDDEN // 2, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` [shape=(n, 98, 64)] to the same shape."""
        mapped: Tensor = self.proj_out(self.sgu(self.proj_in(x)))
        return mapped


class PostNorm(nn.Module):
    """``LayerNorm(fn(x))``.

    Examples:
        >>> normed = PostNorm(nn.Identity())(torch.arange(64.0))
        >>> round(normed.std(correction=0).item(), 3)
        1.0
    """

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """Apply the inner module, then its LayerNorm."""
        normed: Tensor = self.norm(self.fn(x))
        return normed


class Residual(nn.Module):
    """``x + fn(x)``.

    Examples:
        >>> Residual(nn.Identity())(torch.ones(2))
        tensor([2., 2.])
    """

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """Add the inner module's output to its input."""
        summed: Tensor = x + self.fn(x)
        return summed


class MeanOverTime(nn.Module):
    """Mean over the frames of a window.

    Examples:
        >>> MeanOverTime()(torch.zeros(2, 98, 64)).shape
        torch.Size([2, 64])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Average ``x`` [shape=(n, 98, c)] to [shape=(n, c)]."""
        return x.mean(dim=1)


class Encoder(nn.Module):
    """What both encoders share: a Linear on each frame, then the gated-MLP blocks.

    Examples:
        >>> Encoder(depth=2).encode(torch.zeros(3, 98, 40)).shape
        torch.Size([3, 98, 64])
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        # Index 1, because the published Sequential starts with a reshaping without weights.
        self.to_patch_embed = nn.Sequential(nn.Identity(), nn.Linear(MEL_BANDS, WIDTH))
        self.layers = nn.Sequential(*(Residual(PostNorm(GatedMLP())) for _ in range(depth)))

    def encode(self, features: Tensor) -> Tensor:
        """Map ``features`` [shape=(n, 98, 40)] to the last block's output [shape=(n, 98, 64)]."""
        encoded: Tensor = self.layers(self.to_patch_embed(features))
        return encoded


class KWMLP(Encoder):
    """KW-MLP (arXiv 2110.07749): MFCCs in; frame embeddings and keyword logits out.

    Examples:
        >>> embeddings, logits = KWMLP()(torch.zeros(3, 98, 40))
        >>> embeddings.shape, logits.shape
        (torch.Size([3, 98, 64]), torch.Size([3, 35]))
    """

    spec = ENCODERS["kwmlp"]

    def __init__(self) -> None:
        super().__init__(self.spec.depth)
        self.to_logits = nn.Sequential(
            nn.LayerNorm(WIDTH), MeanOverTime(), nn.Linear(WIDTH, len(self.spec.labels))
        )

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map MFCCs [shape=(n, 98, 40)] to embeddings [(n, 98, 64)] and logits [(n, 35)]."""
        encoded = self.encode(features)
        # The embedding's LayerNorm has no weights; the head's own LayerNorm sees the raw output.
        return nn.functional.layer_norm(encoded, (WIDTH,)), self.to_logits(encoded)


class AudioMAE(Encoder):
    """The AudioMAE encoder (arXiv 2203.08490): power mel in, frame embeddings out.

    Examples:
        >>> [embeddings] = AudioMAE()(torch.zeros(3, 98, 40))
        >>> embeddings.shape
        torch.Size([3, 98, 8])
    """

    spec = ENCODERS["audiomae"]

    def __init__(self) -> None:
        super().__init__(self.spec.depth)
        self.bottleneck = nn.Sequential(
            nn.Linear(WIDTH, self.spec.timestamp_embedding_size), nn.GELU()
        )

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map power mels [shape=(n, 98, 40)] to embeddings [shape=(n, 98, 8)]."""
        return (self.bottleneck(self.encode(features)),)


def build(name: str) -> KWMLP | AudioMAE:
    """Return the untrained network called ``name`` (``kwmlp`` or ``audiomae``), in eval mode.

    Examples:
        >>> embeddings, logits = build("kwmlp")(torch.zeros(2, 98, 40))
        >>> embeddings.shape, logits.shape
        (torch.Size([2, 98, 64]), torch.Size([2, 35]))
    """
    networks: dict[str, type[KWMLP] | type[AudioMAE]] = {"kwmlp": KWMLP, "audiomae": AudioMAE}
    return networks[name]().eval()


def expected_tensors(name: str) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor that a checkpoint of ``name`` has to hold.

    Examples:
        >>> expected_tensors("audiomae")["bottleneck.0.weight"]
        (8, 64)
    """
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in build(name).state_dict().items()}
