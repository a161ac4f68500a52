"""``hearaudiomlp info``: what a model file consists of."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hearaudiomlp.cli.options import (
    MODEL_HELP,
    add_encoder_argument,
    add_running_arguments,
    load,
    print_line,
)

if TYPE_CHECKING:  # imported when the command runs
    from collections import Counter

    from hearaudiomlp import Model
    from hearaudiomlp.weights.locate import Weights

NAME = "info"
HELP = "Show what a model file consists of."

_KINDS = {
    "bundled": "bundled with this installation",
    "published": "the published checkpoint, pulled",
    "file": "a file of your own",
}

_INTERFACES = {
    "windows": "windows",
    "pipeline": "pipeline: whole sounds in, embeddings out; the rest describes the encoder inside, "
    "which this package runs",
}


def _shape(name: str, shape: tuple[int | str, ...]) -> str:
    return f"{name} [{', '.join(str(size) for size in shape)}]"


def _operators(operators: "Counter[str]") -> str:
    counts = sorted(operators.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in counts)


def _describe(weights: "Weights", model: "Model") -> dict[str, str]:
    """Return the facts about a model loaded from ``weights``, by topic."""
    outline, card = model.outline(), model.metadata
    macs, encoder = int(card["macs_per_window"]), int(card["encoder_macs_per_window"])
    step = 1000 * int(card["hop"]) // model.sample_rate
    stored, computed = (card.get(key, "float32") for key in ("precision", "arithmetic"))
    return {
        "model": f"{model.name} ({weights.path}, {Path(weights.path).stat().st_size:,} bytes)",
        "weights": _KINDS[weights.kind],
        "parameters": f"{int(card['parameters']):,}",
        "precision": "float32"
        if stored == "float32"
        else f"stored as {stored}, computed as {computed}",
        "interface": _INTERFACES[card.get("interface", "windows")],
        "per second": f"{macs:,} multiply-accumulates ({2e-9 * macs:.3f} GFLOP): "
        f"front end {macs - encoder:,}, encoder {encoder:,}",
        "audio": f"{model.sample_rate} Hz, mono",
        "timestamps": f"{model.timestamp_embedding_size} values every {step} ms",
        "scene": f"{model.scene_embedding_size} values",
        "keywords": " ".join(model.labels) or "none",
        "input": "; ".join(_shape(*item) for item in outline.inputs.items()),
        "output": "; ".join(_shape(*item) for item in outline.outputs.items()),
        "operators": f"{_operators(outline.operators)} (opset {outline.opset})",
        "checkpoint": f"SHA-256 {card['checkpoint_sha256']}",
        "source": card["source"],
        "licence": card["licence"],
        "graph by": f"hearaudiomlp {card['hearaudiomlp_version']}",
        "runs on": f"{model.device} ({', '.join(model.providers)}), "
        f"{model.threads} thread{'s' if model.threads > 1 else ''}"
        + (f", blocks by the {model.kernels} kernels" if model.kernels else ""),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_running_arguments(parser)
    parser.add_argument("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    add_encoder_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print one fact a line."""
    from hearaudiomlp.weights.locate import locate

    weights = locate(options.model, options.encoder)
    for name, fact in _describe(weights, load(options)).items():
        print_line(f"{name:12s} {fact}")
    return 0
