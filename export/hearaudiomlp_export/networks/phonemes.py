"""A network that hears phonemes, in synthetic speech as in that of real people.

Speech synthesizers say a word in a few voices, and people in as many as there are. What the two
have in common is the sequence of phonemes. So a network of a user's phrases gets probabilities of
phonemes, from a network that was trained on real people. ``scripts/make_phonemes.py`` trains it.
"""

from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hearaudiomlp.fitting.phonemes import DILATIONS, FLOOR, STEPS, load_phoneme_weights
from hearaudiomlp.spec import MEL_BANDS
from hearaudiomlp_export.networks.frontend import front_end

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
PHONEMES = ("SIL", *sorted(f"{_VOWELS} {_CONSONANTS}".split()))
"""Silence, and the phonemes of the CMU Pronouncing Dictionary."""

_BLOCK = 128


class _Block(nn.Module):
    """A convolution over time with a way around it."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` [shape=(n, width, steps)] to the same shape."""
        mapped: Tensor = x + self.norm(self.conv(x)).relu()
        return mapped


class PhonemeNetwork(nn.Module):
    """Convolutions from MFCCs to phonemes: each step hears 0.4 s.

    Examples:
        >>> PhonemeNetwork().eval()(torch.zeros(3, 98, 40)).shape
        torch.Size([3, 49, 40])
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int = 160) -> None:
        """Build an untrained network with ``width`` channels."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(MEL_BANDS))
        self.register_buffer("spread", torch.ones(MEL_BANDS))
        self.first = nn.Conv1d(MEL_BANDS, width, 6, stride=2, padding=2)
        self.norm = nn.BatchNorm1d(width)
        self.blocks = nn.Sequential(*(_Block(width, dilation) for dilation in DILATIONS))
        self.last = nn.Conv1d(width, len(PHONEMES), 1)

    def logits(self, mfcc: Tensor) -> Tensor:
        """Map MFCCs [shape=(n, frames, 40)] to logits [shape=(n, frames / 2, 40)]."""
        x = ((mfcc - self.mean) / self.spread).transpose(1, 2)
        x = self.blocks(self.norm(self.first(x)).relu())
        return cast(Tensor, self.last(x).transpose(1, 2))

    def forward(self, mfcc: Tensor) -> Tensor:
        """Map MFCCs [shape=(n, frames, 40)] to log probabilities, from -1 (e^-6 or less) to 0."""
        return self.logits(mfcc).log_softmax(dim=2).clamp(min=FLOOR) / -FLOOR


@cache
def load_phoneme_network() -> PhonemeNetwork:
    """Return the trained network that comes with the package.

    Examples:
        >>> network = load_phoneme_network()
        >>> PHONEMES[int(network(torch.zeros(1, 98, 40))[0, 0].argmax())]
        'SIL'
    """
    stored = load_phoneme_weights()
    weights = {name: torch.from_numpy(values.copy()) for name, values in stored.items()}
    network = PhonemeNetwork(len(weights["first.bias"]))
    network.load_state_dict(weights, strict=False)
    return network.eval().requires_grad_(False)


class Listener:
    """From windows to phonemes: the front end, and the network that comes with the package.

    Examples:
        >>> Listener().hear(np.zeros((2, 16_000), np.float32)).shape
        (2, 49, 40)
    """

    def __init__(self) -> None:
        self._features = front_end("kwmlp")
        self._network = load_phoneme_network()

    @torch.inference_mode()
    def hear(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what the network hears [shape=(n, 49, 40)] in windows [shape=(n, 16000)]."""
        blocks = torch.split(torch.from_numpy(windows), _BLOCK)
        heard = [self._network(self._features(block)) for block in blocks]
        return torch.cat([torch.zeros(0, STEPS, len(PHONEMES)), *heard]).numpy()
