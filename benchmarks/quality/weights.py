#!/usr/bin/env python3
"""What storing the weights with fewer bits does to embeddings and keywords.

    python benchmarks/quality/weights.py CHECKPOINT [--reference FOLDER]

float16 is what ``hearaudiomlp-export --precision float16`` stores. int8 is weights alone, one scale
for each row of a matrix, computed in float32 like the others, so that results don't depend on how a
platform multiplies bytes. Speech is synthetic (the samples of this repository) and, with the
reference arrays, 40 real spoken digits. Cosines are of frames with what float32 weights give.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hearaudiomlp.inference.session import Session
from hearaudiomlp.weights.model_file import packaged_graph
from hearaudiomlp_export.graph.float16 import Weights, stored
from hearaudiomlp_export.networks.checkpoints import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def as_int8(weights: Weights) -> Weights:
    """Return the weights after rounding matrices to 255 steps, row by row."""
    rounded = {}
    for name, values in weights.items():
        if values.ndim < 2:
            rounded[name] = values
            continue
        rows = values.reshape(len(values), -1)
        scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
        steps = np.rint(rows / np.where(scale == 0, np.float32(1), scale))
        rounded[name] = (steps * scale).astype(np.float32).reshape(values.shape)
    return rounded


def synthetic() -> np.ndarray:
    """Return windows of the repository's synthetic speech, one every tenth of a second."""
    samples, rate = soundfile.read(ROOT / "samples" / "words.flac", dtype="float32")
    mono = soxr.resample(samples.mean(axis=1), rate, 16_000).astype(np.float32)
    starts = range(0, len(mono) - 16_000, 1_600)
    return np.stack([mono[start : start + 16_000] for start in starts])


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--reference", type=Path, default=ROOT.parent / "shared" / "reference")
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.checkpoint, None, None)
    sets = {"synthetic": synthetic()}
    if (options.reference / "keywords.npz").exists():
        sets["real"] = np.load(options.reference / "keywords.npz")["windows"]
    graph = packaged_graph(checkpoint.name)[0]
    exact = Session(graph, checkpoint.weights, device="cpu")
    print("| weights | speech | windows | relative error | mean cosine | worst | same keyword |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    smaller = {
        "float16": stored(checkpoint.weights, "float16"),
        "int8": as_int8(checkpoint.weights),
    }
    for precision, weights in smaller.items():
        session = Session(graph, weights, device="cpu")
        for name, windows in sets.items():
            wanted, found = exact.run(windows), session.run(windows)
            a, b = (one["frame_embeddings"].astype(np.float64) for one in (wanted, found))
            cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
            same = "-"
            if "keyword_logits" in wanted:
                words = [one["keyword_logits"].argmax(axis=1) for one in (wanted, found)]
                same = f"{100 * np.mean(words[0] == words[1]):.1f} %"
            error = np.linalg.norm(b - a) / np.linalg.norm(a)
            print(
                f"| {precision} | {name} | {len(windows)} | {100 * error:.3f} % "
                f"| {cosine.mean():.6f} | {cosine.min():.6f} | {same} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
