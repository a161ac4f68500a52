"""``python -m hearaudiomlp``: the command, where its script isn't on the path."""

import os

try:
    from hearaudiomlp.cli import process
except KeyboardInterrupt:  # signals aren't handled yet
    os._exit(130)

process()
