"""The figures of all runs, one line of JSON each, in ``results.jsonl``."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hearaudiomlp.storage.atomic import replacing

RESULTS = Path(__file__).resolve().with_name("results.jsonl")

Figures = dict[str, Any]


def _key(figures: Figures) -> tuple[str, ...]:
    """Return what a run is known by: newer versions of an engine replace older ones."""
    engine = re.sub(r" [0-9][^ ,]*", "", figures["engine"])
    return (figures["set"], figures["model"], figures["precision"], engine, figures["platform"])


def read_results(path: Path = RESULTS) -> list[Figures]:
    """Return the figures of all runs in a file; none, if it isn't there.

    Raises:
        ValueError: a line isn't the JSON of a run.
    """
    if not path.exists():
        return []
    results = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            figures = json.loads(line)
            _key(figures)
        except (ValueError, TypeError, KeyError) as problem:
            raise ValueError(
                f"{path}, line {number}: not the figures of a run ({problem})"
            ) from None
        results.append(figures)
    return results


def add_results(new: Iterable[Figures], path: Path = RESULTS) -> None:
    """Add runs to a file; they replace former runs of the same set, model, engine and platform."""
    results = {_key(figures): figures for figures in [*read_results(path), *new]}
    lines = [json.dumps(results[key]) + "\n" for key in sorted(results)]
    with replacing(path) as file:
        file.write("".join(lines).encode())
