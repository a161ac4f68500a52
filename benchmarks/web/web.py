"""The encoder in Node and in Chromium, next to native ONNX Runtime; and two visits.

    python benchmarks/web/web.py onnx_models/kwmlp.onnx

Every contender runs the same file on the same number of samples, on one thread, in turn. Needs
``[cpu]``, ``npm install`` in ``web/``, and Chromium.
"""

import argparse
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

SPEED = Path(__file__).resolve().parents[2] / "web" / "tools" / "speed.js"
WINDOW = 16_000


def native(path: Path, seconds: int, runs: int) -> list[float]:
    """Return the milliseconds of runs in this process."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(7).uniform(-0.1, 0.1, (seconds, WINDOW)).astype(np.float32)
    took = []
    for run in range(runs + 3):
        start = time.perf_counter()
        session.run(None, {"windows": noise})
        if run >= 3:
            took.append(1000 * (time.perf_counter() - start))
    return took


def javascript(path: Path, runtime: str, seconds: int, runs: int) -> list[float]:
    """Return the milliseconds of runs that ``speed.js`` measured."""
    command = ["node", str(SPEED), str(path), runtime, str(seconds), str(runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a file of windows, as hearaudiomlp-export writes")
    parser.add_argument("--seconds", type=int, default=8, help="windows of a run")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    path, size = options.model.resolve(), (options.seconds, options.runs)
    windows = options.seconds

    contenders = {"native (Python)": lambda: native(path, *size)}
    for name in ("onnxruntime-node", "onnxruntime-web", "chromium"):
        contenders[name] = lambda name=name: javascript(path, name, *size)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, contender in contenders.items():
            # The fastest run: what the others take longer is other programs' doing.
            times[name].append(min(contender()) / windows)
    base = min(times["native (Python)"])
    print("| one thread | ms per window, fastest of the rounds | median | times native |")
    print("| --- | ---: | ---: | ---: |")
    for name, values in times.items():
        fastest, middle = min(values), statistics.median(values)
        print(f"| {name} | {fastest:.2f} | {middle:.2f} | {fastest / base:.1f} |")
    visits = javascript(path, "visits", 1, options.rounds)
    print("\nFrom the start of a visit to the embeddings and words of one second:\n")
    for name, took in (("first", visits[::2]), ("second, without a network", visits[1::2])):
        fastest, middle = min(took) / 1000, statistics.median(took) / 1000
        print(f"{name}: {fastest:.2f} s at best, median {middle:.2f} s")


if __name__ == "__main__":
    main()
