"""From recordings to a model file of the user's own words or sounds."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hearaudiomlp.errors import OptionError
from hearaudiomlp.fitting import classifier
from hearaudiomlp.fitting.calibration import calibrate
from hearaudiomlp.fitting.classifier import Linear
from hearaudiomlp.fitting.evaluation import Results, evaluate
from hearaudiomlp.fitting.examples import find_clips, read_examples
from hearaudiomlp.fitting.features import compute_windows
from hearaudiomlp.fitting.negatives import Projection
from hearaudiomlp.fitting.onnx_head import Head, write_model
from hearaudiomlp.fitting.report import Facts, draw_report, write_report
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.storage.ownership import check_output
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import read_model_file

OTHER = "other"
"""The label of everything else."""


@dataclass(frozen=True)
class Fitted:
    """A classifier that was fitted, and how well it does on recordings held out.

    Examples:
        >>> Fitted(Path("mine.onnx"), Path("mine.report.md"), ("robin", "other"), None).labels
        ('robin', 'other')
    """

    path: Path
    """The model file."""

    report: Path
    """The report beside it."""

    labels: tuple[str, ...]
    """The classes, everything else last."""

    results: Results
    """Recall, confusions and false alarms by cross-validation."""


def fit(
    recordings: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    name: str | None = None,
    overwrite: bool = False,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> Fitted:
    """Fit a classifier of your own words or sounds, and write it as one model file.

    The file takes what the encoder's files take and has the recordings' classes as its keywords, so
    ``keywords``, ``listen``, the page and every other user of model files runs it. Beside it,
    ``.report.md`` and ``.report.png`` say how well it does on recordings held out.

    Args:
        recordings: a folder with a folder of recordings for each class, at least two of each; or a
            CSV with the columns ``path`` and ``label`` and, if wanted, ``start``, ``end`` (seconds)
            and ``group`` (a speaker, say, who must not be on both sides of a split). What is called
            ``_other_`` or ``_background_`` are examples of everything else.
        output: the model file, ``.onnx``.
        model: the encoder's weights, as for :func:`hearaudiomlp.load_model`; the bundled ones, if
            None.
        name: ``kwmlp`` or ``audiomae``: whose bundled weights.
        overwrite: replace files that this function didn't write, too.
        seed: of what is drawn at random.
        threads: that compute embeddings; all usable CPUs, if None.
        progress: called with a line on each step.

    Raises:
        ExamplesError: there are no classes, a class has one recording only, a recording is silent
            or can't be read, or a label can't be one.
        OutputExistsError: something that isn't ours has the name of an output.
        ModelFileError: the model isn't one.
        OptionError: an option has an invalid value.
        MissingPackageError: the extra ``[fit]`` isn't installed.

    Examples:
        >>> hearaudiomlp.fit("recordings", "mine.onnx")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.ExamplesError: a class needs at least 2 recordings, so that one can be
        held out, and b has one
        >>> from pathlib import Path
        >>> _ = Path("recordings/b/4.wav").write_bytes(Path("recordings/a/one.wav").read_bytes())
        >>> fitted = hearaudiomlp.fit("recordings", "mine.onnx")
        >>> fitted.labels
        ('a', 'b', 'other')
        >>> hearaudiomlp.load_model("mine.onnx").labels == fitted.labels
        True
    """
    path = Path(output)
    if path.suffix.lower() != ".onnx":
        raise OptionError(f"the output has to end in .onnx, and {path} doesn't")
    if seed < 0:
        raise OptionError(f"a seed is a whole number from 0, not {seed}")
    say = progress or (lambda _: None)
    classifier.import_sklearn()
    clips = find_clips(recordings)
    report, picture = path.with_suffix(".report.md"), path.with_suffix(".report.png")
    weights = locate(model, name)
    inputs = [*(clip.path for clip in clips), weights.path, recordings]
    checks = {
        target: partial(check_output, target, overwrite=overwrite, inputs=inputs)
        for target in (picture, report, path)
    }
    for check in checks.values():
        check()
    source = read_model_file(weights.read(), name)
    examples = read_examples(clips, seed=seed)
    labels = (*(label for label in examples.labels), OTHER)
    left_out = f" ({examples.left_out} more are left out)" if examples.left_out else ""
    count = f"{len(examples.clips)} recordings{left_out}, {len(labels) - 1} classes"
    say(f"{count}; computing their embeddings")
    train, slid, projection = compute_windows(source, examples, seed, threads)
    say(f"{len(train)} windows; choosing by cross-validation")
    settings, scores = classifier.choose(train, len(labels), seed, projection.sizes)
    held_out = partial(
        classifier.held_out_logits, train, slid.windows, len(labels), settings, seed=seed
    )
    logits, seen = held_out()
    fitted = classifier.fit_linear(train, len(labels), settings)
    calibration = calibrate(train, logits)
    halves = classifier.recognized(train, held_out(part=0.5)[0], len(labels))
    learning = list(zip(halves, classifier.recognized(train, logits, len(labels)), strict=True))
    speech = calibration.logits(logits[train.speech])
    results = evaluate(labels, slid, calibration.logits(seen), speech, learning)
    data = write_model(source, _head(calibration.model(fitted), projection, labels))
    facts = Facts(path.name, source.metadata, data, examples, settings, scores, len(train), seed)
    contents = {
        picture: draw_report(results, path.name),
        report: write_report(results, facts, picture.name),
        path: data,
    }
    for target, content in contents.items():
        with replacing(target, check=checks[target]) as file:
            file.write(content)
    return Fitted(path, report, labels, results)


def _head(linear: Linear, projection: Projection, labels: tuple[str, ...]) -> Head:
    """Return the classifier on the means themselves: the projection is linear, too."""
    projection = projection.first(linear.weights.shape[-1])
    weights = linear.weights.astype(np.float64) @ projection.basis.T.astype(np.float64)
    bias = linear.bias - (weights @ projection.mean).sum(axis=2)
    tensors = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
    return Head(labels, OTHER, *tensors, phonemes=projection.phonemes > 0)
