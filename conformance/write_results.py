"""Write the tables of largest errors, RESULTS.md, from the figures in results.jsonl.

    python -m conformance.write_results [--add FIGURES.json ...]

``run_engine --results`` writes such figures; runners in other languages write the same JSON.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from conformance.arguments import run_main
from conformance.cases import OUTPUTS
from conformance.results import RESULTS, add_results, read_results
from hearaudiomlp.storage.atomic import replacing

HERE = Path(__file__).resolve().parent
_HEAD = """\
# One file, everywhere

Largest error of each output, relative to max(1, largest expected value) of its case, and the cases
within tolerance; aarch64 is a Cortex-A72 emulated by QEMU. Written by `write_results.py` from
`results.jsonl`.
"""
_SETS = {
    "reference": "The published system's reference arrays, published weights: 76 inputs, and for "
    "kwmlp one more case, the 40 keyword windows. Tolerances are those of its `compare.py`.",
    "own-reference": "The same inputs, this project's own weights. The expected "
    "outputs were computed by `compute_reference.py` with PyTorch; the tolerances are the same.",
    "kit": "The kit in this folder, and its tolerances.",
}


def _row(figures: dict[str, Any]) -> str:
    errors = []
    for output in OUTPUTS:
        one = figures["largest"].get(output)
        errors.append("" if one is None else f"{one['relative']:.1e}" if one["relative"] else "0")
    cases = f"{figures['passed']} of {figures['cases']}"
    cells = [figures["engine"], figures["platform"], figures["precision"], cases, *errors]
    return f"| {' | '.join(cells)} |"


def table(results: list[dict[str, Any]]) -> str:
    """Return the page, with a table for each set of inputs and each model."""
    lines = [_HEAD]
    for name, about in _SETS.items():
        for model in sorted({one["model"] for one in results if one["set"] == name}):
            lines += [f"## {model}, {name}\n", f"{about}\n"]
            heads = ["engine", "platform", "weights", "within", *OUTPUTS]
            lines.append("| " + " | ".join(head.replace("_", " ") for head in heads) + " |")
            lines.append("| --- | --- | --- | ---: |" + " ---: |" * len(OUTPUTS))
            rows = [one for one in results if (one["set"], one["model"]) == (name, model)]
            lines += [*map(_row, rows), ""]
    return "\n".join(lines)


def write(options: argparse.Namespace) -> int:
    """Add figures if there are any, and write the page; return the exit code."""
    if options.add:
        add_results((json.loads(path.read_text()) for path in options.add), options.results)
    results = read_results(options.results)
    if not results:
        raise ValueError(f"no figures in {options.results}: run_engine --results writes them")
    with replacing(options.output) as file:
        file.write(table(results).encode())
    print(f"{options.output}: {len(results)} runs")
    return 0


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "write_results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="?", type=Path, default=RESULTS, metavar="FILE.jsonl")
    parser.add_argument("--add", nargs="+", type=Path, metavar="FIGURES.json")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "RESULTS.md")
    return run_main(parser, write)


if __name__ == "__main__":
    sys.exit(main())
