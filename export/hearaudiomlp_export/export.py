"""Export an encoder: trace, verify, and write the model file with its report."""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
import torch

from hearaudiomlp._text import printable, shorten
from hearaudiomlp.errors import HearAudioMLPError, ModelFileError, OptionError
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.storage.ownership import check_output, mark_page
from hearaudiomlp.weights.locate import Weights
from hearaudiomlp.weights.metadata import INTERFACES, OLD_INTERFACES
from hearaudiomlp.weights.model_file import read_model_file
from hearaudiomlp_export.graph.float16 import store_as_float16, stored
from hearaudiomlp_export.graph.metadata import describe, write_metadata
from hearaudiomlp_export.graph.pipeline import pipeline_graph
from hearaudiomlp_export.graph.trace import embed_weights, trace
from hearaudiomlp_export.networks.checkpoints import load_checkpoint, random_checkpoint
from hearaudiomlp_export.verify.encoder import Finding, report, verify
from hearaudiomlp_export.verify.pipeline import verify_float16, verify_pipeline

Check = Callable[[Path], None]


def _write(path: Path, data: bytes, check: Check) -> None:
    with replacing(path, check=partial(check, path)) as file:
        file.write(data)


def _check_all(output: Path, check: Check) -> None:
    """Refuse to replace what isn't ours before minutes of work are done."""
    if not output.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))
    for ending in (".onnx", ".report.md", ".failed.md"):
        check(output.with_suffix(ending))


def _refuse_overflow(name: str) -> None:
    if name != "kwmlp":
        raise OptionError(
            f"float16 arithmetic is for kwmlp: {name} computes with raw power, up to 4e8, and "
            "float16 ends at 65504"
        )


def _check_text(name: str, text: str | None) -> None:
    if text is not None and text != printable(text):
        raise OptionError(f"{name} has characters that can't be printed: {shorten(text)}")


def _interface(name: str) -> str:
    current = OLD_INTERFACES.get(name, name)
    if current not in INTERFACES:
        raise OptionError(f"interface is one of {', '.join(INTERFACES)}, not {name!r}")
    return current


def _export_fitted(model: Path, output: Path, interface: str, *, overwrite: bool) -> bool:
    """Put a file of windows with a user's labels into the graph of the whole pipeline."""
    check = partial(check_output, overwrite=overwrite, inputs=[str(model)])
    _check_all(output, check)
    source = read_model_file(Weights(str(model), "file").read())
    if interface != "pipeline" or source.weights or source.card.get("labels_kind") != "own":
        raise OptionError(
            f"{model} isn't a checkpoint: of ONNX files, only those of windows with labels of your "
            "own are exported again, with --interface pipeline"
        )
    encoder = onnx.load_model_from_string(source.graph)
    write_metadata(encoder, {**source.card, "interface": interface})
    encoder.graph.name = source.card["model"]  # which anybody may have changed
    try:
        graph = pipeline_graph(encoder)
        findings = list(verify_pipeline(graph, encoder))
    except HearAudioMLPError:
        raise
    except (LookupError, RuntimeError, TypeError, ValueError) as problem:  # names that clash, say
        raise ModelFileError(
            f"{model}: its graph doesn't fit into that of the whole pipeline ({shorten(problem)})"
        ) from problem
    return _write_verified(graph, findings, output, check)


def export(
    checkpoint: str,
    output: Path,
    *,
    graph_only: bool = False,
    interface: str = "windows",
    precision: str = "float32",
    arithmetic: str = "float32",
    licence: str | None = None,
    source: str | None = None,
    overwrite: bool = False,
) -> bool:
    """Trace and verify a graph; if every comparison passes, write the model and its report.

    Args:
        checkpoint: path of a checkpoint; with ``graph_only`` the name of an encoder; with the
            interface ``pipeline`` also a file that ``hearaudiomlp fit`` wrote.
        output: the ONNX file to write; the report is written beside it, as ``.report.md``.
        graph_only: leave the weights out.
        interface: ``windows`` or ``pipeline``, docs/format.md describes both.
        precision: what the weights are stored as, ``float32`` or ``float16``.
        arithmetic: what the blocks of kwmlp compute in; ``float16`` implies that precision.
        licence: of the weights.
        source: where the weights come from.
        overwrite: whether to replace files of these names that this package didn't write.

    Returns:
        Whether every comparison passed. If not, only a report is written, as ``.failed.md``.

    Raises:
        OSError: a file can't be read or written.
        OutputExistsError: something that isn't ours has the name of the model or the report.
        ModelFileError: the checkpoint isn't one of these encoders, or the runtime
            refuses the graph.
        OptionError: an unknown interface, a licence or source that can't be printed, or float16
            arithmetic for audiomae, whose values exceed the range of float16.


    Examples:
        >>> export("checkpoints/audiomae.pth", Path("audiomae.onnx"), arithmetic="float16")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OptionError: float16 arithmetic is for kwmlp: ...
    """
    interface = _interface(interface)
    _check_text("licence", licence)
    _check_text("source", source)
    if checkpoint.endswith(".onnx"):
        return _export_fitted(Path(checkpoint), output, interface, overwrite=overwrite)
    check = partial(check_output, overwrite=overwrite, inputs=[checkpoint])
    _check_all(output, check)
    if graph_only:
        weights = random_checkpoint(checkpoint)
    else:
        weights = load_checkpoint(Path(checkpoint), licence, source)
    if arithmetic == "float16":
        _refuse_overflow(weights.name)
        precision = arithmetic
    traced = graph = trace(weights.name, getattr(torch, arithmetic))
    card = describe(graph)
    if not graph_only:
        graph = embed_weights(graph, weights.weights)
        if precision == "float16":
            store_as_float16(graph, weights.weights)
        card |= {
            "interface": interface,
            "precision": precision,
            "checkpoint_sha256": weights.sha256,
            "licence": weights.licence,
            "source": weights.source,
        }
        if arithmetic != "float32":
            card["arithmetic"] = arithmetic
    write_metadata(graph, card)
    findings = verify(graph, stored(weights.weights, precision), arithmetic)
    if precision == "float16":
        findings += verify_float16(graph, traced, weights.weights)
    if interface == "pipeline":
        encoder, graph = graph, pipeline_graph(graph)
        findings += verify_pipeline(graph, encoder)
    if not graph_only and all(finding.passed for finding in findings):
        read_model_file(graph.SerializeToString())  # the runtime has checks of its own
    return _write_verified(graph, findings, output, check)


def _write_verified(
    graph: onnx.ModelProto, findings: list[Finding], output: Path, check: Check
) -> bool:
    """Write the model if every comparison passed, and the report."""
    passed = all(finding.passed for finding in findings)
    if passed:
        _write(output, graph.SerializeToString(deterministic=True), check)
    # A report of failure has a name of its own: an older model and its report may be there.
    suffix = ".report.md" if passed else ".failed.md"
    _write(output.with_suffix(suffix), mark_page(report(graph, findings).encode()), check)
    return passed
