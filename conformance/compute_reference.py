"""Compute the expected outputs of other weights for the published system's inputs, with PyTorch.

    python -m conformance.compute_reference ../shared/reference FOLDER CHECKPOINT.pth ...

The reference arrays hold the outputs of the published weights. This computes the same 76 inputs,
and the keyword windows, with `hearaudiomlp_export.networks.published`, which shares only sizes and
the formulas of window, mel filters and DCT with the graph and gives the published arrays for the
published weights. FOLDER is written in the arrays' format: `run_engine --reference FOLDER` runs an
engine on it. Tolerances are those of `compare.py`, which is copied to it; its `noise` is measured
against float64, as it was there.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conformance.arguments import run_main
from hearaudiomlp_export.networks.published import PublishedSystem


def compute(
    checkpoint: Path, inputs: dict[str, Any], windows: Any
) -> tuple[str, dict[str, Any], dict[str, dict[str, float]], Any]:
    """Return name, output arrays, noise by case and keyword logits (None without that head)."""
    system, exact = PublishedSystem(checkpoint), PublishedSystem(checkpoint).double()
    arrays, noise = {}, {}
    for case, audio in inputs.items():
        rounded = system(torch.from_numpy(audio))._asdict()
        truth = exact(torch.from_numpy(audio.astype(np.float64)))._asdict()
        arrays |= {f"{case}/{output}": found.numpy() for output, found in rounded.items()}
        noise[case] = {
            output: float((rounded[output].double() - truth[output]).abs().max())
            if rounded[output].numel()
            else 0.0
            for output in ("timestamp_embeddings", "scene_embeddings")
        }
    logits = None
    if system.name == "kwmlp":
        logits = system.keyword_logits(torch.from_numpy(windows)).numpy()
    return system.name, arrays, noise, logits


def write_reference(options: argparse.Namespace) -> int:
    """Compute and write all arrays; return the exit code."""
    if options.folder.exists():
        raise ValueError(f"{options.folder} exists already")
    torch.set_num_threads(1)
    store = np.load(options.reference / "reference.npz")
    keywords = dict(np.load(options.reference / "keywords.npz"))
    names = json.loads(str(store["meta"]))["cases"]
    inputs = {case: store[f"in/{case}"] for case in names}
    written: dict[str, Any] = {f"in/{case}": audio for case, audio in inputs.items()}
    meta: dict[str, Any] = {"cases": names, "noise": {}, "checkpoint_sha256": {}}
    del keywords["logits"]
    with torch.inference_mode():
        for path in options.checkpoints:
            name, arrays, noise, logits = compute(path, inputs, keywords["windows"])
            written |= {f"out/{name}/{place}": array for place, array in arrays.items()}
            meta["noise"] |= {f"{name}/{case}": found for case, found in noise.items()}
            meta["checkpoint_sha256"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
            if logits is not None:
                keywords["logits"] = logits
            worst = max(noise.values(), key=lambda found: found["timestamp_embeddings"])
            print(f"{name}: {len(names)} cases; float32 rounds by {worst} at most")
    options.folder.mkdir(parents=True)
    np.savez_compressed(options.folder / "reference.npz", meta=json.dumps(meta), **written)
    np.savez_compressed(options.folder / "keywords.npz", **keywords)
    shutil.copy(options.reference / "compare.py", options.folder)
    return 0


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "compute_reference",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("folder", type=Path, help="must not exist")
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CHECKPOINT.pth")
    return run_main(parser, write_reference)


if __name__ == "__main__":
    sys.exit(main())
