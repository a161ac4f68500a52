"""From the start of a process to its first embedding: the runtime next to PyTorch.

    python benchmarks/speed/startup.py CHECKPOINT

All start in the same environment, in turn; each loads kwmlp, from a checkpoint or an exported
model, embeds one second, and says how long ago it was started. One process only imports numpy and
onnxruntime, and one also runs the exported model on two windows and does nothing else: the least
that anything does which is built on them and opens this model. Needs ``[cpu,export]``, installed as
users do (an editable installation starts slower).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAY = """
import sys, time
print(time.time() - float(sys.argv[1]))
"""
OURS = """
import numpy, hearaudiomlp
model = hearaudiomlp.load_model({path!r})
model.embeddings(numpy.zeros((1, 16000), numpy.float32))
"""
FLOOR = """
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy, onnxruntime
"""
BARE = """
session = onnxruntime.InferenceSession({path!r}, providers=["CPUExecutionProvider"])
session.run(None, {{"windows": numpy.zeros((2, 16000), numpy.float32)}})
"""
PYTORCH = """
import sys
sys.path.insert(0, {here!r})
import torch
from baseline import PublishedSystem, torch_pipeline
run = torch_pipeline(PublishedSystem({path!r}), 1)
run(torch.zeros(1, 16000).numpy())
"""


def measure(codes: dict[str, str], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Run each process so often, in turn; return seconds and peak megabytes, by name."""
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    memory: dict[str, float] = {}
    for _ in range(rounds):
        for name, code in codes.items():
            command = [sys.executable, "-c", code + SAY, str(time.time())]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                printed = process.stdout.read()
                _, process.returncode, usage = os.wait4(process.pid, 0)
            if process.returncode:
                raise SystemExit(f"{name} failed")
            seconds[name].append(float(printed))
            memory[name] = max(memory.get(name, 0.0), usage.ru_maxrss / 1000)
    return seconds, memory


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    checkpoint, here = str(options.checkpoint.resolve()), str(Path(__file__).parent)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "kwmlp.onnx"
        # In a process of its own: children inherit the peak memory of this one.
        exporting = [sys.executable, "-m", "hearaudiomlp_export.cli", checkpoint, "-o", exported]
        subprocess.run(exporting, check=True, stdout=subprocess.DEVNULL)
        codes = {
            "hearaudiomlp, checkpoint": OURS.format(path=checkpoint),
            "hearaudiomlp, exported model": OURS.format(path=str(exported)),
            "import numpy, onnxruntime": FLOOR,
            "these, and run the exported model": FLOOR + BARE.format(path=str(exported)),
            "PyTorch": PYTORCH.format(path=checkpoint, here=here),
        }
        seconds, memory = measure(codes, options.rounds)
    base = statistics.median(seconds["hearaudiomlp, checkpoint"])
    print("| | seconds, median | quartiles | times the first | peak memory, MB |")
    print("| --- | ---: | --- | ---: | ---: |")
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(
            f"| {name} | {middle:.3f} | {low:.3f} - {high:.3f} | {middle / base:.2f} "
            f"| {memory[name]:.0f} |"
        )


if __name__ == "__main__":
    main()
