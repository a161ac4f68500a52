"""``hearaudiomlp plot``: a picture of what a model hears in a file."""

import argparse
from pathlib import Path

from hearaudiomlp.cli.options import (
    add_encoder_argument,
    add_model_argument,
    add_running_arguments,
    load,
    model_files,
    print_error,
    print_line,
)
from hearaudiomlp.cli.pictures import add_picture_arguments, check_picture, write_picture

NAME = "plot"
HELP = "Draw a file as a model hears it: waveform, features, embeddings, keywords."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_running_arguments(parser)
    parser.add_argument("file", metavar="FILE", help="audio of any rate and channel count")
    add_picture_arguments(parser, (".png", ".svg", ".pdf"))
    add_model_argument(parser)
    add_encoder_argument(parser)
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="second to begin at")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds (default: to the end)")


def run(options: argparse.Namespace) -> int:
    """Draw the file."""
    from hearaudiomlp.audio.files import read_audio
    from hearaudiomlp.figures.sound import analyze, draw
    from hearaudiomlp.figures.style import import_matplotlib
    from hearaudiomlp.spec import SAMPLE_RATE

    check = check_picture(options, options.file, *model_files(options))
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
    import_matplotlib()
    write_picture(draw(analyze(part, model), model, title), options, check)
    print_line(f"{options.output}: {len(part) / SAMPLE_RATE:.2f} s, {model.name}")
    return 0
