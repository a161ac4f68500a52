"""Peak memory of ``hearaudiomlp embed`` on recordings of one minute, one hour and ten hours.

    python benchmarks/archives/memory.py CHECKPOINT

Each recording is noise, written to a temporary WAV file and embedded by the command in a process
of its own; the embeddings go to an ``.npz``. The figures are of this machine.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def write_noise(path: Path, minutes: int) -> None:
    """Write a 16-bit WAV file of noise, minute by minute."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(minutes):
            file.write(0.1 * rng.standard_normal(60 * RATE))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--minutes", nargs="+", type=int, default=[1, 60, 600])
    options = parser.parse_args()
    print(
        "| minutes | peak memory, MB | seconds | times real time |\n| ---: | ---: | ---: | ---: |"
    )
    for minutes in options.minutes:
        with tempfile.TemporaryDirectory() as folder:
            recording, out = Path(folder) / "noise.wav", Path(folder) / "out.npz"
            write_noise(recording, minutes)
            command = [sys.executable, "-m", "hearaudiomlp", "embed", str(recording)]
            start = time.perf_counter()
            subprocess.run(
                [*command, "--model", options.checkpoint, "-o", str(out)],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            seconds = time.perf_counter() - start
        # The largest of all children so far, so the recordings go from short to long.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        print(
            f"| {minutes} | {peak:.0f} | {seconds:.1f} | {60 * minutes / seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
