"""The ``hearaudiomlp`` command: it finds the subcommand, runs it, and turns errors into words."""

import argparse
import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hearaudiomlp import HearAudioMLPError, __version__
from hearaudiomlp._text import printable
from hearaudiomlp.cli import COMMANDS
from hearaudiomlp.cli.options import print_error


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are safe to print; its subparsers are of the same class."""

    def error(self, message: str) -> NoReturn:
        """Print usage and error, and exit with 2."""
        super().error(printable(message))


def _parser(first: str | None) -> argparse.ArgumentParser:
    """Declare the subcommand that ``first`` names: each takes a millisecond and more.

    If it names none, there is an error or a list of them to print: no arguments are declared.
    """
    parser = _Parser(
        "hearaudiomlp", description="Audio embeddings from two tiny gated-MLP encoders."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    named = [one for one in COMMANDS if first == one.NAME]
    for command in named or COMMANDS:
        added = subparsers.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        if named:
            command.add_arguments(added)
            added.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    0: all done; 1: something failed (it was said what); 2: wrong usage; 130: interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(next(iter(arguments), None)).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # names of files may be no text at all
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        print_error("interrupted; nothing was written")
        return 130
    except HearAudioMLPError as problem:
        print_error(problem)
        return 1
    except OSError as problem:
        print_error(problem)
        return 1
    return status


def process() -> NoReturn:
    """Be a process that runs the command and ends."""
    # numpy is about to be imported, and does no algebra here but for maps. Its BLAS would start a
    # thread for each core, and these spin for the first tenth of a second.
    if sys.argv[1:2] != ["map"]:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    status = main()
    gc.freeze()  # or Python looks once more through all that there is for garbage
    sys.exit(status)


if __name__ == "__main__":
    process()
