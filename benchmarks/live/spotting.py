"""Keywords in a ten-minute recording: hits, misses and false alarms of some checkpoints.

    python benchmarks/live/spotting.py NAME=CHECKPOINT [NAME=CHECKPOINT ...]
        [--thresholds 0.6 0.7 0.8] [--pico] [--json OUT.json] [--plot OUT.png]

The recording is that of ``recording.py``. Words are spotted live, by ``hearaudiomlp.spotter``
at four windows a second, and checked against the same windows computed offline. A word is hit when
it is announced within 0.3 s of where it was spoken, a second time is a false alarm.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from recording import SCENES, Spoken, make

import hearaudiomlp
from hearaudiomlp.keywords.hits import Hit, mask_quiet, rms_dbfs, softmax
from hearaudiomlp.spec import WINDOW
from hearaudiomlp.spotter import KeywordWindows, Spotter

_SLACK_S = 0.3
_HOP = 4_000


def score(spoken: list[Spoken], hits: list[Hit]) -> tuple[list[Spoken], list[Hit]]:
    """Return the words that were hit, and the false alarms."""
    left, found, alarms = list(spoken), [], []
    for hit in hits:
        near = (
            one
            for one in left
            if one.word == hit.word
            and hit.start < one.end + _SLACK_S
            and hit.end > one.start - _SLACK_S
        )
        one = next(near, None)
        if one is None:
            alarms.append(hit)
        else:
            left.remove(one)
            found.append(one)
    return found, alarms


def check_offline(model: hearaudiomlp.Model, recording: np.ndarray) -> bool:
    """Whether the live windows' probabilities are to the bit those of windows computed alone."""
    live = KeywordWindows(model)
    pieces = (recording[at : at + 1234] for at in range(0, len(recording), 1234))
    rows = [row for piece in pieces for _, block in live.push(piece) for row in block]
    windows = [recording[s : s + WINDOW] for s in range(0, len(recording) - WINDOW + 1, _HOP)]
    whole = np.stack(windows)
    offline = mask_quiet(softmax(model.keyword_logits(whole)), rms_dbfs(whole), -60.0)
    return np.stack(rows).tobytes() == offline.tobytes()


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Draw hits and false alarms of each checkpoint at each threshold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = list(dict.fromkeys(result["name"] for result in results))
    for index, name in enumerate(names):
        mine = [result for result in results if result["name"] == name]
        at = np.arange(len(mine)) + (index - (len(names) - 1) / 2) * 0.36
        style = {"width": 0.34, "edgecolor": "black", "label": name}
        style |= {"color": ("#0072B2", "#E69F00", "#009E73")[index % 3]}
        style |= {"hatch": ("", "//", "..")[index % 3]}
        for axes, key in ((left, "hits"), (right, "false_alarms")):
            axes.bar_label(axes.bar(at, [result[key] for result in mine], **style), fontsize=9)
    thresholds = [str(result["threshold"]) for result in results if result["name"] == names[0]]
    total = results[0]["hits"] + results[0]["misses"]
    left.set_title(f"keywords heard, of {total}")
    right.set_title("false alarms in ten minutes")
    for axes in (left, right):
        axes.set_xticks(range(len(thresholds)), thresholds)
        axes.set_xlabel("threshold")
        axes.margins(y=0.15)
    left.axhline(total, color="0.4", linestyle=":")
    right.legend(frameon=False)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Spot, score and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoints", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--thresholds", nargs="+", type=float, default=[0.6, 0.7, 0.8])
    parser.add_argument("--pico", action="store_true", help="spoken by SVOX Pico")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    recording, spoken = make(pico=options.pico)
    results = []
    print("| weights | threshold | hits | misses | false alarms | missed in |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for named in options.checkpoints:
        name, _, path = named.partition("=")
        model = hearaudiomlp.load_model(path, name="kwmlp", device="cpu")
        equal = check_offline(model, recording)
        for threshold in options.thresholds:
            spotter = Spotter(model, threshold=threshold)
            found, alarms = score(spoken, spotter.push(recording) + spotter.flush())
            missed = Counter(one.scene for one in spoken if one not in found)
            where = ", ".join(f"{scene} {missed[scene]}" for scene in SCENES if missed[scene])
            results.append({
                "name": name,
                "checkpoint_sha256": model.metadata["checkpoint_sha256"],
                "threshold": threshold,
                "hits": len(found),
                "misses": len(spoken) - len(found),
                "false_alarms": len(alarms),
                "missed_in": dict(missed),
                "equal_to_offline": equal,
            })  # fmt: skip
            misses = len(spoken) - len(found)
            print(f"| {name} | {threshold} | {len(found)} | {misses} | {len(alarms)} | {where} |")
        print(f"{name}: live windows equal those computed offline to the bit: {equal}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot is not None:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
