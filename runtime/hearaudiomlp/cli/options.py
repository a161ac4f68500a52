"""What the subcommands share: their options, and how they print."""

import argparse
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from hearaudiomlp._text import LONGEST, printable, shorten
from hearaudiomlp.spec import ENCODERS

if TYPE_CHECKING:
    from hearaudiomlp import Model


class Parser(argparse.ArgumentParser):
    """A parser that prints as all else is printed; its subparsers are of the same class.

    Examples:
        >>> Parser("hearaudiomlp", add_help=False, usage="hearaudiomlp").print_help()
        usage: hearaudiomlp
    """

    def error(self, message: str) -> NoReturn:
        """Print usage and error, and exit with 2."""
        super().error(printable(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Raise an OSError where help can't be printed; argparse would go on, and exit with 0."""
        if file is sys.stdout:
            _print(message)
        else:
            super()._print_message(message, file)


def prepare_streams() -> None:
    """Have the streams print and read names of files that are no text in their encoding.

    Those that the parent process has closed lead nowhere.

    Examples:
        >>> prepare_streams()
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the next file to be opened would get it, and what libraries print
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # print() takes None for standard output
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def print_error(message: object, command: str = "hearaudiomlp") -> None:
    """Print one line to standard error, after the command's name.

    What a terminal would act upon, a name of a file with an escape sequence say, is escaped, and
    what would fill it, a list's line of megabytes say, is cut.

    If nobody reads it, or the disk that it goes to is full, the command continues.

    Examples:
        >>> print_error("no audio files were found")
    """
    try:
        print(f"{command}: {shorten(message, LONGEST)}", file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def print_line(message: str) -> None:
    r"""Print one line to standard output, escaped as in :func:`print_error` but for tabs.

    If its reader has gone, the command continues without printing.

    Examples:
        >>> print_line("one\x1b[2Jtwo")
        one\x1b[2Jtwo
    """
    _print(printable(message, keep="\t") + "\n")


def _print(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError:  # the caller says so, and Python would once more
        _discard(sys.stdout)
        raise


def _discard(stream: TextIO) -> None:
    """Send a stream nowhere: Python would flush once more at the end, and complain."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def model_files(options: argparse.Namespace) -> list[str]:
    """Return the model file that the options name, as a list of one; it is empty if they don't.

    Examples:
        >>> model_files(argparse.Namespace(model="mine.onnx", encoder=None))
        ['mine.onnx']
    """
    from hearaudiomlp.weights.locate import locate

    return [locate(options.model, options.encoder).path] if options.model else []


def load(options: argparse.Namespace) -> "Model":
    """Load the model that the options name, on their device.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_model_argument(parser)
        >>> add_running_arguments(parser)
        >>> load(parser.parse_args(["--device", "cpu", "--threads", "2"]))
        <kwmlp on cpu, 2 threads>
    """
    from hearaudiomlp import load_model

    return load_model(
        options.model, name=options.encoder, device=options.device, threads=options.threads
    )


MODEL_HELP = (
    "an exported .onnx or a checkpoint (.pth); or the words kwmlp or audiomae, for the published "
    "checkpoint that `hearaudiomlp pull` has downloaded (a file that is called so is ./kwmlp); "
    "default: the weights that come with this package"
)
"""Help for every argument that names a model."""


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, for commands that run a model; either encoder's, with the next one.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_model_argument(parser)
        >>> parser.parse_args(["--model", "audiomae"]).model
        'audiomae'
    """
    parser.add_argument("--model", metavar="MODEL", help=MODEL_HELP)
    parser.set_defaults(encoder=None)


def add_encoder_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--encoder``, which selects whose bundled weights to use.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_encoder_argument(parser)
        >>> parser.parse_args(["--encoder", "audiomae"]).encoder
        'audiomae'
    """
    parser.add_argument(
        "--encoder",
        choices=tuple(ENCODERS),
        help="whose bundled weights, where no model is given (default: kwmlp); where one is given, "
        "refuse it if it is of another encoder",
    )


def add_overwrite_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``, which every command that writes a file has.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_overwrite_argument(parser)
        >>> parser.parse_args([]).overwrite
        False
    """
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of the outputs' names that this command didn't write (never folders, "
        "links, devices or an input)",
    )


def add_running_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` and ``--threads``, which every command that runs a model has.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_running_arguments(parser)
        >>> parser.parse_args(["--threads", "2"]).threads
        2
    """
    parser.add_argument("--device", default="auto", help="auto (the default), cpu, cuda or cuda:N")
    parser.add_argument(
        "--threads",
        type=count_argument,
        metavar="N",
        help="threads on the CPU (default: all usable)",
    )


def add_recording_arguments(parser: argparse.ArgumentParser, *, split: bool) -> None:
    """Add ``--channels`` and ``--on-truncated``, for commands that read recordings.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_recording_arguments(parser, split=True)
        >>> parser.parse_args(["--channels", "split"]).channels
        'split'
    """
    words = ("average", "split") if split else ("average",)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--channels",
        type=lambda text: text if text in words else _channel(text),
        default="average",
        metavar="average|split|N" if split else "average|N",
        help="average all channels (the default)"
        + (", split them into a row each," if split else "")
        + " or take one, from 1",
    )
    group.add_argument(
        "--channel", type=_channel, dest="channels", metavar="N", help="the same as --channels N"
    )
    parser.add_argument(
        "--on-truncated",
        choices=("fail", "keep"),
        default="fail",
        help="what to do about a file of which a part is missing or damaged: fail (the default), "
        "or keep what is there",
    )


def _channel(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"channels are counted from 1, not {text}")
    return int(text)


def count_argument(text: str) -> int:
    """Read a number of threads, processes or files.

    Examples:
        >>> count_argument("4")
        4
    """
    value = int(text) if text.isdecimal() and len(text) < 10 else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return value
