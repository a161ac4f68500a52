"""The form of the encoders that is traced: equal to the readable one, with less to do at run time.

The weights come in as a second argument, a dictionary with the checkpoint's own names and layouts,
so that the traced graph keeps them apart: one graph takes any checkpoint. What depends on nothing
but weights is computed once, when a session is opened, because ONNX Runtime folds constants.

What makes it fast (docs/performance.md has the figures):

- Frames come first: values are [98, n, channels] inside, so that the mixing over time is one
  plain matrix product, as are all the others, each with its bias (Gemm).
- The two halves of the inner Linear are two products, so that nothing has to be split.
- The Fourier transform is two small products (:mod:`hearaudiomlp_export.graph.dft`).
- The DCT and the decibels' factor are part of the first Linear's weights.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hearaudiomlp.spec import ENCODERS, FRAMES, HOP, MEL_BANDS, WINDOW
from hearaudiomlp_export.graph.dft import HALF, P, Q, two_step_dft
from hearaudiomlp_export.networks.encoders import HIDDEN, WIDTH
from hearaudiomlp_export.networks.filters import N_FFT, Matrix, dct_matrix, hann_window
from hearaudiomlp_export.networks.frontend import AMIN, TOP_DB

Weights = dict[str, Tensor]

_GATE = HIDDEN // 2


def _float32(matrix: Matrix) -> Tensor:
    return torch.from_numpy(matrix.astype(np.float32))


class TracedEncoder(nn.Module):
    """Windows and weights in; embeddings, keyword logits (kwmlp) and front-end features out.

    Examples:
        >>> from hearaudiomlp_export.networks.checkpoints import random_checkpoint
        >>> weights = random_checkpoint("audiomae").weights
        >>> tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
        >>> TracedEncoder("audiomae")(torch.zeros(2, 16_000), tensors)[0].shape
        torch.Size([2, 98, 8])
    """

    hann: Tensor
    dft_inner: Tensor
    dft_outer: Tensor
    mel: Tensor
    amin: Tensor
    dct: Tensor

    def __init__(self, name: str, blocks: torch.dtype = torch.float32) -> None:
        """Prepare the encoder called ``name``; its constants become part of the graph.

        Args:
            name: ``kwmlp`` or ``audiomae``.
            blocks: the dtype that the gated-MLP blocks compute in. What is before and behind them
                stays in float32: power spans more than float16 can hold.
        """
        super().__init__()
        self.spec = ENCODERS[name]
        self.blocks = blocks
        factors = two_step_dft()
        self.register_buffer("hann", _float32(hann_window()[:, None]))
        self.register_buffer("dft_inner", _float32(factors.inner))
        self.register_buffer("dft_outer", _float32(factors.outer))
        self.register_buffer("mel", _float32(factors.mel))
        self.register_buffer("amin", torch.tensor(AMIN))
        self.register_buffer("dct", _float32(dct_matrix() * 10.0 / math.log(10.0)))

    def power_mel(self, windows: Tensor) -> Tensor:
        """Map waveforms [shape=(n, 16000)] to power mels [shape=(n, 98, 40)]."""
        # Samples come first and frames last, so that each product reads rows as they lie.
        hops = windows.reshape(-1, HOP).T.reshape(HOP, -1, WINDOW // HOP)
        shifted = [hops[:, :, first : first + FRAMES] for first in range(N_FFT // HOP)]
        frames = torch.cat(shifted, dim=0).reshape(N_FFT, -1) * self.hann
        inner = self.dft_inner @ frames.reshape(P, -1)
        spectrum = self.dft_outer @ inner.reshape(HALF, 2 * Q, -1)
        real, imaginary = (spectrum * spectrum).chunk(2, dim=1)
        power = (real + imaginary).reshape(HALF * Q, -1)
        return (power.T @ self.mel).reshape(-1, FRAMES, MEL_BANDS)

    def log_mel(self, mel: Tensor) -> Tensor:
        """Return the natural logarithm of a power mel, floored 80 dB below its maximum."""
        loudest = mel.amax(dim=(1, 2), keepdim=True)
        floor = torch.maximum(loudest * 10.0 ** (-TOP_DB / 10.0), self.amin)
        return torch.maximum(mel, floor).log()

    def block(self, x: Tensor, weights: Weights, prefix: str) -> Tensor:
        """Apply one gated-MLP block with its LayerNorm and residual to rows [shape=(98 n, 64)]."""

        def weight(name: str) -> Tensor:
            return weights[f"{prefix}.{name}"]

        def half(rows: slice) -> Tensor:
            w, b = weight("fn.fn.proj_in.0.weight"), weight("fn.fn.proj_in.0.bias")
            return functional.gelu(functional.linear(x, w[rows], b[rows]))

        residual, gate = half(slice(None, _GATE)), half(slice(_GATE, None))
        gate = functional.layer_norm(
            gate, (_GATE,), weight("fn.fn.sgu.norm.weight"), weight("fn.fn.sgu.norm.bias")
        )
        mixed = torch.addmm(
            weight("fn.fn.sgu.proj.bias").reshape(FRAMES, 1),
            weight("fn.fn.sgu.proj.weight").reshape(FRAMES, FRAMES),
            gate.reshape(FRAMES, -1),
        ).reshape(-1, _GATE)
        out = functional.linear(
            residual * mixed, weight("fn.fn.proj_out.weight"), weight("fn.fn.proj_out.bias")
        )
        return x + functional.layer_norm(
            out, (WIDTH,), weight("fn.norm.weight"), weight("fn.norm.bias")
        )

    def logits(self, embeddings: Tensor, weights: Weights) -> Tensor:
        """Map unweighted-LayerNorm embeddings [shape=(98 n, 64)] to logits [shape=(n, 35)].

        The head's own LayerNorm differs from the embedding's only by its weights, which go into
        the Linear; and a Linear may come before a mean.
        """
        w, b = weights["to_logits.2.weight"], weights["to_logits.2.bias"]
        w_norm, b_norm = weights["to_logits.0.weight"], weights["to_logits.0.bias"]
        rows = functional.linear(embeddings, w * w_norm, w @ b_norm + b)
        return rows.reshape(FRAMES, -1, len(self.spec.labels)).mean(dim=0)

    def forward(self, windows: Tensor, weights: Weights) -> tuple[Tensor, ...]:
        """Encode windows [shape=(n, 16000)].

        Returns:
            For kwmlp frame embeddings [(n, 98, 64)], logits [(n, 35)], power mel and MFCCs
            [(n, 98, 40)]; for audiomae frame embeddings [(n, 98, 8)] and power mel.
        """
        power_mel = self.power_mel(windows)
        features, inputs = [power_mel], power_mel
        w_patch, b_patch = weights["to_patch_embed.1.weight"], weights["to_patch_embed.1.bias"]
        if "mfcc" in self.spec.features:
            # The encoder takes the DCT as part of its first Linear; the MFCCs are an output only.
            inputs = self.log_mel(power_mel)
            w_patch = w_patch @ self.dct
            features.append(inputs @ self.dct.T)
        rows = inputs.transpose(0, 1).reshape(-1, MEL_BANDS)
        x = functional.linear(rows, w_patch, b_patch).to(self.blocks)
        inner = {key: weight.to(self.blocks) for key, weight in weights.items()}
        for index in range(self.spec.depth):
            x = self.block(x, inner, f"layers.{index}")
        x = x.float()
        if self.spec.labels:
            x = functional.layer_norm(x, (WIDTH,))
            outputs = [self.logits(x, weights)]
        else:
            x = functional.linear(x, weights["bottleneck.0.weight"], weights["bottleneck.0.bias"])
            x = functional.gelu(x)
            outputs = []
        frames = x.reshape(FRAMES, -1, self.spec.timestamp_embedding_size).transpose(0, 1)
        return frames, *outputs, *features
