"""Front ends for training: the encoder's own, with another vocal tract for each window."""

import numpy as np
import torch
from torch import Tensor, nn

from hearaudiomlp.spec import FRAMES, MEL_BANDS, SAMPLE_RATE
from hearaudiomlp_export.networks.filters import BINS, N_FFT, Matrix, mel_filterbank
from hearaudiomlp_export.networks.frontend import PowerMel

WARPS = 33
"""Vocal tracts to choose from; the one in the middle is the speaker's own."""

_KNEE_HZ = 4800.0


def warped_frequencies(factor: float) -> Matrix:
    """Return the bins' frequencies for a vocal tract ``factor`` times as short [shape=(241,)].

    Vocal-tract-length perturbation (Jaitly and Hinton 2013): frequencies are multiplied up to a
    knee, from where a straight line leads to 8 kHz.
    """
    bins = np.arange(BINS) * (SAMPLE_RATE / N_FFT)
    top = SAMPLE_RATE / 2.0
    knee = _KNEE_HZ * min(factor, 1.0) / factor
    beyond = top - (top - knee * factor) * (top - bins) / (top - knee)
    return np.where(bins <= knee, bins * factor, beyond)


class WarpedPowerMel(PowerMel):
    """Power mel with one of ``WARPS`` filter banks per window."""

    bank: Tensor

    def __init__(self, widest: float) -> None:
        """Prepare filter banks for factors from ``1 / widest`` to ``widest``."""
        super().__init__()
        factors = np.exp(np.linspace(-np.log(widest), np.log(widest), WARPS))
        banks = np.stack([mel_filterbank(warped_frequencies(factor)).T for factor in factors])
        self.register_buffer("bank", torch.from_numpy(banks).float())

    def warp(self, windows: Tensor, chosen: Tensor) -> Tensor:
        """Map windows [shape=(n, 16000)] to power mels [shape=(n, 98, 40)].

        Args:
            windows: waveforms.
            chosen: which filter bank each window goes through [shape=(n,), int64].
        """
        return torch.bmm(self.power(windows), self.bank[chosen])


def mask(features: Tensor, rng: np.random.Generator, frames: int, bands: int) -> Tensor:
    """Return ``features`` with stretches of frames and of bands set to zero (SpecAugment).

    Park et al. 2019 (arXiv 1904.08779), without time warping.

    Args:
        features: [shape=(n, 98, 40)], of mean zero.
        rng: source of randomness.
        frames: longest stretch of frames; two are drawn.
        bands: widest stretch of bands; two are drawn.
    """
    keep = np.ones((len(features), FRAMES, MEL_BANDS), np.float32)
    for row in keep:
        for _ in range(2):
            width = int(rng.integers(frames + 1))
            start = int(rng.integers(FRAMES - width + 1))
            row[start : start + width] = 0
            width = int(rng.integers(bands + 1))
            start = int(rng.integers(MEL_BANDS - width + 1))
            row[:, start : start + width] = 0
    return features * torch.from_numpy(keep).to(features)


class Standardize(nn.Module):
    """Subtract a mean and divide by a spread, per band; both fixed, and folded away at the end."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, features: Tensor) -> Tensor:
        """Standardize ``features`` [shape=(n, 98, 40)]."""
        standardized: Tensor = (features - self.mean) / self.spread
        return standardized

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of a Linear that does this and then the given Linear."""
        scaled = (weight.double() / self.spread.double()).cpu()
        return scaled.float(), (bias.double().cpu() - scaled @ self.mean.double().cpu()).float()
