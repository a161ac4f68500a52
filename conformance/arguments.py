"""What the scripts share: model files as arguments, and sentences where something is wrong."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from hearaudiomlp import HearAudioMLPError
from hearaudiomlp.weights.metadata import interface_of
from hearaudiomlp.weights.onnx_file import summarize


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the metadata of a whole-pipeline file.

    Raises:
        OSError: it can't be read.
        ValueError: it isn't one.
    """
    try:
        metadata = summarize(path.read_bytes(), operators=False).metadata
    except HearAudioMLPError as problem:
        raise ValueError(f"{path}: {problem}") from None
    if "model" not in metadata or interface_of(metadata) != "pipeline":
        raise ValueError(f"{path} wasn't exported with hearaudiomlp-export --interface pipeline")
    return metadata


def run_main(parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], int]) -> int:
    """Parse the command line and run a script; return its exit code.

    A missing file or package, or a wrong one, becomes a sentence and the exit code 2.
    """
    options = parser.parse_args()
    try:
        return main(options)
    except ImportError as problem:
        reason = f"{problem}: README.md says what to install"
    except OSError as problem:
        reason = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
    except (ValueError, HearAudioMLPError) as problem:
        reason = str(problem)
    print(f"{parser.prog}: {reason}", file=sys.stderr)
    return 2
