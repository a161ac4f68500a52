"""Run a whole-pipeline file in an engine, on the kit or on the published system's reference arrays.

    python -m conformance.run_engine MODEL.onnx --engine openvino

Prints each case and the largest error of each output; exits with 1 if a case is out of tolerance.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from conformance.arguments import read_metadata, run_main
from conformance.cases import Case, made_for, read_kit, read_reference
from conformance.engines import ENGINES, Run, this_platform
from conformance.results import add_results

HERE = Path(__file__).resolve().parent


def compare(case: Case, run: Run) -> Iterator[tuple[str, float, float]]:
    """Yield name, largest absolute error and largest expected value of each output of a case.

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


def _cases(
    options: argparse.Namespace, name: str, precision: str, sha256: str
) -> tuple[str, Iterator[Case]]:
    """Return the name of the set of cases that the options ask for, and the cases."""
    if not options.reference:
        return "kit", read_kit(options.kit, name, precision, sha256)
    own = made_for(options.reference, name)
    if own not in (None, sha256):
        raise ValueError(f"{options.reference} is of other weights than {options.model}")
    return "own-reference" if own else "reference", read_reference(options.reference, name)


def run_cases(options: argparse.Namespace) -> int:
    """Run all cases, print and keep the figures; return the exit code."""
    card = read_metadata(options.model)
    name, precision = card["model"], card.get("precision", "float32")
    cases_of, cases = _cases(options, name, precision, card["checkpoint_sha256"])
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
    if not total:
        raise ValueError(f"no case has {options.only!r} in its name")
    for output, one in largest.items():
        print(f"{output}: {one['relative']:.1e} of max(1, largest), in {one['case']}")
    print(f"{engine}, {name}: {passed} of {total} cases within tolerance")
    if options.results:
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
        add_results([figures], options.results)
    return int(passed < total)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "run_engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a file exported with --interface pipeline")
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime")
    parser.add_argument("--program", type=Path, help="for the engine c: the compiled example")
    parser.add_argument("--kit", type=Path, default=HERE / "kit", metavar="FOLDER")
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="use these arrays instead of the kit"
    )
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument(
        "--results", type=Path, metavar="FILE.jsonl", help="add the figures to this file"
    )
    return run_main(parser, run_cases)


if __name__ == "__main__":
    sys.exit(main())
