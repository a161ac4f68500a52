"""``hearaudiomlp plot``: a picture of what a model hears in a file."""

import argparse
import math
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
    from hearaudiomlp.audio.files import AudioStream, read_part
    from hearaudiomlp.figures.sound import analyze, draw
    from hearaudiomlp.figures.style import import_matplotlib
    from hearaudiomlp.signal.windows import to_samples
    from hearaudiomlp.spec import SAMPLE_RATE

    check = check_picture(options, options.file, *model_files(options))
    end = math.inf if options.duration is None else options.start + options.duration
    if not 0.0 <= options.start < end:
        print_error(f"--start and --duration leave nothing of {options.file}")
        return 2
    first, last = to_samples(options.start), to_samples(end)
    stream = AudioStream(options.file)
    part = read_part(stream, first, last + 1)  # one sample more, to see if the file continues
    if not len(part):
        print_error(f"{options.file} has {stream.duration:.2f} s: --start leaves nothing of it")
        return 2
    model = load(options)
    title = f"{Path(options.file).name} as {model.name} hears it"
    if first or first + len(part) > last:
        title += f", from {options.start:g} s"
    part = part[: last - first]
    import_matplotlib()
    write_picture(draw(analyze(part, model), model, title), options, check)
    print_line(f"{options.output}: {len(part) / SAMPLE_RATE:.2f} s, {model.name}")
    return 0
