"""Make the kit: its sounds, and the expected outputs of the models.

    python -m conformance.make_kit [MODEL.onnx ...] [-o FOLDER]

Models are files exported with ``--interface pipeline``; by default, all of those in onnx_models/.
The expected outputs come from the runtime, which runs the encoder with each file's weights and
numpy steps around it, not from the file's own graph, which is what the kit tests. The outputs are
derived from the weights: a kit can be distributed only if the licence of the weights allows it.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from conformance.arguments import read_metadata, run_main
from conformance.cases import OUTPUTS, allowed
from conformance.engines import ENGINES
from conformance.sounds import Sound, sounds
from conformance.wav import write_wav
from hearaudiomlp import __version__
from hearaudiomlp.weights.metadata import interface_of
from hearaudiomlp.weights.onnx_file import summarize

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "onnx_models"
LONG = 5 * 16_000
"""Of longer sounds the embeddings of the timestamps are left out, to keep the kit small."""


def _samples(sound: Sound) -> Any:
    whole = np.tile(sound.samples, sound.repeat)
    return whole.astype(np.float32) * np.float32(2**-15)


def expectations(path: Path, folder: Path) -> dict[str, Any]:
    """Write a model's outputs for all sounds; return its entry in the list of models."""
    card = read_metadata(path)
    model, precision = card["model"], card.get("precision", "float32")
    _, run = ENGINES["hearaudiomlp"](path, None)
    expected = []
    (folder / "expected" / f"{model}-{precision}").mkdir(parents=True)
    for sound in sounds():
        audio = _samples(sound)
        outputs = run(audio)
        for output in OUTPUTS:
            if output not in outputs or (output.startswith("time") and audio.shape[1] > LONG):
                continue
            array = np.ascontiguousarray(outputs[output], "<f4")
            file = f"expected/{model}-{precision}/{sound.name}.{output}.f32"
            (folder / file).write_bytes(array.tobytes())
            expected.append({
                "sound": sound.name,
                "output": output,
                "file": file,
                "shape": list(array.shape),
                "tolerance": round(allowed(model, output, array), 9),
            })  # fmt: skip
    return {
        "model": model,
        "precision": precision,
        "checkpoint_sha256": card["checkpoint_sha256"],
        "licence": card["licence"],
        "expected": expected,
    }


def make(models: list[Path], folder: Path) -> None:
    """Write the kit into a folder that isn't there yet."""
    (folder / "sounds").mkdir(parents=True)
    entries = []
    for sound in sounds():
        wav = f"sounds/{sound.name}.wav"
        write_wav(folder / wav, sound.samples)
        n_sounds, n_samples = _samples(sound).shape
        entry = {"name": sound.name, "wav": wav, "repeat": sound.repeat}
        entries.append(entry | {"n_sounds": n_sounds, "n_samples": n_samples})
    kit = {
        "kit": 1,
        "made_by": f"hearaudiomlp {__version__}",
        "sounds": entries,
        "models": [expectations(path, folder) for path in models],
    }
    (folder / "kit.json").write_text(json.dumps(kit, indent=1) + "\n")


def replace_kit(options: argparse.Namespace) -> int:
    """Make a kit, replacing a former one; return the exit code."""
    models = options.models or [
        path
        for path in sorted(MODELS.glob("*.onnx"))
        if interface_of(summarize(path.read_bytes(), operators=False).metadata) == "pipeline"
    ]
    if not models:
        raise ValueError(f"no file in {MODELS} was exported with --interface pipeline: name some")
    target: Path = options.output
    if target.exists() and not (target / "kit.json").exists():
        raise ValueError(f"{target} exists and isn't a kit")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kit.") as scratch:
        fresh = Path(scratch) / "kit"
        make(models, fresh)
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {len(sounds())} sounds, {len(models)} models, {size:,} bytes")
    return 0


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "make_kit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "kit", metavar="FOLDER")
    return run_main(parser, replace_kit)


if __name__ == "__main__":
    sys.exit(main())
