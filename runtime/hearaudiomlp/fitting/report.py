"""The report beside a fitted model file: a page of figures and a picture."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hearaudiomlp._text import markdown_text as _cell
from hearaudiomlp._text import shorten
from hearaudiomlp.figures.style import default_style
from hearaudiomlp.fitting.alarms import THRESHOLD
from hearaudiomlp.fitting.classifier import Settings
from hearaudiomlp.fitting.evaluation import Results
from hearaudiomlp.fitting.examples import Examples
from hearaudiomlp.storage.ownership import figure_metadata, mark_page

_MOST_FILES = 1_000  # that are listed


@dataclass(frozen=True)
class Facts:
    """What a classifier was fitted on, and with which options.

    Examples:
        >>> facts = Facts("mine.onnx", {}, b"", Examples([]), Settings("mean", 0.03), {}, 40, 0)
        >>> facts.windows
        40
    """

    name: str
    """Of the model file."""

    metadata: Mapping[str, str]
    """Of the encoder's model file."""

    data: bytes
    """The model file."""

    examples: Examples
    settings: Settings

    scores: Mapping[Settings, float]
    """What cross-validation found for each of the settings."""

    windows: int
    """Number of windows that it was fitted to."""

    seed: int


def write_report(results: Results, facts: Facts, picture: str) -> bytes:
    """Return the page, in Markdown.

    Args:
        results: figures.
        facts: what it was fitted on.
        picture: name of the picture's file.

    Examples:
        >>> from hearaudiomlp.fitting.evaluation import Recall
        >>> recalls, learning = (Recall("a", 1, 1),), ((0.5, 1.0),)
        >>> results = Results(("a", "other"), np.eye(2, dtype=int), recalls, (), 0.5, learning)
        >>> metadata, chosen = hearaudiomlp.load_model().metadata, Settings("mean", 0.03)
        >>> facts = Facts("mine.onnx", metadata, b"", Examples([]), chosen, {}, 40, 0)
        >>> write_report(results, facts, "mine.report.png").splitlines()[0]
        b'# mine.onnx'
    """
    lines = [
        f"# {_cell(facts.name)}",
        "",
        "Figures are of recordings that were held out: each was classified by a fit to the others,",
        "in windows a quarter of a second apart, as `hearaudiomlp keywords` does.",
        "",
        f"![Confusions, threshold and number of recordings]({quote(picture, errors='replace')})",
        "",
        f"By an estimate from the negatives, {results.false_alarms:.0f} windows of other sound",
        f"an hour reach the default threshold of {THRESHOLD} by themselves. Averaging over",
        "neighboring windows, as `keywords` and `listen` do, leaves few of these as false alarms.",
        "",
        "| class | found | recall | 95 % interval |",
        "| --- | ---: | ---: | ---: |",
    ]
    for recall in results.recalls:
        low, high = recall.interval
        lines.append(
            f"| {_cell(recall.label)} | {recall.found} of {recall.count} | {recall.share:.0%} "
            f"| {low:.0%} to {high:.0%} |"
        )
    lines += ["", "| recordings of | taken for " + " | ".join(map(_cell, results.labels)) + " |"]
    lines.append("| --- |" + " ---: |" * len(results.labels))
    for label, row in zip(results.labels, results.confusions.tolist(), strict=True):
        if any(row):
            lines.append(f"| {_cell(label)} | " + " | ".join(map(str, row)) + " |")
    lines += [
        "",
        "| threshold | recall | windows of other sound an hour |",
        "| ---: | ---: | ---: |",
    ]
    lines += [f"| {at:.2f} | {share:.0%} | {alarms:.1f} |" for at, share, alarms in results.curve]
    lines += [
        "",
        f"Ten more recordings of **{_cell(results.advice)}** would help most.",
        "",
        "| class | windows recognized, fitted to half of its recordings | to all |",
        "| --- | ---: | ---: |",
    ]
    for label, (half, full) in zip(results.labels, results.learning, strict=False):
        lines.append(f"| {_cell(label)} | {half:.0%} | {full:.0%} |")
    return mark_page("\n".join([*lines, "", *_provenance(facts)]).encode())


def _count(examples: Examples) -> str:
    more = f", chosen at random of {len(examples.clips) + examples.left_out:,}"
    return f"{len(examples.clips):,}{more if examples.left_out else ''}"


def _provenance(facts: Facts) -> list[str]:
    lines = ["## What it was fitted on", "", "| | |", "| --- | --- |"]
    entries = {
        "encoder": facts.metadata["model"],
        "SHA-256 of its weights": _cell(facts.metadata["checkpoint_sha256"]),
        "licence of its weights": _cell(facts.metadata["licence"]),
        "SHA-256 of this model file": f"`{hashlib.sha256(facts.data).hexdigest()}`",
        "version": _cell(facts.metadata["hearaudiomlp_version"]),
        "recordings": _count(facts.examples),
        "windows": f"{facts.windows:,}, negatives included",
        "seed": str(facts.seed),
    }
    lines += [f"| {name} | {value} |" for name, value in entries.items()]
    lines += ["", "| pooling | components | inverse penalty | windows recognized | |"]
    lines.append("| --- | ---: | ---: | ---: | --- |")
    for settings, score in facts.scores.items():
        chosen = "chosen" if settings == facts.settings else ""
        count = settings.components or "all"
        cells = (settings.pooling, count, f"{settings.strength:g}", f"{score:.1%}", chosen)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    files = list(facts.examples.sha256.items())
    lines += ["", "| recording | SHA-256 |", "| --- | --- |"]
    lines += [f"| {_cell(path)} | `{sha256}` |" for path, sha256 in files[:_MOST_FILES]]
    if len(files) > _MOST_FILES:
        lines.append(f"| and {len(files) - _MOST_FILES:,} more | |")
    return lines


@default_style("fit", "fit draws its report with matplotlib")
def draw_report(results: Results, title: str) -> bytes:
    r"""Return the picture as PNG: confusions, threshold curve and learning curve.

    Raises:
        MissingPackageError: matplotlib isn't installed.

    Examples:
        >>> from hearaudiomlp.fitting.evaluation import Recall
        >>> curve = ((0.5, 1.0, 2.0), (0.65, 1.0, 0.5))
        >>> recalls, learning = (Recall("a", 1, 1),), ((0.5, 1.0),)
        >>> results = Results(("a", "other"), np.eye(2, dtype=int), recalls, curve, 0.5, learning)
        >>> draw_report(results, "mine")[:4]
        b'\x89PNG'
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.5), layout="constrained")
    figure.suptitle(_plain(title))
    confusions, curve, learning = figure.subplots(1, 3)
    _draw_confusions(confusions, results)
    alarms = [max(alarms, 1e-3) for _, _, alarms in results.curve]
    curve.plot(alarms, [100 * share for _, share, _ in results.curve], marker="o")
    for at, share, rate in results.curve:
        if at == THRESHOLD:
            curve.annotate(
                f"threshold {at}",
                (max(rate, 1e-3), 100 * share),
                (-6, 8),
                ha="right",
                textcoords="offset points",
            )
    curve.set(
        xscale="log",
        ylim=(0, 115),  # room for the label above
        xlabel="windows of other sound an hour (estimate)",
        ylabel="recall (%)",
    )
    curve.grid(alpha=0.3)
    for recall, (half, full) in zip(results.recalls, results.learning, strict=True):
        counts = [max(1, round(recall.count / 2)), recall.count]
        learning.plot(counts, [100 * half, 100 * full], marker="o", label=_plain(recall.label))
    learning.set(ylim=(0, 105), xlabel="recordings", ylabel="windows recognized (%)")
    learning.grid(alpha=0.3)
    if len(results.recalls) <= 12:
        learning.legend(fontsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata=figure_metadata("png"))
    return file.getvalue()


def _plain(text: str) -> str:
    return shorten(text, 40).replace("$", r"\$")  # matplotlib would read a formula


def _draw_confusions(axes: Any, results: Results) -> None:
    counts = results.confusions
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_plain(label) for label in results.labels]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="found", ylabel="recording of")
    if len(names) <= 12:
        for row, column in ((i, j) for i in range(len(names)) for j in range(len(names))):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=colour)
