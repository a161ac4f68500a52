"""``hearaudiomlp plot``: a picture of what a model hears in a file."""

import argparse
from functools import partial
from pathlib import Path

from hearaudiomlp.cli.options import (
    add_dpi_argument,
    add_encoder_argument,
    add_model_argument,
    add_overwrite_argument,
    add_running_arguments,
    load,
    print_error,
    print_line,
)

NAME = "plot"
HELP = "Draw a file as a model hears it: waveform, features, embeddings, keywords."
_ENDINGS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_running_arguments(parser)
    parser.add_argument("file", metavar="FILE", help="audio of any rate and channel count")
    parser.add_argument(
        "-o", "--output", type=_picture, required=True, metavar="OUT.png", help="or .svg or .pdf"
    )
    add_model_argument(parser)
    add_encoder_argument(parser)
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="second to begin at")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds (default: to the end)")
    add_dpi_argument(parser)
    add_overwrite_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Draw the file."""
    from hearaudiomlp.audio.files import read_audio
    from hearaudiomlp.figures.sound import analyze, draw
    from hearaudiomlp.spec import SAMPLE_RATE
    from hearaudiomlp.storage.atomic import replacing
    from hearaudiomlp.storage.ownership import check_output, figure_metadata

    if not options.output.parent.is_dir():
        print_error(f"there is no folder {options.output.parent} to write to")
        return 2
    check = partial(
        check_output, options.output, overwrite=options.overwrite, inputs=[options.file]
    )
    check()
    samples = read_audio(options.file).samples
    length = len(samples) / SAMPLE_RATE
    end = length if options.duration is None else min(length, options.start + options.duration)
    if not 0.0 <= options.start < end:
        print_error(
            f"{options.file} has {length:.2f} s: --start and --duration leave nothing of it"
        )
        return 2
    model = load(options)
    part = samples[round(options.start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    title = f"{Path(options.file).name} as {model.name} hears it"
    if len(part) < len(samples):
        title += f", from {options.start:g} s"
    figure = draw(analyze(part, model), model, title)
    with replacing(options.output, check=check) as file:
        kind = options.output.suffix[1:].lower()
        figure.savefig(file, format=kind, dpi=options.dpi, metadata=figure_metadata(kind))
    print_line(f"{options.output}: {len(part) / SAMPLE_RATE:.2f} s, {model.name}")
    return 0


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in _ENDINGS:
        raise argparse.ArgumentTypeError(f"has to end in {', '.join(_ENDINGS)}: {text}")
    return path
