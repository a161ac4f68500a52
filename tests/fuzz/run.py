"""Fuzz one target with atheris: ``python tests/fuzz/run.py TARGET [options of libFuzzer]``.

It starts from the seeds and from what is in ``tests/fuzz/corpus/TARGET``. Inputs that reach new
code are written to the first folder that is named among the options.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hearaudiomlp", "pickletools", "zipfile", "json"]):
    sys.path.insert(0, str(Path(__file__).parent))
    import targets


def main() -> None:
    """Fuzz until an option of libFuzzer says stop, or something is found."""
    name, *options = sys.argv[1:]
    warnings.simplefilter("ignore")
    start = Path(tempfile.mkdtemp(prefix="hearaudiomlp-seeds-", dir=os.environ.get("FUZZ_SCRATCH")))
    for number, data in enumerate(targets.seeds()[name]):
        (start / f"seed{number}").write_bytes(data)
    kept = Path(__file__).with_name("corpus") / name
    folders = [str(start), *([str(kept)] if kept.is_dir() else [])]
    atheris.Setup([sys.argv[0], *options, *folders], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
