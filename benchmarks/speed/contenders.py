"""What is compared: each contender maps sounds to timestamp and scene embeddings of kwmlp."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from baseline import Contender, Floats, compiled_system, torch_pipeline

import hearaudiomlp
from hearaudiomlp.errors import DeviceError, MissingPackageError
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.spec import FRAMES, HOP, WINDOW
from hearaudiomlp_export.graph.trace import embed_weights, trace
from hearaudiomlp_export.networks.checkpoints import load_checkpoint
from hearaudiomlp_export.networks.encoders import WIDTH
from hearaudiomlp_export.networks.published import PublishedSystem

KERNELS = "hearaudiomlp with its kernels"


def around(encode: Callable[[Floats], Floats]) -> Contender:
    """Return our own numpy steps around another engine's ``encode``."""

    def run(audio: Floats) -> tuple[Floats, Floats]:
        total = len(audio) * windows.count_windows(audio.shape[1])
        frames = windows.stitch(encode(windows.cut_windows(audio, 0, total)), len(audio))
        return frames[:, : audio.shape[1] // HOP], scene.scene_embedding(frames, 16)

    return run


def plain_export(encoder: torch.nn.Module) -> Contender:
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


def on_openvino(graph: bytes, hint: str, block: int, threads: int) -> Contender:
    """Return OpenVINO on our graph, in blocks through its own queue of requests."""
    import openvino

    core = openvino.Core()
    hints = {
        "PERFORMANCE_HINT": hint,
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
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


def torch_contenders(checkpoint: Path, threads: int) -> dict[str, Contender]:
    """Return the published design in PyTorch, on one thread and on ``threads``."""
    system = PublishedSystem(checkpoint)
    return {
        f"PyTorch, {count} thread{'s'[: count > 1]}": torch_pipeline(system, count)
        for count in sorted({1, threads})
    }


def ours(checkpoint: Path, threads: int, *, kernels: bool) -> Contender:
    """Return this package, on ONNX Runtime's operators or on the kernels."""
    model = hearaudiomlp.load_model(checkpoint, device="cpu", threads=threads, kernels=kernels)

    def run(audio: Floats) -> tuple[Floats, Floats]:
        found = model.embeddings(audio)
        return found.timestamp_embeddings, found.scene_embeddings

    return run


def contenders(checkpoint: Path, threads: int, *, compiled: bool) -> dict[str, Contender]:
    """Return all contenders by name, ours first."""
    chosen: dict[str, Contender] = {"hearaudiomlp": ours(checkpoint, threads, kernels=False)}
    try:
        chosen[KERNELS] = ours(checkpoint, threads, kernels=True)
    except (MissingPackageError, DeviceError) as problem:
        print(problem)
    chosen |= torch_contenders(checkpoint, threads)
    if compiled:
        chosen[f"torch.compile, {threads} threads"] = torch_pipeline(
            compiled_system(checkpoint), threads
        )
    chosen["plain export, default session"] = plain_export(PublishedSystem(checkpoint).encoder)
    weights = load_checkpoint(checkpoint, None, None).weights
    graph = embed_weights(trace("kwmlp"), weights).SerializeToString()
    try:
        chosen["OpenVINO, latency"] = on_openvino(graph, "LATENCY", 64, threads)
        chosen["OpenVINO, throughput"] = on_openvino(graph, "THROUGHPUT", 8, threads)
    except ImportError:
        print("OpenVINO isn't installed: pip install openvino")
    return chosen
