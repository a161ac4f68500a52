"""How windows are spread over threads: blocks on threads of ours, or rows on ONNX Runtime's.

    python benchmarks/speed/schedule.py CHECKPOINT

61 windows (a minute) by two threads that share a session, in blocks of several sizes, and by one
session with two threads inside; once alone, once next to a process that keeps one CPU busy. Then
sounds of two seconds, three windows each: one call a sound, and all in one call, which packs them
into full blocks. All ways take turns.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

import hearaudiomlp
from hearaudiomlp.inference.thread_pool import ThreadPool, split
from hearaudiomlp.spec import WINDOW
from hearaudiomlp.weights.model_file import ModelFile, read_model_file

BLOCKS = (1, 2, 4, 8, 16, 32)
WINDOWS = 61
SOUNDS = 40

Way = Callable[[], object]


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


def ways_of_a_minute(checkpoint: Path) -> dict[str, Way]:
    """Return the ways to compute the windows of a minute, by name."""
    source = read_model_file(checkpoint.read_bytes())
    windows = np.random.default_rng(0).standard_normal((WINDOWS, WINDOW), np.float32)
    shared, pool = open_session(source, 1, "0"), ThreadPool(2)

    def blocks(size: int) -> Way:
        edges = split(WINDOWS, 2, size)

        def compute(number: int) -> None:
            start, stop = edges[number]
            shared.run(None, {"windows": windows[start:stop]})

        return lambda: pool.run(compute, len(edges))

    ways: dict[str, Way] = {f"two threads, blocks of {size}": blocks(size) for size in BLOCKS}
    for name, spinning in (("spinning", "1"), ("sleeping", "0")):
        inside = open_session(source, 2, spinning)
        ways[f"two threads inside, {name}"] = lambda run=inside.run: run(None, {"windows": windows})
    return ways


def ways_of_sounds(checkpoint: Path) -> dict[str, Way]:
    """Return the ways to compute many sounds of two seconds, by name."""
    model = hearaudiomlp.load_model(checkpoint, device="cpu", threads=2)
    sounds = 0.1 * np.random.default_rng(0).standard_normal((SOUNDS, 2 * WINDOW))
    audio = sounds.astype(np.float32)
    return {
        "one call a sound": lambda: [model.embeddings(sound[None]) for sound in audio],
        "packed into blocks": lambda: model.embeddings(audio),
    }


def measure(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of each round, by way."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            time.sleep(0.02)  # until the last one's threads have stopped spinning
            start = time.perf_counter()
            way()
            found[name].append(1e3 * (time.perf_counter() - start))
    return found


def show(found: dict[str, list[float]], machine: str) -> None:
    """Print rows of the table."""
    best = min(statistics.median(times) for times in found.values())
    for name, times in found.items():
        low, middle, high = statistics.quantiles(times, n=4)
        print(
            f"| {machine} | {name} | {middle:.0f} | {low:.0f} - {high:.0f} | {middle / best:.2f} |"
        )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    minute, sounds = ways_of_a_minute(options.checkpoint), ways_of_sounds(options.checkpoint)
    print("| machine | way | ms, median | quartiles | times the best |")
    print("| --- | --- | ---: | --- | ---: |")
    show(measure(minute, options.rounds), "idle")
    show(measure(sounds, options.rounds), "idle")
    busy = multiprocessing.get_context("spawn").Process(target=keep_busy, daemon=True)
    busy.start()
    time.sleep(0.5)
    show(measure(minute, options.rounds), "one CPU busy")
    busy.kill()


if __name__ == "__main__":
    main()
