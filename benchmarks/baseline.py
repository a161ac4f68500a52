"""The published design in PyTorch: what everything is compared with."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hearaudiomlp.spec import HOP, PAD_LEFT, PAD_RIGHT, WINDOW
from hearaudiomlp_export.filters import BINS, N_FFT, hann_window, mel_filterbank
from hearaudiomlp_export.frontend import MFCC
from hearaudiomlp_export.networks import KWMLP, WIDTH, build

Floats = np.ndarray[Any, np.dtype[np.float32]]
Contender = Callable[[Floats], tuple[Floats, Floats]]


class WindowEncoder(nn.Module):
    """The published design: the spectrogram by convolution, then the network as it reads."""

    def __init__(self, network: KWMLP) -> None:
        """Take a network with its weights."""
        super().__init__()
        angles = 2 * np.pi * np.outer(np.arange(BINS), np.arange(N_FFT)) / N_FFT
        kernels = np.stack([np.cos(angles), np.sin(angles)]) * hann_window()
        self.register_buffer("kernels", torch.from_numpy(kernels.astype(np.float32))[:, :, None])
        self.register_buffer("mel", torch.from_numpy(mel_filterbank().astype(np.float32)))
        self.mfcc, self.network = MFCC(), network

    def forward(self, x: Tensor) -> Tensor:
        """Map windows [shape=(n, 16000)] to frame embeddings [shape=(n, 98, 64)]."""
        real, imaginary = (
            functional.conv1d(x[:, None], kernel, stride=HOP) for kernel in self.kernels
        )
        mel = self.mel @ (real**2 + imaginary**2)
        return functional.layer_norm(self.network.encode(self.mfcc(mel.transpose(1, 2))), (WIDTH,))


def torch_pipeline(encode: Callable[[Tensor], Tensor], threads: int) -> Contender:
    """Return the whole pipeline in PyTorch around ``encode``."""

    def run(audio: Floats) -> tuple[Floats, Floats]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            x = functional.pad(torch.from_numpy(audio), (PAD_LEFT, PAD_RIGHT))
            x = functional.pad(x, (0, -x.shape[1] % WINDOW))
            frames = encode(x.reshape(-1, WINDOW))
            frames = torch.cat([frames[:, :1], frames, frames[:, -1:]], dim=1)
            frames = frames.reshape(len(audio), -1, WIDTH)[:, 1:-1]
            x = frames.transpose(1, 2)
            sizes = [
                x.shape[-1] >> halving for halving in range(1, int(math.log2(x.shape[-1] / 16)) + 1)
            ]
            for size in [*sizes, 16]:
                x = functional.interpolate(x, size=size, mode="linear", align_corners=True)
            return frames[:, : audio.shape[1] // HOP].numpy(), x.flatten(1).numpy()

    return run


def window_encoder(checkpoint: Path | str) -> WindowEncoder:
    """Load a checkpoint of kwmlp, as the published system does."""
    network = build("kwmlp")
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["model_state_dict"])
    assert isinstance(network, KWMLP)
    return WindowEncoder(network).eval()
