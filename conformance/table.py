#!/usr/bin/env python3
"""Write the table of largest errors, from the figures that ``run.py --json`` left.

python conformance/table.py [RESULTS_FOLDER] [-o RESULTS.md]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kit import OUTPUTS

from hearaudiomlp.storage.atomic import replacing

HERE = Path(__file__).resolve().parent
_HEAD = """\
# One file, everywhere

Largest error of each output, relative to max(1, largest expected value) of its case, and the cases
within tolerance; aarch64 is a Cortex-A72 emulated by QEMU. Written by `table.py` from
`results/*.json`, which `run.py --json` left.
"""
_SETS = {
    "reference": "The published system's reference arrays, published weights: 76 inputs, and for "
    "kwmlp one more case, the 40 keyword windows. Tolerances are those of its `compare.py`.",
    "own-reference": "The same inputs, this project's own weights. What they have to give was "
    "computed by `own_reference.py`, from PyTorch; the tolerances are the same.",
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


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=HERE / "results")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    results = [json.loads(path.read_text()) for path in sorted(options.results.glob("*.json"))]
    if not results:
        parser.error(f"no figures in {options.results}: run.py --json writes them")
    with replacing(options.output) as file:
        file.write(table(results).encode())
    print(f"{options.output}: {len(results)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
