"""One window at a time: does it help to spread its operators over two threads?

    python benchmarks/single.py CHECKPOINT

Sessions with one thread (as the runtime has them), and with two that spin or sleep between
operators, take turns; once alone, once next to a process that keeps one CPU busy. The last column
is CPU time, which spinning threads spend on waiting.
"""

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime

from hearaudiomlp.spec import WINDOW
from hearaudiomlp.weights.model_file import ModelFile, read_model_file

WAYS = {"one thread": (1, "0"), "two, spinning": (2, "1"), "two, sleeping": (2, "0")}


def open_session(source: ModelFile, threads: int, spinning: str) -> onnxruntime.InferenceSession:
    """Open a session whose operators use so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in source.weights.values()]
    options.add_external_initializers(list(source.weights), values)
    return onnxruntime.InferenceSession(source.graph, options, providers=["CPUExecutionProvider"])


def keep_busy() -> None:
    """Compute until killed."""
    while True:
        pass


def measure(
    sessions: dict[str, onnxruntime.InferenceSession], rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Return wall and CPU milliseconds of each round, by way."""
    window = np.random.default_rng(0).standard_normal((1, WINDOW), np.float32)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            time.sleep(0.02)  # until the last one's threads have stopped spinning
            for _ in range(3):
                session.run(None, {"windows": window})
            start, cpu = time.perf_counter(), time.process_time()
            for _ in range(10):
                session.run(None, {"windows": window})
            found[name][0].append(100 * (time.perf_counter() - start))
            found[name][1].append(100 * (time.process_time() - cpu))
    return found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    source = read_model_file(options.checkpoint.read_bytes())
    sessions = {name: open_session(source, *way) for name, way in WAYS.items()}
    print("| machine | threads | ms, median | quartiles | CPU ms |")
    print("| --- | --- | ---: | --- | ---: |")
    for machine in ("idle", "one CPU busy"):
        busy = multiprocessing.get_context("spawn").Process(target=keep_busy, daemon=True)
        if machine != "idle":
            busy.start()
            time.sleep(0.5)
        for name, (wall, cpu) in measure(sessions, options.rounds).items():
            low, middle, high = statistics.quantiles(wall, n=4)
            print(
                f"| {machine} | {name} | {middle:.2f} | {low:.2f} - {high:.2f} "
                f"| {statistics.median(cpu):.2f} |"
            )
        if machine != "idle":
            busy.kill()


if __name__ == "__main__":
    main()
