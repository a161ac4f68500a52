#!/usr/bin/env python3
"""Peak memory and CPU time of the whole-pipeline graph, next to the runtime's blocks of windows.

    python benchmarks/speed/pipeline.py PIPELINE.onnx [--seconds 1 10 60 600 3600]

Both take the same file: the graph in one call on one thread, as a program without this package runs
it, and ``Model.embeddings``, which takes the encoder out of it, on one thread too. Each in a
process of its own; CPU seconds are of the second call of two. kwmlp's graph also computes the
keyword logits of every second, which costs as much again as a second of embeddings.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def _graph(model: str) -> Callable[[Any], object]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda audio: session.run(None, {"audio": audio})


def _blocks(model: str) -> Callable[[Any], object]:
    import hearaudiomlp

    return hearaudiomlp.load_model(model, device="cpu", threads=1).embeddings


def _measure(way: str, model: str, seconds: float) -> None:
    run = {"graph": _graph, "blocks": _blocks}[way](model)
    shape = (1, int(16_000 * seconds))
    audio = 0.1 * np.random.default_rng(0).standard_normal(shape, np.float32)
    run(audio)
    start = time.process_time()
    run(audio)
    cpu = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": cpu, "peak": peak}))


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a file exported with --interface pipeline")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 10, 60, 600, 3600])
    parser.add_argument("--way", choices=["graph", "blocks"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        _measure(options.way, options.model, options.seconds[0])
        return 0
    print("| seconds | graph, MB | blocks, MB | graph, CPU s | blocks, CPU s |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for seconds in options.seconds:
        figures = []
        for way in ("graph", "blocks"):
            command = [sys.executable, str(Path(__file__)), options.model]
            command += ["--seconds", str(seconds), "--way", way]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            figures.append(json.loads(done.stdout) if done.returncode == 0 else None)
        peaks = [f"{one['peak'] / 1e6:,.0f}" if one else "out of memory" for one in figures]
        times = [f"{one['cpu']:.4f}" if one else "-" for one in figures]
        print(f"| {seconds:g} | {' | '.join(peaks + times)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
