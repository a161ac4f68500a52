"""Where the repository and the shared files are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("HEARAUDIOMLP_SHARED") or ROOT.parent / "shared").resolve()
