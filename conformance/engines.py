"""The engines that a whole-pipeline file is run in, each behind the same call."""

import json
import platform
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from conformance.wav import write_wav
from hearaudiomlp.spec import KEYWORDS

ROOT = Path(__file__).resolve().parent.parent

Floats = npt.NDArray[np.float32]
Outputs = dict[str, Floats]
Run = Callable[[Floats], Outputs]


def _onnxruntime(model: Path, _program: Path | None) -> tuple[str, Run]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(audio: Floats) -> Outputs:
        return dict(zip(names, session.run(None, {"audio": audio}), strict=True))

    return f"onnxruntime {ort.__version__}, CPU provider", run


def _hearaudiomlp(model: Path, _program: Path | None) -> tuple[str, Run]:
    import hearaudiomlp

    loaded = hearaudiomlp.load_model(model, device="cpu")

    def run(audio: Floats) -> Outputs:
        found = loaded.embeddings(audio)
        outputs = {
            "timestamp_embeddings": found.timestamp_embeddings,
            "timestamps": found.timestamps,
            "scene_embeddings": found.scene_embeddings,
        }
        if loaded.labels:
            seconds = range(0, max(1, audio.shape[1]), 16_000)
            logits = [loaded.keyword_logits(audio[:, at : at + 16_000]) for at in seconds]
            outputs["keyword_logits"] = np.stack(logits, axis=1)
        return outputs

    return f"hearaudiomlp {hearaudiomlp.__version__}", run


def _reference(model: Path, _program: Path | None) -> tuple[str, Run]:
    import onnx
    import onnx.reference

    evaluator = onnx.reference.ReferenceEvaluator(onnx.load(model))

    def run(audio: Floats) -> Outputs:
        return dict(zip(evaluator.output_names, evaluator.run(None, {"audio": audio}), strict=True))

    return f"onnx {onnx.__version__}, reference evaluator", run


def _openvino(model: Path, _program: Path | None) -> tuple[str, Run]:
    import openvino

    # Without the hint it would compute in bfloat16 where the processor can.
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", hints)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(audio: Floats) -> Outputs:
        found = compiled(audio)
        return {name: np.array(found[name]) for name in names}

    return f"OpenVINO {openvino.__version__.partition('-')[0]}, CPU", run


def _c(model: Path, program: Path | None) -> tuple[str, Run]:
    if program is None:
        raise ValueError("the engine c needs --program: examples/c/build.py prints its path")

    def run(audio: Floats) -> Outputs:
        with tempfile.TemporaryDirectory() as folder:
            wav, out = Path(folder) / "sounds.wav", Path(folder) / "out.f32"
            write_wav(wav, audio)
            subprocess.run([program, model, wav, out], check=True, capture_output=True)
            return read_outputs(out)

    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return f"C, {version.stdout.strip()}", run


def read_outputs(path: Path) -> Outputs:
    """Read the outputs that the C program writes: a line with name and shape, then the values."""
    data, at, outputs = path.read_bytes(), 0, {}
    while at < len(data):
        end = data.index(b"\n", at)
        name, *shape = data[at:end].decode().split()
        dims = [int(size) for size in shape]
        at = end + 1 + 4 * int(np.prod(dims))
        values = struct.unpack(f"<{int(np.prod(dims))}f", data[end + 1 : at])
        outputs[name] = np.array(values, np.float32).reshape(dims)
    return outputs


def _javascript(runtime: str) -> Callable[[Path, Path | None], tuple[str, Run]]:
    """Return the maker of an engine that `npm install` in web/ brought."""

    def make(model: Path, _program: Path | None) -> tuple[str, Run]:
        sys.path.insert(0, str(ROOT / "tests" / "platforms"))
        from javascript import JavaScriptModel

        answering = JavaScriptModel(runtime, str(model))
        width = answering.timestamp_embedding_size

        def run(audio: Floats) -> Outputs:
            found = [answering.embed(sound) for sound in audio]
            frames, timestamps, scene, logits = (
                np.stack(each) for each in zip(*found, strict=True)
            )
            outputs = {
                "timestamp_embeddings": frames.reshape(len(audio), -1, width),
                "timestamps": timestamps,
                "scene_embeddings": scene,
            }
            if logits.size:
                outputs["keyword_logits"] = logits.reshape(len(audio), -1, len(KEYWORDS.split()))
            return outputs

        package = "onnxruntime-web" if runtime == "chromium" else runtime
        about = ROOT / "web" / "node_modules" / package / "package.json"
        engine = f"{package} {json.loads(about.read_bytes())['version']}"
        return (f"Chromium, {engine}" if runtime == "chromium" else f"Node, {engine}"), run

    return make


ENGINES: dict[str, Callable[[Path, Path | None], tuple[str, Run]]] = {
    "onnxruntime": _onnxruntime,
    "hearaudiomlp": _hearaudiomlp,
    "reference": _reference,
    "openvino": _openvino,
    "c": _c,
    "onnxruntime-node": _javascript("onnxruntime-node"),
    "onnxruntime-web": _javascript("onnxruntime-web"),
    "chromium": _javascript("chromium"),
}


def this_platform() -> str:
    """Return processor and system, ``x86_64 Linux`` say."""
    return f"{platform.machine()} {platform.system()}"
