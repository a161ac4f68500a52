"""Files that no audio can be read from, each for a reason of its own."""

from pathlib import Path

import numpy as np
import soundfile


def bad_files(folder: Path) -> dict[str, Path]:
    names = ("missing", "empty", "text", "nan", "folder", "slow")
    paths = {name: folder / f"{name}.wav" for name in names} | {
        "headerless": folder / "headerless.raw"
    }
    paths["headerless"].write_bytes(bytes(1000))
    soundfile.write(paths["slow"], np.zeros(1000), 1)
    paths["empty"].write_bytes(b"")
    paths["text"].write_text("this is no audio")
    paths["folder"].mkdir()
    soundfile.write(paths["nan"], np.full(100, np.nan), 16000, subtype="FLOAT")
    return paths
