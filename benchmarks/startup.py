"""From the start of a process to its first embedding: the runtime next to PyTorch.

    python benchmarks/startup.py CHECKPOINT

Both start in the same environment, in turn; each loads a checkpoint of kwmlp and embeds one second.
Needs ``[cpu,export]``.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

OURS = """
import numpy, hearaudiomlp
model = hearaudiomlp.load_model({path!r})
model.embeddings(numpy.zeros((1, 16000), numpy.float32))
"""
PYTORCH = """
import sys
sys.path.insert(0, {here!r})
import torch
from baseline import PublishedSystem, torch_pipeline
run = torch_pipeline(PublishedSystem({path!r}), 1)
run(torch.zeros(1, 16000).numpy())
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    places = {"path": str(options.checkpoint.resolve()), "here": str(Path(__file__).parent)}
    codes = {"hearaudiomlp": OURS.format(**places), "PyTorch": PYTORCH.format(**places)}
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    memory = {}
    for _ in range(options.rounds):
        for name, code in codes.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - start)
            # The largest of all children so far: ours comes first, and PyTorch's is larger.
            memory.setdefault(name, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)
    base = statistics.median(seconds["hearaudiomlp"])
    print("| | seconds, median | quartiles | times ours | peak memory, MB |")
    print("| --- | ---: | --- | ---: | ---: |")
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(
            f"| {name} | {middle:.3f} | {low:.3f} - {high:.3f} | {middle / base:.1f} "
            f"| {memory[name]:.0f} |"
        )


if __name__ == "__main__":
    main()
