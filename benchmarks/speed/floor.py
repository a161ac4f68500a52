"""Where the time of the graph goes, and its floor: the sum of each operator's best time.

    python benchmarks/speed/floor.py CHECKPOINT [--block 8]

Runs blocks of windows on one thread under ONNX Runtime's profiler. No schedule can make these
operators faster than the fastest that each of them was ever seen to be; the profiler itself costs
a little, so the last line gives the time without it.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime

from hearaudiomlp.spec import WINDOW
from hearaudiomlp.weights.model_file import ModelFile, read_model_file


def open_session(source: ModelFile, profile: Path | None) -> onnxruntime.InferenceSession:
    """Open a session of one thread, as the runtime does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in source.weights.values()]
    options.add_external_initializers(list(source.weights), values)
    return onnxruntime.InferenceSession(source.graph, options, providers=["CPUExecutionProvider"])


def profile(
    source: ModelFile, windows: np.ndarray, rounds: int
) -> dict[str, tuple[str, list[float]]]:
    """Return the microseconds of each node in every round, and the node's operator."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(source, Path(folder) / "profile")
        for _ in range(rounds):
            session.run(None, {"windows": windows})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes: dict[str, tuple[str, list[float]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            operator = event["args"]["op_name"]
            nodes.setdefault(event["name"], (operator, []))[1].append(event["dur"])
    return nodes


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--block", type=int, default=8, help="windows in a block")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    source = read_model_file(options.checkpoint.read_bytes())
    windows = np.random.default_rng(0).standard_normal((options.block, WINDOW), np.float32)
    best: dict[str, float] = defaultdict(float)
    middle: dict[str, float] = defaultdict(float)
    for operator, times in profile(source, windows, options.rounds).values():
        best[operator] += min(times) / options.block
        middle[operator] += statistics.median(times) / options.block
    session = open_session(source, None)
    plain = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        session.run(None, {"windows": windows})
        plain.append((time.perf_counter() - start) * 1e6 / options.block)
    print(f"{options.block} windows a block, {options.rounds} rounds, us per window\n")
    print("| operator | median | share | best |\n| --- | ---: | ---: | ---: |")
    whole = sum(middle.values())
    for operator in sorted(middle, key=lambda name: -middle[name]):
        share = 100 * middle[operator] / whole
        print(f"| {operator} | {middle[operator]:.0f} | {share:.0f} % | {best[operator]:.0f} |")
    print(f"| all | {whole:.0f} | 100 % | {sum(best.values()):.0f} |")
    low, half, _ = statistics.quantiles(plain, n=4)
    spread = f"{low:.0f} (first quartile), {min(plain):.0f} (best)"
    print(f"\nwithout the profiler: {half:.0f} (median), {spread}")


if __name__ == "__main__":
    main()
