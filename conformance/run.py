#!/usr/bin/env python3
"""Run a whole-pipeline file in an engine, on the kit or on the published system's reference arrays.

Prints each case and the largest error of each output; exits with 1 if a case is out of tolerance.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from engines import ENGINES, Run, this_platform
from kit import Case, made_for, read_kit, read_reference

from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.weights.onnx_file import summarize

HERE = Path(__file__).resolve().parent


def compare(case: Case, run: Run) -> Iterator[tuple[str, float, float]]:
    """Give name, largest absolute error and largest expected value of each output of a case.

    The error of a wrong shape or type, and of NaN, is infinite.
    """
    found = run(case.audio)
    for output, expected in case.expected.items():
        got = found[output]
        if got.shape != expected.shape or got.dtype != np.float32:
            print(f"{case.name}: {output} is {got.dtype} {got.shape}, not {expected.shape}")
            yield output, float("inf"), 1.0
            continue
        error = np.abs(got.astype(np.float64) - expected).max(initial=0.0)
        size = np.abs(expected).max(initial=0.0)
        yield output, float(np.nan_to_num(error, nan=np.inf)), float(size)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a file exported with --interface pipeline")
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime")
    parser.add_argument("--program", type=Path, help="for the engine c: the compiled example")
    parser.add_argument("--kit", type=Path, default=HERE / "kit", metavar="FOLDER")
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="use these arrays instead of the kit"
    )
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--json", type=Path, help="write the figures here, for table.py")
    options = parser.parse_args()

    card = summarize(options.model.read_bytes()).metadata
    name, precision = card["model"], card.get("precision", "float32")
    cases_of = "reference" if options.reference else "kit"
    if options.reference:
        sha256 = made_for(options.reference, name)
        if sha256 is not None:
            cases_of = "own-reference"
            if sha256 != card["checkpoint_sha256"]:
                parser.error(f"{options.reference} is of other weights than {options.model}")
        cases = read_reference(options.reference, name)
    else:
        cases = read_kit(options.kit, name, precision, card["checkpoint_sha256"])
    engine, run = ENGINES[options.engine](options.model, options.program)

    total = passed = 0
    largest: dict[str, dict[str, object]] = {}
    for case in cases:
        if options.only not in case.name:
            continue
        worst, fits = [], True
        for output, error, size in compare(case, run):
            relative = error / max(1.0, size)
            if relative >= float(str(largest.get(output, {}).get("relative", -1.0))):
                largest[output] = {"relative": relative, "absolute": error, "case": case.name}
            fits &= error <= case.tolerances[output]
            worst.append(f"{error:.1e} (<= {case.tolerances[output]:.1e})")
        print(f"{case.name:24s} {'  '.join(worst)}{'' if fits else '   FAIL'}", flush=True)
        total, passed = total + 1, passed + fits
    for output, one in largest.items():
        print(f"{output}: {one['relative']:.1e} of max(1, largest), in {one['case']}")
    print(f"{engine}, {name}: {passed} of {total} cases within tolerance")
    if options.json:
        figures = {
            "set": cases_of,
            "model": name,
            "precision": precision,
            "engine": engine,
            "platform": this_platform(),
            "cases": total,
            "passed": passed,
            "largest": largest,
        }
        with replacing(options.json) as file:
            file.write((json.dumps(figures, indent=1) + "\n").encode())
    return int(passed < total or not total)


if __name__ == "__main__":
    sys.exit(main())
