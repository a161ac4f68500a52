"""``hearaudiomlp listen``: words as they are spoken."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

from hearaudiomlp.cli import interrupts
from hearaudiomlp.cli.options import add_model_argument, load, print_error
from hearaudiomlp.errors import AudioFileError

if TYPE_CHECKING:
    from hearaudiomlp._types import Floats
    from hearaudiomlp.keywords.hits import Hit
    from hearaudiomlp.spotter import Spotter

NAME = "listen"
HELP = "Print keywords as they are spoken, into the microphone or on standard input."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from hearaudiomlp.audio.pcm import FORMATS
    from hearaudiomlp.keywords.hits import HOP_S, QUIET_DB, SMOOTHING_S, THRESHOLD
    from hearaudiomlp.keywords.modes import REFRACTORY_S
    from hearaudiomlp.spotter import MODES

    add_model_argument(parser)
    parser.add_argument("--device", default="cpu", help="cpu (the default), auto, cuda or cuda:N")
    parser.add_argument(
        "--microphone", metavar="NAME", help="capture device: its number, or a part of its name"
    )
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="standard input instead: raw PCM, or WAV, FLAC, Ogg or MP3 with its header",
    )
    parser.add_argument(
        "--rate", type=int, default=16_000, metavar="HZ", help="of --stdin (default: %(default)s)"
    )
    parser.add_argument(
        "--channels", type=int, default=1, metavar="N", help="of --stdin (default: %(default)s)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="s16le", help="of --stdin (default: %(default)s)"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="words",
        help="words: each word once (the default); all: every window over the threshold; "
        "best, vote: one word for all the sound, at its end",
    )
    for name, default, meaning in (
        ("--hop", HOP_S, "seconds from one window of a second to the next"),
        ("--smoothing", SMOOTHING_S, "seconds over which probabilities are averaged"),
        ("--refractory", REFRACTORY_S, "seconds after a word in which it isn't printed again"),
        ("--quiet", QUIET_DB, "level in dB under which a window counts as silence"),
    ):
        parser.add_argument(
            name, type=float, default=default, metavar="X", help=f"{meaning} (default: {default})"
        )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="probability from which a word counts as spoken "
        f"(default: the model file's, or {THRESHOLD})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Listen to the end of the input, or until Ctrl-C."""
    from hearaudiomlp.spotter import Spotter

    if options.stdin and options.microphone:
        print_error("either --stdin or --microphone, not both")
        return 2
    options.threads = 1
    spotter = Spotter(
        load(options),
        mode=options.mode,
        hop=options.hop,
        threshold=options.threshold,
        smoothing=options.smoothing,
        refractory=options.refractory,
        quiet=options.quiet,
    )
    try:
        with interrupts.unwinding(), contextlib.closing(_chunks(options)) as chunks:
            for samples in chunks:
                _print(spotter.push(samples), options.json)
        _print(spotter.flush(), options.json)
    except KeyboardInterrupt:
        _end_line(spotter)
        return 130
    except BrokenPipeError:  # the reader of the words has gone
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _chunks(options: argparse.Namespace) -> "Generator[Floats, None, None]":
    if options.stdin:
        from hearaudiomlp.audio.piped import read_pipe

        if sys.stdin is None:
            raise AudioFileError("standard input is closed: there is nothing to listen to")
        yield from read_pipe(
            sys.stdin.fileno(),
            rate=options.rate,
            channels=options.channels,
            sample_format=options.format,
        )
        return
    from hearaudiomlp.audio.microphone import Microphone

    microphone = Microphone(
        options.microphone, lambda: print_error("samples were lost: this machine can't keep up")
    )
    with microphone:
        print_error(f"listening to {microphone.name} at {microphone.rate} Hz; Ctrl-C ends")
        yield from microphone.chunks()


def _print(hits: "list[Hit]", as_json: bool) -> None:
    for hit in hits:
        if as_json:
            times = {"start": hit.start, "end": hit.end, "probability": hit.probability}
            rounded = {key: round(value, 3) for key, value in times.items()}
            print(json.dumps({"word": hit.word} | rounded), flush=True)
        else:
            print(f"{_clock(hit.start)}  {hit.word:10s} {hit.probability:.2f}", flush=True)


def _clock(seconds: float) -> str:
    hundredths = round(100 * seconds)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest / 100:05.2f}"


def _end_line(spotter: "Spotter") -> None:
    if sys.stderr.isatty():
        print(file=sys.stderr)  # after the ^C that the terminal shows
    print_error(f"stopped after {spotter.n_samples / 16_000:.1f} s of audio")
