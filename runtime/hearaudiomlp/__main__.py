"""``python -m hearaudiomlp``: the command, where its script isn't on the path."""

from hearaudiomlp.cli.main import process

process()
