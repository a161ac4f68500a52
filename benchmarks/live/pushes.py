"""Latency of each push into ``Stream``, and what it keeps in memory.

    python benchmarks/live/pushes.py [CHECKPOINT ...] [--minutes 2]

For pieces from one sample to ten minutes: the median push (most complete no window), the slowest,
and by how much the process has grown since the first ten seconds; one thread, noise as sound.
"""

import argparse
import resource
import time

import numpy as np

import hearaudiomlp
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.stream import Stream

SIZES = (1, 160, 1600, 16_000, 600 * SAMPLE_RATE)


def _rss() -> float:
    """Return the largest memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(stream: Stream, size: int, samples: int) -> tuple[np.ndarray, float]:
    """Push ``samples`` samples in pieces; return the milliseconds of each push and the growth."""
    rng = np.random.default_rng(0)
    piece = (0.1 * rng.standard_normal(size)).astype(np.float32)
    stream.reset()
    # Written to beforehand: memory that these figures take is not the stream's.
    times = np.full(max(1, samples // size), -1.0)
    settled: float | None = None
    for number in range(len(times)):
        start = time.perf_counter()
        stream.push(piece)
        times[number] = 1e3 * (time.perf_counter() - start)
        if settled is None and number * size >= 10 * SAMPLE_RATE:
            settled = _rss()
    stream.flush()
    return times, _rss() - (settled if settled is not None else _rss())


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", default=[None])
    parser.add_argument("--minutes", type=float, default=2.0, help="of sound for each size")
    options = parser.parse_args()
    print("| model | samples a push | pushes | median ms | slowest ms | memory grown, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for checkpoint in options.checkpoints:
        for name in ("kwmlp", "audiomae") if checkpoint is None else (None,):
            model = hearaudiomlp.load_model(checkpoint, name=name, device="cpu", threads=1)
            stream = Stream(model)
            for size in SIZES:
                samples = int(60 * SAMPLE_RATE * options.minutes)
                times, grown = measure(stream, size, samples)
                print(
                    f"| {model.name} | {size:,} | {len(times):,} | {np.median(times):.4f} "
                    f"| {max(times):.1f} | {grown:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
