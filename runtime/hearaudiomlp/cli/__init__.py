"""The subcommands of ``hearaudiomlp``, one module each.

Each module has ``NAME``, ``HELP``, ``add_arguments(parser)`` and ``run(options)``, which returns
the exit code, and imports what it computes with inside ``run``, so that ``--help`` stays quick.

Signals are handled before anything else is imported.
"""

import os

TYPE_CHECKING = False  # as in hearaudiomlp/__init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


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


def process() -> "NoReturn":
    """Run the command and exit."""
    try:
        from hearaudiomlp.cli import interrupts

        interrupts.install()
    except KeyboardInterrupt:
        os._exit(130)
    from hearaudiomlp.cli import command

    command.process()
