"""``hearaudiomlp info``: what a model file consists of."""

import argparse

from hearaudiomlp.cli.options import (
    MODEL_HELP,
    add_encoder_argument,
    add_running_arguments,
    load,
    print_line,
)

NAME = "info"
HELP = "Tell what a model file consists of."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_running_arguments(parser)
    parser.add_argument("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    add_encoder_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print one fact a line."""
    from hearaudiomlp.cli._info import describe
    from hearaudiomlp.weights.locate import locate

    weights = locate(options.model, options.encoder)
    for name, fact in describe(weights, load(options)).items():
        print_line(f"{name:12s} {fact}")
    return 0
