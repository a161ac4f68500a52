"""``python -m hearaudiomlp``: the command, where its script isn't on the path."""

from hearaudiomlp.cli import process

process()
