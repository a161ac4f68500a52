"""Two revisions of the package against each other, in alternation on one machine.

    python benchmarks/speed/revisions.py CHECKPOINT EXPORT OLD NEW [--new-export FILE]
        [--rounds 15] [--json OUT]

OLD and NEW are checkouts. Processes of their own import each from its ``runtime`` folder; both take
their turn in every round, in random order, so that whatever else the machine does falls on both.
EXPORT has to be a file that both can read; FILE is what NEW exports from the same checkpoint, to be
opened by NEW alone, against EXPORT by OLD. Ratios are of medians, new over old.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

ARRAYS = """
import sys, time, numpy as np, hearaudiomlp
model = hearaudiomlp.load_model(sys.argv[1], device="cpu")
rng = np.random.default_rng(0)
noise = lambda *shape: (0.1 * rng.standard_normal(shape)).astype(np.float32)
window, clip, clips, minute = noise(1, 16000), noise(1, 16000), noise(64, 16000), noise(1, 960000)
cases = {
    "one window": (lambda: model.encode(window), 40),
    "one clip of 1 s": (lambda: model.embeddings(clip), 40),
    "64 clips of 1 s": (lambda: model.embeddings(clips), 2),
    "60 s": (lambda: model.embeddings(minute), 2),
}
for work, _ in cases.values():
    work()
print(*cases, sep=";", flush=True)
for line in sys.stdin:
    work, times = cases[line.strip()]
    start = time.perf_counter()
    for _ in range(times):
        work()
    print((time.perf_counter() - start) / times, flush=True)
"""
START = """
import sys, time, numpy, hearaudiomlp
hearaudiomlp.load_model(sys.argv[1]).embeddings(numpy.zeros((1, 16000), numpy.float32))
print(time.time() - float(sys.argv[2]))
"""
PCM_S = 120
"""Seconds of raw audio that ``listen`` gets."""

Measured = Iterator[tuple[str, str, float]]
"""Case, side, and the figure of one run."""


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python imports a checkout's runtime, compiled beforehand."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "PYTHONPATH": str(checkout / "runtime"),
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "hearaudiomlp-revisions")),
    }


def shuffled(sides: dict[str, Path]) -> list[tuple[str, Path]]:
    """Return both sides in random order."""
    return random.sample(list(sides.items()), len(sides))


def measure_arrays(sides: dict[str, Path], checkpoint: Path, rounds: int) -> Measured:
    """Time arrays in two processes that stay."""
    workers = {
        side: subprocess.Popen(
            [sys.executable, "-c", ARRAYS, str(checkpoint)],
            env=environment(checkout), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for side, checkout in sides.items()
    }  # fmt: skip

    def answer(side: str) -> str:
        output = workers[side].stdout
        assert output is not None
        return output.readline().strip()

    cases, _ = (answer(side).split(";") for side in sides)  # both offer the same
    for _ in range(rounds):
        for case in cases:
            for side, _ in shuffled(sides):
                print(case, file=workers[side].stdin, flush=True)
                yield case, side, float(answer(side))
    for worker in workers.values():
        worker.communicate()


def measure_starts(
    sides: dict[str, Path], models: dict[str, dict[str, Path]], rounds: int
) -> Measured:
    """Time processes from their start to their first embedding, with a model for each side."""
    for _ in range(rounds):
        for name, model in models.items():
            for side, checkout in shuffled(sides):
                arguments = [sys.executable, "-c", START, str(model[side]), str(time.time())]
                done = subprocess.run(
                    arguments, env=environment(checkout), capture_output=True, text=True, check=True
                )
                yield f"start, {name}", side, float(done.stdout)


def run_command(checkout: Path, *arguments: str | Path, stdin: Path) -> dict[str, float]:
    """Run the command; return its seconds, its CPU seconds and its peak memory in MB."""
    start = time.perf_counter()
    with stdin.open("rb") as pcm:
        process = subprocess.Popen(
            [sys.executable, "-m", "hearaudiomlp", *map(str, arguments)],
            env=environment(checkout), stdin=pcm, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{checkout}: {arguments} failed")
    return {
        "s": time.perf_counter() - start,
        "CPU s": usage.ru_utime + usage.ru_stime,
        "MB": usage.ru_maxrss / 1000,
    }


def measure_commands(
    sides: dict[str, Path], checkpoint: Path, files: int, minutes: int, rounds: int
) -> Measured:
    """Time whole commands: a folder of short files, a long file, live audio at full speed."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder, long = Path(temporary, "sounds"), Path(temporary, "long.wav")
        folder.mkdir()
        for index in range(files):
            noise = 0.1 * rng.standard_normal(rng.integers(16_000, 48_000))
            soundfile.write(folder / f"{index:05}.wav", noise, 16_000)
        with soundfile.SoundFile(long, "w", 16_000, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(0.1 * rng.standard_normal(60 * 16_000))
        pcm = Path(temporary, "pcm")
        pcm.write_bytes((3000 * rng.standard_normal(16_000 * PCM_S)).astype("<i2").tobytes())
        model = ("--model", checkpoint)
        commands: dict[str, tuple[str | Path, ...]] = {
            f"embed, {files} files": ("embed", folder, *model),
            f"embed, {minutes} minutes": ("embed", long, *model),
            f"listen, {PCM_S} s": ("listen", "--stdin", *model),
        }
        for number in range(rounds):
            for name, command in commands.items():
                for side, checkout in shuffled(sides):
                    out = Path(temporary, f"{side}-{number}.npz")
                    output = ("-o", out) if command[0] == "embed" else ()
                    os.sync()
                    figures = run_command(checkout, *command, *output, stdin=pcm)
                    for path in Path(temporary).glob(f"{out.stem}*"):
                        path.unlink()
                    for unit, value in figures.items():
                        yield f"{name}, {unit}", side, value


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("export", type=Path)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--new-export", type=Path, help="by NEW, of the checkpoint")
    parser.add_argument("--rounds", type=int, default=15, help="of arrays and starts")
    parser.add_argument("--command-rounds", type=int, default=4)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    checkpoint, export = options.checkpoint.resolve(), options.export.resolve()
    models = {
        "checkpoint": {"old": checkpoint, "new": checkpoint},
        "OLD's export": {"old": export, "new": export},
    }
    if options.new_export:
        models["its own export"] = {"old": export, "new": options.new_export.resolve()}
    sides = {"old": options.old.resolve(), "new": options.new.resolve()}
    figures: dict[str, dict[str, list[float]]] = {}
    for measured in (
        measure_arrays(sides, checkpoint, options.rounds),
        measure_starts(sides, models, options.rounds),
        measure_commands(sides, checkpoint, options.files, options.minutes, options.command_rounds),
    ):
        for case, side, value in measured:
            figures.setdefault(case, {"old": [], "new": []})[side].append(value)
    print("| | old, median | new, median | new / old | smallest and largest of the new |")
    print("| --- | ---: | ---: | ---: | --- |")
    for case, values in figures.items():
        before, now = (statistics.median(values[side]) for side in ("old", "new"))
        spread = f"{min(values['new']):.4g} - {max(values['new']):.4g}"
        print(f"| {case} | {before:.4g} | {now:.4g} | {now / before:.3f} | {spread} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
