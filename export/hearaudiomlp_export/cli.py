"""The ``hearaudiomlp-export`` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hearaudiomlp import HearAudioMLPError, __version__
from hearaudiomlp.cli import interrupts
from hearaudiomlp.cli.options import Parser, prepare_streams, print_error, print_line
from hearaudiomlp.errors import OutputExistsError, require_address_space
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.metadata import ARITHMETICS, INTERFACES, OLD_INTERFACES, PRECISIONS

_DESCRIPTION = """\
Export an encoder to one self-contained ONNX file: waveform windows in, frame embeddings out; or,
with --interface pipeline, sounds of any length in, HEAR embeddings (and keyword logits) out.
Every stage is compared with librosa and torch before the file is put in place; the figures are
written to a .report.md beside it.

To train an encoder from scratch: hearaudiomlp-export train --help"""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "hearaudiomlp-export",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a .pth file; with --graph-only kwmlp or audiomae; with --interface pipeline also an "
        ".onnx that `hearaudiomlp fit` wrote",
    )
    parser.add_argument("-o", "--output", metavar="FILE.onnx", type=Path, required=True)
    parser.add_argument(
        "--graph-only",
        action="store_true",
        help="write the graph without weights, for the runtime to bind checkpoints to; "
        "it is verified with random weights",
    )
    parser.add_argument(
        "--interface",
        type=lambda name: OLD_INTERFACES.get(name, name),
        choices=INTERFACES,
        default="windows",
        help="windows (the default): for programs that cut and stitch themselves, with bounded "
        "memory, as this package does; pipeline: all steps in one graph, for programs without this "
        "package",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="what the weights are stored as (default float32); float16 is half the size, and "
        "still computed in float32",
    )
    parser.add_argument(
        "--arithmetic",
        choices=ARITHMETICS,
        default="float32",
        help="what the blocks compute in (default float32); float16, for kwmlp on GPUs, has an "
        "error of 0.1 %% and stores the weights as float16 too",
    )
    parser.add_argument("--licence", help="licence of the weights (known for the published ones)")
    parser.add_argument(
        "--source", help="where the weights come from (known for the published ones)"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of these names that this command didn't write (never folders, links, "
        "devices or the checkpoint)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


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
        parser.error("--licence and --source describe weights, and --graph-only leaves them out")
    if options.graph_only and (options.interface, options.precision) != ("windows", "float32"):
        parser.error(
            "--graph-only writes the graph that the runtime binds checkpoints to: "
            "it takes neither --interface nor --precision"
        )
    if options.arithmetic == "float16" and (options.interface != "windows" or options.graph_only):
        parser.error("--arithmetic float16 needs --interface windows and weights")
    if options.output.suffix != ".onnx":
        parser.error(f"the output must end in .onnx: {options.output}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 written, 1 failed, 2 wrong usage.

    Examples:
        >>> main(["nowhere.pth", "-o", "model.onnx"])
        1
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    try:
        if list(arguments[:1]) == ["train"]:
            from hearaudiomlp_export.train.cli import main as train

            return train(arguments[1:])
        return _main(arguments)
    except OSError as problem:  # of the help, or of the line that says what was written
        return _fail(problem)


def _main(arguments: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        require_address_space(2048, "torch")
        from hearaudiomlp_export.export import export

        passed = export(
            options.checkpoint,
            options.output,
            graph_only=options.graph_only,
            interface=options.interface,
            precision=options.precision,
            arithmetic=options.arithmetic,
            licence=options.licence,
            source=options.source,
            overwrite=options.overwrite,
        )
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except ImportError as problem:
        message = _missing_package(problem)
        if message is None and not isinstance(problem, HearAudioMLPError):
            raise
        return _fail(message or problem)
    except HearAudioMLPError as problem:
        refused = isinstance(problem, OutputExistsError)
        named = refused or str(options.checkpoint) in str(problem)
        about = "" if named else f"{options.checkpoint}: "
        return _fail(f"{about}{problem}", 2 if refused else 1)
    except OSError as problem:
        name = problem.filename or options.output
        return _fail(f"{name}: {problem.strerror or problem}")
    if not passed:
        figures = options.output.with_suffix(".failed.md")
        return _fail(f"verification failed, no model written; see {figures}")
    figures = options.output.with_suffix(".report.md")
    size = options.output.stat().st_size
    print_line(f"{options.output}: {size:,} bytes, verified; figures in {figures}")
    return 0


def _fail(problem: object, code: int = 1) -> int:
    print_error(problem, "hearaudiomlp-export")
    return code


def process() -> NoReturn:
    """Run the command and exit: the first Ctrl-C, SIGTERM or SIGHUP unwinds it."""
    interrupts.install()
    os.environ.pop("SOURCE_DATE_EPOCH", None)  # as the main command does
    try:
        with interrupts.unwinding():
            code = main()
    except KeyboardInterrupt:  # while it was being imported
        code = 130
    interrupts.ignore()  # a second one would end Python's own clean-up without our exit code
    sys.exit(interrupts.status(code))


if __name__ == "__main__":
    process()
