"""The published system in PyTorch, from waveform to embeddings, as its papers and weights have it.

The whole pipeline written once more, independently of the runtime's: the spectrogram by
convolution with windowed cosines and sines, the network as it reads, interpolation by torch. It
says what any weights of the two architectures have to give; benchmarks measure against it; and in
float64 it shows how much of its own float32 result is rounding. Arithmetic: arXiv 2203.08490,
section 2, and arXiv 2110.07749.
"""

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hearaudiomlp.spec import ENCODERS, HOP, PAD_LEFT, PAD_RIGHT, WINDOW
from hearaudiomlp_export.networks.encoders import KWMLP, AudioMAE, build
from hearaudiomlp_export.networks.filters import BINS, N_FFT, hann_window, mel_filterbank
from hearaudiomlp_export.networks.frontend import MFCC


class Outputs(NamedTuple):
    """What the published system returns for some sounds.

    Examples:
        >>> outputs = PublishedSystem("checkpoints/kwmlp.pth")(torch.zeros(2, 16_000))
        >>> outputs.timestamps[0, :3]
        tensor([10., 20., 30.])
    """

    timestamp_embeddings: Tensor
    """[shape=(n_sounds, n_samples // 160, timestamp_embedding_size)]"""

    timestamps: Tensor
    """Milliseconds [shape=(n_sounds, n_samples // 160)], float32."""

    scene_embeddings: Tensor
    """[shape=(n_sounds, scene_embedding_size)]"""


class ConvolutionSpectrogram(nn.Module):
    """Power mel by convolution with float32 kernels, as the published system computes it.

    Examples:
        >>> ConvolutionSpectrogram()(torch.zeros(2, 16_000)).shape
        torch.Size([2, 98, 40])
    """

    kernels: Tensor
    mel: Tensor

    def __init__(self) -> None:
        """Make the kernels: each factor is rounded to float32, and so is their product."""
        super().__init__()
        angles = 2 * np.pi * np.outer(np.arange(BINS), np.arange(N_FFT)) / N_FFT
        waves = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
        kernels = waves * hann_window().astype(np.float32)
        self.register_buffer("kernels", torch.from_numpy(kernels)[:, :, None])
        self.register_buffer("mel", torch.from_numpy(mel_filterbank().astype(np.float32)))

    def forward(self, windows: Tensor) -> Tensor:
        """Map windows [shape=(n, 16000)] to power mels [shape=(n, 98, 40)]."""
        cosine, sine = self.kernels
        real = functional.conv1d(windows[:, None], cosine, stride=HOP)
        imaginary = functional.conv1d(windows[:, None], sine, stride=HOP)
        return (self.mel @ (real**2 + imaginary**2)).transpose(1, 2)


class WindowEncoder(nn.Module):
    """Windows to frame embeddings: what the published system runs on each second.

    Examples:
        >>> from hearaudiomlp_export.networks.encoders import build
        >>> WindowEncoder(build("kwmlp"))(torch.zeros(2, 16_000)).shape
        torch.Size([2, 98, 64])
    """

    def __init__(self, network: KWMLP | AudioMAE) -> None:
        """Put before a network the front end that it expects."""
        super().__init__()
        self.network = network
        self.features = nn.Sequential(ConvolutionSpectrogram())
        if isinstance(network, KWMLP):
            self.features.append(MFCC())

    def forward(self, windows: Tensor) -> Tensor:
        """Map windows [shape=(n, 16000)] to embeddings [shape=(n, 98, 64 or 8)]."""
        features = self.features(windows)
        if isinstance(self.network, KWMLP):  # without the keyword head, which would be wasted
            encoded = self.network.encode(features)
            return functional.layer_norm(encoded, encoded.shape[-1:])
        return cast(Tensor, self.network(features)[0])


def halvings(frames: int, steps: int) -> list[int]:
    """Return the lengths through which ``frames >= steps`` frames are shortened to ``steps``.

    Examples:
        >>> halvings(998, 198)
        [499, 249]
    """
    sizes = []
    while frames // 2 >= steps:
        frames //= 2
        sizes.append(frames)
    return sizes


class PublishedSystem(nn.Module):
    """The whole system with the weights of a checkpoint, for eager torch on any device.

    Examples:
        >>> system = PublishedSystem("checkpoints/audiomae.pth")
        >>> system(torch.zeros(2, 8_000)).scene_embeddings.shape
        torch.Size([2, 1584])
    """

    def __init__(self, checkpoint: Path | str) -> None:
        """Load a checkpoint of either encoder, recognized by its tensors.

        Args:
            checkpoint: trusted as far as ``torch.load(weights_only=True)`` goes.

        Raises:
            OSError: the file can't be read.
            RuntimeError: its tensors aren't those of one of the encoders.
        """
        super().__init__()
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model_state_dict"]
        self.name = "audiomae" if "bottleneck.0.weight" in state else "kwmlp"
        self.network = build(self.name)
        self.network.load_state_dict(state)
        self.encoder: nn.Module = WindowEncoder(self.network)
        self.eval()

    def scene(self, frames: Tensor) -> Tensor:
        """Shorten all stitched frames [shape=(n, frames, size)] to one embedding each."""
        steps = ENCODERS[self.name].scene_steps
        x = frames.transpose(1, 2)
        sizes = halvings(x.shape[-1], steps)
        if x.shape[-1] < steps:
            x = functional.pad(x, (0, steps - x.shape[-1]))
        elif x.shape[-1] != steps << len(sizes):
            sizes.append(steps)
        for size in sizes:
            x = functional.interpolate(x, size=size, mode="linear", align_corners=True)
        return x.flatten(1)

    def keyword_logits(self, windows: Tensor) -> Tensor:
        """Return the keyword logits [shape=(n, 35)] of bare windows [shape=(n, 16000)]."""
        encoder = cast(WindowEncoder, self.encoder)
        return cast(Tensor, self.network(encoder.features(windows))[1])

    def forward(self, audio: Tensor) -> Outputs:
        """Embed sounds [shape=(n_sounds, n_samples)]."""
        n_sounds, n_samples = audio.shape
        x = functional.pad(audio, (PAD_LEFT, PAD_RIGHT))
        x = functional.pad(x, (0, -x.shape[1] % WINDOW))
        frames = self.encoder(x.reshape(-1, WINDOW))
        frames = torch.cat([frames[:, :1], frames, frames[:, -1:]], dim=1)
        frames = frames.reshape(n_sounds, -1, frames.shape[-1])[:, 1:-1]
        n = n_samples // HOP
        timestamps = 10.0 * torch.arange(1, n + 1, dtype=torch.float32, device=audio.device)
        return Outputs(frames[:, :n], timestamps.repeat(n_sounds, 1), self.scene(frames))
