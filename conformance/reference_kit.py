#!/usr/bin/env python3
"""Write the published system's reference arrays as a kit, for runners that can't read .npz.

    python conformance/reference_kit.py ../shared/reference FOLDER MODEL.onnx ...

The sounds are 32-bit float WAV files there, one channel a sound. The arrays come of CC BY-SA
weights: keep such a kit to yourself or give it away under that licence.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kit import read_reference
from wav import write_wav

from hearaudiomlp.weights.onnx_file import summarize


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.onnx")
    options = parser.parse_args()
    (options.folder / "sounds").mkdir(parents=True)
    sounds: dict[str, Any] = {}
    models = []
    for path in options.models:
        card = summarize(path.read_bytes()).metadata
        expected = []
        folder = Path("expected") / f"{card['model']}-{card.get('precision', 'float32')}"
        (options.folder / folder).mkdir(parents=True)
        for case in read_reference(options.reference, card["model"]):
            n_sounds, n_samples = case.audio.shape
            wav = f"sounds/{case.name}.wav"
            sounds[case.name] = {
                "name": case.name,
                "wav": wav,
                "repeat": 1,
                "n_sounds": n_sounds,
                "n_samples": n_samples,
            }
            write_wav(options.folder / wav, case.audio)
            for output, array in case.expected.items():
                file = folder / f"{case.name}.{output}.f32"
                (options.folder / file).write_bytes(array.astype("<f4").tobytes())
                expected.append({
                    "sound": case.name,
                    "output": output,
                    "file": str(file),
                    "shape": list(array.shape),
                    "tolerance": case.tolerances[output],
                })  # fmt: skip
        models.append({
            "model": card["model"],
            "precision": card.get("precision", "float32"),
            "checkpoint_sha256": card["checkpoint_sha256"],
            "licence": card["licence"],
            "expected": expected,
        })  # fmt: skip
    kit = {"kit": 1, "made_by": "reference.npz", "sounds": list(sounds.values()), "models": models}
    (options.folder / "kit.json").write_text(json.dumps(kit, indent=1) + "\n")
    print(f"{options.folder}: {len(sounds)} sounds, {len(models)} models")
    return 0


if __name__ == "__main__":
    sys.exit(main())
