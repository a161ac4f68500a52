"""The command under the name that scripts of earlier installations import it by."""

from hearaudiomlp.cli.command import main, process

__all__ = ["main", "process"]
