"""The log of a training run as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearaudiomlp.figures.style import default_style
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp_export.train.speech.words import KEYWORDS

_BLUE, _ORANGE = "#0072b2", "#d55e00"


@default_style()
def plot_log(lines: Sequence[dict[str, Any]], picture: Path, title: str) -> None:
    """Plot loss and figure of merit over the steps, and what was measured on the way.

    Args:
        lines: what a run logged.
        picture: the PNG to write.
        title: above the picture; the network's name.
    """
    from matplotlib.figure import Figure

    measured = [line for line in lines if "accuracy" in line]
    figure = Figure(figsize=(15 if measured else 7, 4.4 if measured else 3.2), layout="constrained")
    axes = figure.subplots(1, 3 if measured else 1, squeeze=False)[0]
    _training(axes[0], lines, title)
    if measured:
        _validation(axes[1], measured)
        _confusions(axes[2], np.array(measured[-1]["confusions"]))
    with replacing(picture) as file:
        figure.savefig(file, format="png", dpi=120)


def _training(left: Any, lines: Sequence[dict[str, Any]], title: str) -> None:
    steps = [line["step"] for line in lines]
    right = left.twinx()
    merit = "words named" if title == "kwmlp" else "variance explained"
    left.plot(steps, [line["loss"] for line in lines], color="#444444", label="loss")
    right.plot(steps, [line["merit"] for line in lines], color=_BLUE, linestyle="--", label=merit)
    left.set(xlabel="step", ylabel="loss", title=f"{title}: training windows")
    right.set(ylim=(0, 1), ylabel=merit)
    left.figure.legend(loc="outside lower left", ncols=2, frameon=False)


def _validation(left: Any, measured: list[dict[str, Any]]) -> None:
    steps = [line["step"] for line in measured]
    for key, style in (("rich", ":"), ("poor", "--"), ("accuracy", "-")):
        shares = [100 * line[key] for line in measured]
        label = "all words" if key == "accuracy" else f"{key} words"
        left.plot(steps, shares, color=_BLUE, linestyle=style, label=label)
    left.set(xlabel="step", ylabel="named right out of 35 words (%)", title="validation")
    left.legend(loc="lower center", frameon=False)
    if measured[-1]["alarms_per_hour"] is not None:
        right = left.twinx()
        right.plot(steps, [line["alarms_per_hour"] for line in measured], color=_ORANGE)
        right.set_ylabel("false alarms an hour in running speech", color=_ORANGE)
        right.set_ylim(bottom=0)


def _confusions(axes: Any, counts: Any) -> None:
    """Draw the rows as shares of the windows of their word."""
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(KEYWORDS)), KEYWORDS, rotation=90, fontsize=6)
    axes.set_yticks(range(len(KEYWORDS)), KEYWORDS, fontsize=6)
    axes.set(xlabel="named", ylabel="spoken", title="validation, last step")
