"""``python -m hearaudiomlp``: the command, where its script isn't on the path."""

import sys

from hearaudiomlp.cli import main

sys.exit(main())
