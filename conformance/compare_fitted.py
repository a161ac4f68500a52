"""Compare a file of a user's own labels in every engine: the same logits everywhere?

    python -m conformance.compare_fitted mine.onnx mine-pipeline.onnx --program build/embed

The first file is what `hearaudiomlp fit` or `hearaudiomlp-export train --words` wrote, and the
second one the first after `hearaudiomlp-export mine.onnx --interface pipeline`. Prints, for each
engine, the largest difference from the runtime's keyword logits in `samples/`, and size and time of
a window next to those of the bare encoder.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import hearaudiomlp
from conformance.engines import ENGINES
from hearaudiomlp import Model
from hearaudiomlp._types import Floats
from hearaudiomlp.spec import WINDOW

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 200


def _sounds() -> list[Floats]:
    """Return whole seconds: the page leaves a last part of one out."""
    files = sorted((ROOT / "samples").glob("*.flac"))
    sounds = [hearaudiomlp.read_audio(file).samples for file in files]
    return [samples[: len(samples) // WINDOW * WINDOW] for samples in sounds]


def _windows(samples: Floats) -> Floats:
    return samples.reshape(-1, WINDOW)


def _javascript(runtime: str, path: Path) -> Callable[[Floats], Floats]:
    import sys

    sys.path.insert(0, str(ROOT / "tests" / "platforms"))
    from javascript import JavaScriptModel

    model = JavaScriptModel(runtime, str(path))
    return lambda samples: model.embed(samples)[3]


def _best_ms(model: Model, outputs: tuple[str, ...]) -> float:
    window = np.zeros((1, WINDOW), np.float32)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.encode(window, outputs)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("windows", type=Path)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("--program", type=Path, help="of C; without it, C is left out")
    parser.add_argument("--javascript", action="store_true", help="also Node and Chromium")
    options = parser.parse_args()
    model = hearaudiomlp.load_model(options.windows, device="cpu", threads=1)
    sounds = _sounds()
    wanted = [model.encode(_windows(samples))["keyword_logits"] for samples in sounds]
    largest = max(float(np.abs(logits).max()) for logits in wanted)
    print(f"largest logit {largest:.1f}\n\n| engine | file | largest difference |")
    print("| --- | --- | ---: |")
    runs: dict[tuple[str, str], Callable[[Floats], Floats]] = {}
    for name in ("onnxruntime", "reference", "openvino", *(["c"] if options.program else [])):
        title, run = ENGINES[name](options.pipeline, options.program)
        runs[title, "pipeline"] = lambda samples, run=run: run(samples[None])["keyword_logits"]
    if options.javascript:
        for runtime in ("onnxruntime-node", "onnxruntime-web", "chromium"):
            for kind, path in (("windows", options.windows), ("pipeline", options.pipeline)):
                runs[runtime, kind] = _javascript(runtime, path)
    for (title, kind), compute in runs.items():
        errors = [
            np.abs(compute(samples).reshape(logits.shape) - logits).max()
            for samples, logits in zip(sounds, wanted, strict=True)
        ]
        print(f"| {title} | {kind} | {max(errors):.1e} |", flush=True)
    bare = hearaudiomlp.load_model(name=model.name, device="cpu", threads=1)
    exported = ROOT / "onnx_models" / f"{model.name}.onnx"
    contenders = {
        f"bare encoder, {exported.stat().st_size:,} bytes": (bare, ("frame_embeddings",)),
        f"{options.windows.name}, {options.windows.stat().st_size:,} bytes": (
            model,
            ("frame_embeddings", "keyword_logits"),
        ),
    }
    for title, (one, outputs) in 2 * [*contenders.items()]:
        print(f"{title}: {_best_ms(one, outputs):.2f} ms for one window, the best of {ROUNDS}")


if __name__ == "__main__":
    main()
