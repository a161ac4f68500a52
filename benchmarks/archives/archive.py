"""An archive of mixed files, broken ones among them: time and peak memory, plain and on a cluster.

    python benchmarks/archives/archive.py CHECKPOINT [--files 500 5000 | --folder RECORDINGS]

The recordings are those of ``tests/archives.py``: 0 to 3 s, eight rates, fourteen formats, one in
twenty broken. Each run is the command in a process of its own, first plain, then with ``--cluster``
on as many worker processes as there are CPUs. CPU time is that of the process and its children.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
from archives import make_archive
from hearaudiomlp.inference.thread_pool import usable_cpus


def measure(command: list[str]) -> tuple[float, float, float, int]:
    """Run a command; return wall seconds, CPU seconds, peak memory in MB, and its exit code."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, process.returncode


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--files", nargs="+", type=int, default=[500, 5000])
    parser.add_argument("--folder", type=Path, help="recordings that are there, in their place")
    parser.add_argument("--format", default="parquet")
    parser.add_argument("--kind", default="scene")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print("| files | how | seconds | CPU seconds | largest process, MB | exit code |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for files in [0] if options.folder else options.files:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            recordings = options.folder or folder / "in"
            if not options.folder:
                make_archive(recordings, files)
            base = [sys.executable, "-m", "hearaudiomlp", "embed", str(recordings)]
            base += ["--model", options.checkpoint, "--kind", options.kind, "--no-resume"]
            base += ["-o", str(folder / f"out.{options.format}"), "--device", "cpu"]
            workers = ["--cluster", "--workers", str(usable_cpus())]
            for _ in range(options.rounds):
                for how, more in (("plain", []), (f"{usable_cpus()} workers", workers)):
                    wall, cpu, memory, code = measure([*base, *more])
                    figures = f"{wall:.1f} | {cpu:.1f} | {memory:.0f} | {code}"
                    print(f"| {files or recordings} | {how} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
