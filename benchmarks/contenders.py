"""What is compared: each contender maps sounds to timestamp and scene embeddings of kwmlp."""

import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

import hearaudiomlp
from hearaudiomlp import scene, windows
from hearaudiomlp.spec import FRAMES, HOP, PAD_LEFT, PAD_RIGHT, WINDOW
from hearaudiomlp_export.checkpoints import load_checkpoint
from hearaudiomlp_export.filters import BINS, N_FFT, hann_window, mel_filterbank
from hearaudiomlp_export.frontend import MFCC
from hearaudiomlp_export.networks import KWMLP, WIDTH, build
from hearaudiomlp_export.trace import embed_weights, trace

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


def around(encode: Callable[[Floats], Floats]) -> Contender:
    """Return our own numpy steps around another engine's ``encode``."""

    def run(audio: Floats) -> tuple[Floats, Floats]:
        total = len(audio) * windows.count_windows(audio.shape[1])
        frames = windows.stitch(encode(windows.cut_windows(audio, 0, total)), len(audio))
        return frames[:, : audio.shape[1] // HOP], scene.scene_embedding(frames, 16)

    return run


def plain_export(encoder: WindowEncoder) -> Contender:
    """Return the exporter's own graph of the published design, default session options."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "plain.onnx"
        shapes = ({0: torch.export.Dim("n")},)
        example = (torch.zeros(2, WINDOW),)
        torch.onnx.export(encoder, example, path, dynamic_shapes=shapes, verbose=False)
        session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return around(lambda x: session.run(None, {name: x})[0])


def on_openvino(graph: bytes, hint: str, block: int) -> Contender:
    """Return OpenVINO on our graph, in blocks through its own queue of requests."""
    import openvino

    core = openvino.Core()
    hints = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(graph), "CPU", hints)
    queue = openvino.AsyncInferQueue(compiled)

    def encode(x: Floats) -> Floats:
        frames = np.empty((len(x), FRAMES, WIDTH), np.float32)

        def keep(request: Any, start: int) -> None:
            result = request.get_output_tensor(0).data
            frames[start : start + len(result)] = result

        queue.set_callback(keep)
        for start in range(0, len(x), block):
            queue.start_async([x[start : start + block]], start)
        queue.wait_all()
        return frames

    return around(encode)


def _window_encoder(checkpoint: Path) -> WindowEncoder:
    loaded = load_checkpoint(checkpoint, None, None)
    network = build("kwmlp")
    network.load_state_dict({key: torch.from_numpy(value) for key, value in loaded.weights.items()})
    assert isinstance(network, KWMLP)
    return WindowEncoder(network).eval()


def torch_contenders(checkpoint: Path, threads: int) -> dict[str, Contender]:
    """Return the published design in PyTorch, on one thread and on ``threads``."""
    encoder = _window_encoder(checkpoint)
    return {
        f"PyTorch, {count} thread{'s'[: count > 1]}": torch_pipeline(encoder, count)
        for count in sorted({1, threads})
    }


def contenders(checkpoint: Path, threads: int, *, compiled: bool) -> dict[str, Contender]:
    """Return all contenders by name, ours first."""
    encoder = _window_encoder(checkpoint)
    model = hearaudiomlp.load_model(checkpoint, device="cpu", threads=threads)

    def ours(audio: Floats) -> tuple[Floats, Floats]:
        found = model.embeddings(audio)
        return found.timestamp_embeddings, found.scene_embeddings

    chosen: dict[str, Contender] = {"hearaudiomlp": ours}
    chosen |= torch_contenders(checkpoint, threads)
    if compiled:
        chosen[f"torch.compile, {threads} threads"] = torch_pipeline(
            torch.compile(encoder, dynamic=True), threads
        )
    chosen["plain export, default session"] = plain_export(encoder)
    weights = load_checkpoint(checkpoint, None, None).weights
    graph = embed_weights(trace("kwmlp"), weights).SerializeToString()
    try:
        chosen["OpenVINO, latency"] = on_openvino(graph, "LATENCY", 64)
        chosen["OpenVINO, throughput"] = on_openvino(graph, "THROUGHPUT", 8)
    except ImportError:
        print("OpenVINO isn't installed: pip install openvino")
    return chosen
