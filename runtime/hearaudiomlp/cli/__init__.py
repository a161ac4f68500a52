"""The subcommands of ``hearaudiomlp``, one module each.

Each module has ``NAME``, ``HELP``, ``add_arguments(parser)`` and ``run(options)``, which returns
the exit code, and imports what it computes with inside ``run``, so that ``--help`` stays quick.
"""

from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence


class Command(Protocol):
    """What a module of this package offers."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """The word on the command line."""

    @property
    def HELP(self) -> str:  # noqa: N802
        """One sentence for ``--help``."""

    def add_arguments(self, parser: "ArgumentParser", /) -> None:
        """Declare the command's arguments."""

    def run(self, options: "Namespace", /) -> int:
        """Do what the command is for; return the exit code."""


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run the command; return its exit code.

    Examples:
        >>> from hearaudiomlp.cli import main
        >>> main(["embed", "recordings/a/one.wav", "-o", "one.npz"])
        recordings/a/one.wav: 0.50 s, 50 x 64 timestamp and 1024 scene values
        one.npz: 1 file, 0.5 s, kwmlp on cpu
        0
    """
    from hearaudiomlp.cli import command

    return command.main(arguments)


def process() -> NoReturn:
    """Run the command and exit."""
    from hearaudiomlp.cli import command

    command.process()
