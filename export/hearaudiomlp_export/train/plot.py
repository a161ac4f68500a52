"""The log of a training run as a picture."""

import json
from pathlib import Path

from hearaudiomlp.storage.atomic import replacing


def plot_log(log: Path, picture: Path, title: str) -> None:
    """Plot loss and figure of merit over the steps.

    Args:
        log: ``log.jsonl`` of a run.
        picture: the PNG to write.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line["step"] for line in lines]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    left.plot(steps, [line["loss"] for line in lines], color="#444444", label="loss")
    right.plot(
        steps,
        [line["merit"] for line in lines],
        color="#0072b2",
        linestyle="--",
        label="words named" if title == "kwmlp" else "variance told",
    )
    left.set(xlabel="step", ylabel="loss", title=title)
    right.set(ylim=(0, 1))
    figure.legend(loc="outside lower right", ncols=2, frameon=False)
    with replacing(picture) as file:
        figure.savefig(file, format="png", dpi=120)
