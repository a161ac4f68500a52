"""``hearaudiomlp info``: what a model file consists of."""

import argparse

from hearaudiomlp.commands.common import add_running_arguments, load, tell

NAME = "info"
HELP = "Tell what a model file consists of."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_running_arguments(parser)
    parser.add_argument("model", metavar="MODEL", help="an exported .onnx or a published .pth")


def run(options: argparse.Namespace) -> int:
    """Print one fact a line."""
    from hearaudiomlp.info import describe

    for name, fact in describe(options.model, load(options)).items():
        tell(f"{name:12s} {fact}")
    return 0
