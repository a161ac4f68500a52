"""A folder of short files: ``hearaudiomlp embed`` next to a plain PyTorch script.

    python benchmarks/speed/folder.py CHECKPOINT [--files 2000] [--rounds 3] [--json OUT]

The files are 1 to 3 s of noise, 16-bit WAV at 16 kHz. Each contender is a process that decodes them
all, computes timestamp and scene embeddings, and writes them to one new file: the command as users
give it, and ``plain.py``, which keeps everything in memory, with one thread and with all. They are
timed from start to end, in random order, round by round.

The graph alone, on as many windows, is what no decoding, pooling and writing could beat. With a
thread beside it that does no more than soundfile.read, and numpy.savez behind it, it shows what the
simplest way of reading and writing costs; one that reads or writes faster than those two can beat
that.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from speed import ALONE, graph_alone, timed

import hearaudiomlp
from hearaudiomlp.inference.thread_pool import usable_cpus
from hearaudiomlp.signal.windows import count_timestamps, count_windows
from hearaudiomlp.spec import ENCODERS

OURS = "hearaudiomlp embed"
BARE = "its graph, reading, writing"

PLAIN = Path(__file__).parent / "plain.py"

SAMPLES = 15_680
"""Samples that make one window."""


def make_files(folder: Path, count: int) -> list[Path]:
    """Write the files; return their paths."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:05}.wav" for index in range(count)]
    for path in paths:
        samples = 0.1 * rng.standard_normal(rng.integers(16_000, 48_000))
        soundfile.write(path, samples, 16_000)
    return paths


def run(*command: str | Path) -> None:
    """Run a process to its end."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def run_bare(paths: list[Path], alone: Callable[[], None], frames: int, out: Path) -> None:
    """Read, compute and write as much in the simplest way, whatever belongs to what."""

    def read() -> None:
        for path in paths:
            soundfile.read(path, dtype="float32")

    reader = threading.Thread(target=read)
    reader.start()
    alone()
    reader.join()
    scenes = np.ones((len(paths), ENCODERS["kwmlp"].scene_embedding_size), np.float32)
    size = ENCODERS["kwmlp"].timestamp_embedding_size
    np.savez(out, scene_embeddings=scenes, frames=np.ones((frames, size), np.float32))


def check(ours: Path, plain: Path) -> None:
    """Check that both files hold the same."""
    with np.load(ours) as found, np.load(plain) as expected:
        for name, other in (
            ("scene_embeddings", "scene_embeddings"),
            ("timestamp_embeddings", "frames"),
        ):
            np.testing.assert_allclose(
                found[name].ravel(), expected[other].ravel(), rtol=1e-3, atol=1e-3
            )


def measure(checkpoint: Path, files: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contender, round by round."""
    model = hearaudiomlp.load_model(checkpoint, device="cpu")
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "sounds", Path(name) / "out.npz"
        paths = make_files(folder, files)
        lengths = [soundfile.info(path).frames for path in paths]
        total = sum(count_windows(length) for length in lengths)
        frames = sum(count_timestamps(length) for length in lengths)
        noise = 0.1 * np.random.default_rng(1).standard_normal((total, SAMPLES))
        alone = graph_alone(model, noise.astype(np.float32))
        embed = ("-m", "hearaudiomlp", "embed", folder, "--model", checkpoint, "-o", out)
        contenders: dict[str, Callable[[], None]] = {
            OURS: partial(run, *embed),
            ALONE: alone,
            BARE: partial(run_bare, paths, alone, frames, out),
        }
        for threads in sorted({1, usable_cpus()}):
            plain = (PLAIN, checkpoint, folder, out, "--threads", str(threads))
            contenders[f"PyTorch, {threads} thread{'s'[: threads > 1]}"] = partial(run, *plain)
        seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(rounds):
            for contender, work in random.sample(list(contenders.items()), len(contenders)):
                os.sync()  # or the system would write one's results while the next is timed
                seconds[contender].append(timed(work))
                if out.exists():
                    out.replace(Path(name) / f"{contender}.npz")
                out.with_name(f"{out.name}.report.json").unlink(missing_ok=True)
        check(Path(name) / f"{OURS}.npz", Path(name) / "PyTorch, 1 thread.npz")
    return seconds


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all times to this file, in seconds")
    options = parser.parse_args()
    seconds = measure(options.checkpoint.resolve(), options.files, options.rounds)
    base = statistics.median(seconds[OURS])
    print(f"{options.files} files, {options.rounds} rounds\n")
    print("| | seconds, median | smallest - largest | files/s | times ours |")
    print("| --- | ---: | --- | ---: | ---: |")
    for contender, values in seconds.items():
        middle = statistics.median(values)
        spread = f"{min(values):.1f} - {max(values):.1f}"
        rate = options.files / middle
        print(f"| {contender} | {middle:.1f} | {spread} | {rate:.0f} | {middle / base:.2f} |")
    if options.json:
        document = {"files": options.files, "cpus": usable_cpus(), "seconds": seconds}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
