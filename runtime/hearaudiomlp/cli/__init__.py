"""The subcommands of ``hearaudiomlp``, one module each.

Each module has ``NAME``, ``HELP``, ``add_arguments(parser)`` and ``run(options)``, which returns
the exit code, and imports what it computes with inside ``run``, so that ``--help`` stays quick.
"""

from argparse import ArgumentParser, Namespace
from typing import Protocol

from hearaudiomlp.cli import doctor, embed, info, keywords, listen, plot, pull
from hearaudiomlp.cli import map as map_command


class Command(Protocol):
    """What a module of this package offers."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """The word on the command line."""

    @property
    def HELP(self) -> str:  # noqa: N802
        """One sentence for ``--help``."""

    def add_arguments(self, parser: ArgumentParser, /) -> None:
        """Declare the command's arguments."""

    def run(self, options: Namespace, /) -> int:
        """Do what the command is for; return the exit code."""


COMMANDS: tuple[Command, ...] = (
    embed,
    keywords,
    listen,
    plot,
    map_command,
    info,
    pull,
    doctor,
)
