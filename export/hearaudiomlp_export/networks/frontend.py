"""The mel and MFCC front ends as torch modules, written as the definition reads.

The readable form, in the dtype of the waveform; the exported graph computes the same with fewer
multiplications (:mod:`hearaudiomlp_export.graph.encoder`).
"""

import torch
from torch import Tensor, nn

from hearaudiomlp.spec import ENCODERS, HOP
from hearaudiomlp_export.networks.filters import (
    BINS,
    N_FFT,
    dct_matrix,
    hann_window,
    mel_filterbank,
)

AMIN = 1e-10
"""Smallest power that differs from zero."""

TOP_DB = 80.0
"""Decibels below a window's loudest band at which everything is cut off."""


class PowerMel(nn.Module):
    """Power spectrogram (Hann 480, hop 160, no centring) through 40 mel filters.

    Examples:
        >>> PowerMel()(torch.zeros(2, 16_000)).shape
        torch.Size([2, 98, 40])
    """

    window: Tensor
    filterbank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(hann_window()))
        self.register_buffer("filterbank", torch.from_numpy(mel_filterbank()))

    def power(self, windows: Tensor) -> Tensor:
        """Map waveforms [shape=(n, 16000)] to power spectrograms [shape=(n, 98, 241)]."""
        frames = windows.unfold(-1, N_FFT, HOP) * self.window.to(windows)
        spectrum = torch.fft.rfft(frames, n=N_FFT)
        assert spectrum.shape[-1] == BINS
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power

    def forward(self, windows: Tensor) -> Tensor:
        """Map waveforms [shape=(n, 16000)] to power mels [shape=(n, 98, 40)]."""
        mel: Tensor = self.power(windows) @ self.filterbank.to(windows).T
        return mel


def decibels(mel: Tensor) -> Tensor:
    """Return 10 log10 of ``mel`` [shape=(n, 98, 40)], floored 80 dB below each window's maximum.

    Examples:
        >>> decibels(torch.tensor([[[1.0, 0.01, 0.0]]]))
        tensor([[[  0., -20., -80.]]])
    """
    level = 10.0 * torch.log10(mel.clamp(min=AMIN))
    return torch.maximum(level, level.amax(dim=(1, 2), keepdim=True) - TOP_DB)


class MFCC(nn.Module):
    """Decibels of a power mel, floored 80 dB below the window's maximum, then a DCT-II.

    Examples:
        >>> MFCC()(torch.zeros(2, 98, 40)).shape
        torch.Size([2, 98, 40])
    """

    dct: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("dct", torch.from_numpy(dct_matrix()))

    def forward(self, mel: Tensor) -> Tensor:
        """Map power mels [shape=(n, 98, 40)] to MFCCs of the same shape."""
        return decibels(mel) @ self.dct.to(mel).T


def front_end(name: str) -> nn.Module:
    """Return the module that makes the features of the encoder called ``name``.

    Examples:
        >>> front_end("kwmlp")(torch.zeros(2, 16000)).shape
        torch.Size([2, 98, 40])
    """
    has_mfcc = "mfcc" in ENCODERS[name].features
    return nn.Sequential(PowerMel(), MFCC()) if has_mfcc else PowerMel()
