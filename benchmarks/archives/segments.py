"""``hearaudiomlp embed --segment``: peak memory on one hour and ten, and a run that is killed.

    python benchmarks/archives/segments.py [--hours 1 10] [--files 12] [--model CHECKPOINT]

Recordings are noise in FLAC. The killed run embeds a folder of them, is killed (SIGKILL) several
times in the middle of a recording, and resumed until it is done; its table has to equal that of
a run that nobody disturbed, byte by byte.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
CUT = ("--segment", "10")


def write_noise(path: Path, minutes: int, seed: int) -> None:
    """Write a FLAC of noise, minute by minute; a long one repeats itself."""
    rng = np.random.default_rng(seed)
    minute = 0.1 * rng.standard_normal(60 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        for number in range(minutes):
            file.write(np.roll(minute, 997 * number))


def command(source: Path, out: Path, model: str | None) -> list[str]:
    """Return the command that embeds segments of a recording or folder."""
    words = [sys.executable, "-m", "hearaudiomlp", "embed", str(source), "-o", str(out), *CUT]
    return [*words, *(["--model", model] if model else [])]


def run(words: list[str]) -> tuple[float, float, float]:
    """Run a command; return wall seconds, CPU seconds and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - start, cpu, usage.ru_maxrss / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--files", type=int, default=12, help="of three minutes, for the kills")
    parser.add_argument("--model")
    options = parser.parse_args()
    print("| hours | rows | seconds | CPU seconds | peak memory, MB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for hours in options.hours:
            recording = folder / "long.flac"
            write_noise(recording, 60 * hours, 0)
            wall, cpu, memory = run(command(recording, folder / "long.parquet", options.model))
            print(
                f"| {hours} | {360 * hours:,} | {wall:.0f} | {cpu:.0f} | {memory:.0f} |", flush=True
            )
            recording.unlink()
        kill(folder, options.files, options.model)


def kill(folder: Path, files: int, model: str | None) -> None:
    """Kill and resume a run, and compare its table with that of an undisturbed one."""
    recordings = folder / "recordings"
    recordings.mkdir()
    for number in range(files):
        write_noise(recordings / f"{number:02}.flac", 3, number)
    outs = [folder / "whole.npz", folder / "killed.npz"]
    shards = ["--shard-files", "2"]
    wall, _, _ = run([*command(recordings, outs[0], model), *shards])
    kills, patience = 0, 0.45 * wall
    while True:
        process = subprocess.Popen(
            [*command(recordings, outs[1], model), *shards], stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=patience)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills, patience = kills + 1, 1.1 * patience  # so that each run gets further
    digests = [hashlib.sha256(out.read_bytes()).hexdigest() for out in outs]
    equal = "the same bytes" if digests[0] == digests[1] else "OTHER BYTES"
    print(f"\n{files} recordings, killed {kills} times and resumed: {equal} ({digests[0][:12]})")


if __name__ == "__main__":
    main()
