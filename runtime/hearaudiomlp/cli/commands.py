"""All subcommands, and the parser of their arguments."""

import argparse
from typing import Protocol

from hearaudiomlp import __version__
from hearaudiomlp.cli import doctor, embed, fit, info, keywords, listen, plot, pull, similar
from hearaudiomlp.cli import map as map_command
from hearaudiomlp.cli.options import Parser


class Command(Protocol):
    """What a module of a subcommand offers."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """The word on the command line."""

    @property
    def HELP(self) -> str:  # noqa: N802
        """One sentence for ``--help``."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the command's arguments."""

    def run(self, options: argparse.Namespace, /) -> int:
        """Do what the command is for; return the exit code."""


COMMANDS: tuple[Command, ...] = (
    embed,
    keywords,
    listen,
    fit,
    plot,
    map_command,
    similar,
    info,
    pull,
    doctor,
)
"""In the order of ``hearaudiomlp --help``."""


def make_parser(first: str | None) -> argparse.ArgumentParser:
    """Declare the subcommand that ``first`` names: each takes a millisecond and more.

    If it names none, there is an error or a list of them to print: no arguments are declared.

    Examples:
        >>> make_parser("embed").parse_args(["embed", "a.wav", "-o", "t.npz"]).output
        't.npz'
    """
    parser = Parser(
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
