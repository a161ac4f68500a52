"""How heavy the runtime is: installed size, import time, start to first embedding, memory.

    python benchmarks/speed/footprint.py CHECKPOINT

makes a fresh environment with ``[cpu]`` alone and measures in new processes of it, interleaved:
medians, with the quartiles. The environment's size leaves Python and pip out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))

from environments import Environment

IMPORTS = "import time, numpy, onnxruntime; start = time.perf_counter(); "
PROCESSES = {
    "import hearaudiomlp.model, after numpy and onnxruntime (ms)": IMPORTS
    + "import hearaudiomlp.model; print(1000 * (time.perf_counter() - start))",
    "import hearaudiomlp.kwmlp, after numpy and onnxruntime (ms)": IMPORTS
    + "import hearaudiomlp.kwmlp; print(1000 * (time.perf_counter() - start))",
    "load_model (ms)": IMPORTS
    + "from hearaudiomlp import load_model; start = time.perf_counter(); load_model({path!r}); "
    "print(1000 * (time.perf_counter() - start))",
    "start of the process to first embedding of 1 s (ms)": "import sys, time, numpy, hearaudiomlp; "
    "m = hearaudiomlp.load_model({path!r}); m.scene_embeddings(numpy.zeros((1, 16000), 'f4')); "
    "print(1000 * (time.time() - float(sys.argv[1])))",
    "peak memory of that process (MB)": "import resource, numpy, hearaudiomlp; "
    "m = hearaudiomlp.load_model({path!r}); m.scene_embeddings(numpy.zeros((1, 16000), 'f4')); "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)",
}


def measure(environment: Environment, checkpoint: Path, rounds: int) -> dict[str, list[float]]:
    """Run each process ``rounds`` times, in turn."""
    figures: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for _ in range(rounds):
        for name, code in PROCESSES.items():
            shell = 'exec "$0" -c "$1" "$(date +%s.%N)"'  # the time just before Python starts
            done = subprocess.run(
                ["sh", "-c", shell, environment.python, code.format(path=str(checkpoint))],
                capture_output=True, text=True, check=True, cwd=environment.folder,
            )  # fmt: skip
            figures[name].append(float(done.stdout))
    return figures


def main() -> None:
    """Measure and print a table, and JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder) / "env", ".[cpu]")
        figures = {"installed, beyond Python and pip (MB)": [environment.size() / 1e6]}
        figures |= measure(environment, options.checkpoint.resolve(), options.rounds)
        packages = ", ".join(sorted(environment.packages()))
    print("| | median | quartiles |\n| --- | ---: | --- |")
    for name, values in figures.items():
        low, middle, high = statistics.quantiles(values * 2, n=4)
        spread = f"{low:.1f} - {high:.1f}" if len(values) > 1 else ""
        print(f"| {name} | {middle:.1f} | {spread} |")
    print(f"\npackages: {packages}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
