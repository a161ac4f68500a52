"""Accuracy over 35 words on voices and an engine that training never heard.

    python benchmarks/quality/accuracy.py CHECKPOINT... [--corpus training/corpus] [--draws 4]
        [--json FILE]

Prints a Markdown table: a row per held-out part and condition, a column per checkpoint. Rooms,
noises and lines are drawn anew ``--draws`` times, because one draw decides a point or two.
Needs Debian's espeak-ng, festival with festvox-kdlpc16k, and libttspico-utils (non-free section).
"""

import argparse
import json
from pathlib import Path

import numpy as np

from hearaudiomlp import load_model
from hearaudiomlp_export.train.cli import prepare_corpus
from hearaudiomlp_export.train.data.backgrounds import Backgrounds
from hearaudiomlp_export.train.data.corpus import HELD_OUT, Plan, load_part
from hearaudiomlp_export.train.data.evaluate import CONDITIONS, windows_of

NAMES = {
    "voices-espeak": "held-out voices of eSpeak NG",
    "voices-festival": "held-out voice of Festival",
    "engine-pico": "held-out engine, SVOX Pico",
}
_SEED = 4711


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--corpus", type=Path, default=Path("training/corpus"))
    parser.add_argument("--draws", type=int, default=4, help="of each disturbance (default 4)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    prepare_corpus(options.corpus, HELD_OUT)
    parts = {name: load_part(options.corpus, name, Plan()) for name in HELD_OUT}
    talkers = list(parts.values())
    backgrounds = [Backgrounds(talkers, _SEED + draw) for draw in range(options.draws)]
    models = {str(path): load_model(path, device="cpu") for path in options.checkpoints}
    figures: dict[str, dict[str, float]] = {}
    print("| words of | condition | windows | " + " | ".join(models) + " |")
    print("| --- | --- | ---: |" + " ---: |" * len(models))
    for name, part in parts.items():
        for condition, strength in CONDITIONS.items():
            draws = backgrounds if strength is not None else backgrounds[:1]
            right: dict[str, list[float]] = {path: [] for path in models}
            for draw, drawn in enumerate(draws):
                windows, labels = windows_of(part, condition, drawn, seed=1 + draw)
                for path, model in models.items():
                    named = model.keyword_logits(windows).argmax(-1)
                    right[path].append(float(np.mean(named == labels)))
            shares = {path: float(np.mean(found)) for path, found in right.items()}
            figures[f"{name}, {condition}"] = shares
            cells = " | ".join(f"{100 * share:.1f} %" for share in shares.values())
            count = len(part) * len(draws)
            print(f"| {NAMES[name]} | {condition} | {count} | {cells} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
