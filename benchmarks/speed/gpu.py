"""kwmlp on a GPU: this package's ways to run it next to PyTorch's, and what each costs in accuracy.

    python benchmarks/speed/gpu.py CHECKPOINT [--half EXPORT] [--no-compile] [--json FILE]

Sounds are numpy arrays before and after, so that copies to and from the GPU count for everyone.
Every round runs each contender once, in turn. Errors are the largest absolute differences from
this package on the CPU, on the audio of the case. Needs ``[gpu,export]`` with a torch built for
CUDA; with an EXPORT of the checkpoint in float16 arithmetic, nothing is exported here. ``--device
cpu`` tries the script where there is no GPU; its figures mean nothing.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from baseline import Contender, Floats
from speed import CASES, quartiles, timed

import hearaudiomlp
from hearaudiomlp_export.networks.published import PublishedSystem


def ours(checkpoint: Path, **options: Any) -> Contender:
    """Return this package with some options."""
    model = hearaudiomlp.load_model(checkpoint, **options)

    def run(audio: Floats) -> tuple[Floats, Floats]:
        found = model.embeddings(audio)
        return found.timestamp_embeddings, found.scene_embeddings

    return run


def in_torch(system: PublishedSystem, device: str, *, tf32: bool) -> Contender:
    """Return the published design in PyTorch, with or without TF32."""
    system.to(device)

    def run(audio: Floats) -> tuple[Floats, Floats]:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        with torch.inference_mode():
            found = system(torch.from_numpy(audio).to(device))
            return found.timestamp_embeddings.cpu().numpy(), found.scene_embeddings.cpu().numpy()

    return run


def contenders(checkpoint: Path, half: Path, device: str, compiled: bool) -> dict[str, Contender]:
    """Return all contenders by name; ``half`` is the same model with float16 arithmetic."""
    chosen = {
        "hearaudiomlp": ours(checkpoint, device=device),
        "float16 arithmetic": ours(half, device=device),
    }
    if device != "cpu":
        graphs = {"device": device, "cuda_graphs": True}
        chosen |= {
            "CUDA graphs": ours(checkpoint, **graphs),
            "CUDA graphs, TF32": ours(checkpoint, tf32=True, **graphs),
            "CUDA graphs, float16": ours(half, **graphs),
        }
    chosen["PyTorch"] = in_torch(PublishedSystem(checkpoint), device, tf32=False)
    chosen["PyTorch, TF32"] = in_torch(PublishedSystem(checkpoint), device, tf32=True)
    for mode in ("default", "reduce-overhead") if compiled else ():
        system = PublishedSystem(checkpoint)
        system.encoder = torch.compile(system.encoder, mode=mode)  # type: ignore[assignment]
        chosen[f"torch.compile, {mode}"] = in_torch(system, device, tf32=False)
    return chosen


def assignment(checkpoint: Path, device: str) -> str:
    """Print which provider computes how many operators."""
    session = hearaudiomlp.load_model(checkpoint, device=device)._session._session
    operators: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        operators[part.ep_name] += len(part.get_nodes())
    return ", ".join(f"{name}: {count} operators" for name, count in operators.items())


def largest_error(found: tuple[Floats, Floats], expected: tuple[Floats, Floats]) -> float:
    """Return the largest absolute difference; NaN counts as infinite."""
    errors = [np.abs(a - b).max(initial=0.0) for a, b in zip(found, expected, strict=True)]
    return float(np.nan_to_num(np.max(errors), nan=np.inf))


def run_case(
    case: str, chosen: dict[str, Contender], expected: Callable[[Floats], tuple[Floats, Floats]]
) -> dict[str, dict[str, Any]]:
    """Measure one case; return seconds of each round and the error, by contender."""
    sounds, samples, rounds = CASES[case]
    audio = (0.1 * np.random.default_rng(0).standard_normal((sounds, samples))).astype(np.float32)
    wanted = expected(audio)
    results: dict[str, dict[str, Any]] = {}
    for name, contender in chosen.items():
        for _ in range(3):  # the first runs ask for memory, compile, and record
            found = contender(audio)
        results[name] = {"error": largest_error(found, wanted), "seconds": []}
    for _ in range(max(rounds, 5)):
        for name, contender in chosen.items():
            seconds = timed(lambda run=contender: run(audio))
            results[name]["seconds"].append(seconds)
    return results


def table(case: str, results: dict[str, dict[str, Any]]) -> str:
    """Return the case's Markdown table."""
    base = statistics.median(results["hearaudiomlp"]["seconds"])
    lines = [
        f"\n**{case}**\n",
        "| | ms, median | quartiles | times the first | largest error |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    for name, one in results.items():
        low, middle, high = (1e3 * value for value in quartiles(one["seconds"]))
        lines.append(
            f"| {name} | {middle:.2f} | {low:.2f} - {high:.2f} | {middle / 1e3 / base:.2f} "
            f"| {one['error']:.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of kwmlp")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a trial")
    parser.add_argument("--half", type=Path, help="its export in float16 arithmetic")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error("torch sees no GPU (or isn't built for CUDA); --device cpu tries the script")
    where = "a CPU" if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    print(f"{where}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__}")
    print(assignment(options.checkpoint, options.device))
    with tempfile.TemporaryDirectory() as folder:
        half = options.half or Path(folder) / "half.onnx"
        if not options.half:
            from hearaudiomlp_export.export import export  # needs librosa, to compare with

            if not export(str(options.checkpoint), half, arithmetic="float16"):
                raise SystemExit("the float16 export isn't verified")
        chosen = contenders(options.checkpoint, half, options.device, not options.no_compile)
        results = {}
        for case in options.cases:
            results[case] = run_case(case, chosen, ours(options.checkpoint, device="cpu"))
            print(table(case, results[case]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"device": where, **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
