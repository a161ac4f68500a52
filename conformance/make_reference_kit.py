"""Write the published system's reference arrays as a kit, for runners that can't read .npz.

    python -m conformance.make_reference_kit ../shared/reference FOLDER MODEL.onnx ...

The sounds are 32-bit float WAV files, with one sound in each channel. The published arrays are
derived from CC BY-SA weights: such a kit can be distributed under that licence only.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from conformance.arguments import read_metadata, run_main
from conformance.cases import read_reference
from conformance.wav import write_wav


def write_kit(options: argparse.Namespace) -> int:
    """Write the kit; return the exit code."""
    (options.folder / "sounds").mkdir(parents=True)
    sounds: dict[str, Any] = {}
    models = []
    for path in options.models:
        card = read_metadata(path)
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


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "make_reference_kit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.onnx")
    return run_main(parser, write_kit)


if __name__ == "__main__":
    sys.exit(main())
