"""The ``hearaudiomlp-export`` command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hearaudiomlp import HearAudioMLPError, __version__
from hearaudiomlp.errors import OptionError
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.weights.model_file import ARITHMETICS, INTERFACES, PRECISIONS

_DESCRIPTION = """\
Export an encoder to one self-contained ONNX file: waveform windows in, frame embeddings out; or,
with --interface hear, sounds of any length in, HEAR embeddings (and keyword logits) out.
Every export is proved stage by stage against librosa and torch before the file is put in place;
the figures go into a .report.md beside it.

To train an encoder from nothing: hearaudiomlp-export train --help"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hearaudiomlp-export",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a .pth file; with --graph-only kwmlp or audiomae"
    )
    parser.add_argument("-o", "--output", metavar="FILE.onnx", type=Path, required=True)
    parser.add_argument(
        "--graph-only",
        action="store_true",
        help="write the graph without weights, for the runtime to bind checkpoints to; "
        "it is proved with random weights",
    )
    parser.add_argument(
        "--interface",
        choices=INTERFACES,
        default="windows",
        help="windows (the default): for programs that cut and stitch themselves, with bounded "
        "memory, as this package does; hear: the whole pipeline, for programs without this package",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="what the weights are stored as (default float32); float16 is half the size, and "
        "computed in float32 all the same",
    )
    parser.add_argument(
        "--arithmetic",
        choices=ARITHMETICS,
        default="float32",
        help="what the blocks compute in (default float32); float16, for kwmlp on GPUs, is off by "
        "0.1 %% and stores the weights as float16 too",
    )
    parser.add_argument("--licence", help="licence of the weights (known for the published ones)")
    parser.add_argument(
        "--source", help="where the weights come from (known for the published ones)"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)


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
) -> bool:
    """Trace, prove, and, if the proof holds, write the model and its report.

    Args:
        checkpoint: path of a checkpoint; with ``graph_only`` the name of an encoder.
        output: the ONNX file to write; the report goes beside it, as ``.report.md``.
        graph_only: leave the weights out.
        interface: ``windows`` or ``hear``, docs/format.md describes both.
        precision: what the weights are stored as, ``float32`` or ``float16``.
        arithmetic: what the blocks of kwmlp compute in; ``float16`` takes that precision with it.
        licence: of the weights.
        source: where the weights come from.

    Returns:
        Whether the proof holds. If it doesn't, only a report is written, as ``.failed.md``.

    Raises:
        OSError: a file can't be read or written.
        ModelFileError: the checkpoint isn't one of these encoders.
        OptionError: float16 arithmetic for audiomae, whose values go beyond what float16 can hold.
    """
    import torch

    from hearaudiomlp_export.graph.float16 import store_as_float16, stored
    from hearaudiomlp_export.graph.metadata import describe, write_metadata
    from hearaudiomlp_export.graph.pipeline import pipeline_graph
    from hearaudiomlp_export.graph.trace import embed_weights, trace
    from hearaudiomlp_export.networks.checkpoints import load_checkpoint, random_checkpoint
    from hearaudiomlp_export.verify.encoder import report, verify
    from hearaudiomlp_export.verify.pipeline import verify_float16, verify_pipeline

    if graph_only:
        weights = random_checkpoint(checkpoint)
    else:
        weights = load_checkpoint(Path(checkpoint), licence, source)
    if arithmetic == "float16":
        if weights.name != "kwmlp":
            raise OptionError(
                "float16 arithmetic is for kwmlp: audiomae computes with raw power, up to 4e8, and "
                "float16 ends at 65504"
            )
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
    if interface == "hear":
        encoder, graph = graph, pipeline_graph(graph)
        findings += verify_pipeline(graph, encoder)
    holds = all(finding.passed for finding in findings)
    if holds:
        _write(output, graph.SerializeToString(deterministic=True))
    # A report of failure has a name of its own: an older model and its report may be there.
    suffix = ".report.md" if holds else ".failed.md"
    _write(output.with_suffix(suffix), report(graph, findings).encode())
    return holds


def _missing_package(problem: ImportError) -> str | None:
    name = (problem.name or "").partition(".")[0]
    if name in ("torch", "onnx", "onnxscript", "librosa", "scipy"):
        return f"{name} is missing: pip install 'hearaudiomlp[cpu,export]'"
    return None


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that don't go together."""
    if options.graph_only and options.checkpoint not in ENCODERS:
        parser.error(f"--graph-only takes {' or '.join(ENCODERS)}, not {options.checkpoint}")
    if options.graph_only and (options.licence or options.source):
        parser.error("--licence and --source tell of weights, and --graph-only leaves them out")
    if options.graph_only and (options.interface, options.precision) != ("windows", "float32"):
        parser.error(
            "--graph-only writes the graph that the runtime binds checkpoints to: "
            "neither --interface nor --precision go with it"
        )
    if options.arithmetic == "float16" and (options.interface != "windows" or options.graph_only):
        parser.error("--arithmetic float16 goes with --interface windows, and with weights")
    if options.output.suffix != ".onnx":
        parser.error(f"the output has to end in .onnx: {options.output}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 written, 1 failed, 2 wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments[:1]) == ["train"]:
        from hearaudiomlp_export.train.cli import main as train

        return train(arguments[1:])
    return _main(arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        holds = export(
            options.checkpoint,
            options.output,
            graph_only=options.graph_only,
            interface=options.interface,
            precision=options.precision,
            arithmetic=options.arithmetic,
            licence=options.licence,
            source=options.source,
        )
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except ImportError as problem:
        message = _missing_package(problem)
        if message is None and not isinstance(problem, HearAudioMLPError):
            raise
        print(f"hearaudiomlp-export: {message or problem}", file=sys.stderr)
        return 1
    except HearAudioMLPError as problem:
        print(f"hearaudiomlp-export: {options.checkpoint}: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        name = problem.filename or options.output
        print(f"hearaudiomlp-export: {name}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    if not holds:
        figures = options.output.with_suffix(".failed.md")
        print(f"hearaudiomlp-export: not proved, no model written; see {figures}", file=sys.stderr)
        return 1
    figures = options.output.with_suffix(".report.md")
    size = options.output.stat().st_size
    print(f"{options.output}: {size:,} bytes, proved; figures in {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
