"""What the commands that draw share: their options, and how a picture is checked and written."""

import argparse
import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hearaudiomlp.cli.options import add_overwrite_argument


def add_picture_arguments(parser: argparse.ArgumentParser, endings: Sequence[str]) -> None:
    """Add ``--output`` (with one of some endings), ``--dpi`` and ``--overwrite``.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_picture_arguments(parser, [".png", ".svg"])
        >>> options = parser.parse_args(["-o", "words.svg"])
        >>> options.output.name, options.dpi
        ('words.svg', 120)
    """
    parser.add_argument(
        "-o",
        "--output",
        type=partial(_path, endings=endings),
        required=True,
        metavar=f"OUT{endings[0]}",
        help=f"or {', '.join(endings[1:])}",
    )
    parser.add_argument(
        "--dpi", type=_dpi, default=120, help="of a .png, 10 to 1200 (default: %(default)s)"
    )
    add_overwrite_argument(parser)


def _path(text: str, endings: Sequence[str]) -> Path:
    path = Path(text)
    if path.suffix.lower() not in endings:
        raise argparse.ArgumentTypeError(f"has to end in {', '.join(endings)}: {text}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent} to write to")
    return path


def _dpi(text: str) -> int:
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 10 <= value <= 1200:
        raise argparse.ArgumentTypeError(f"10 to 1200, not {text}")
    return value


def check_picture(
    options: argparse.Namespace, *sources: str | os.PathLike[str]
) -> Callable[[], None]:
    """Refuse a picture that would replace what isn't ours; return the check, to be repeated.

    Raises:
        OutputExistsError: the picture would replace one of the ``sources``, or what isn't ours.

    Examples:
        >>> options = argparse.Namespace(output=Path("new.png"), overwrite=False)
        >>> check = check_picture(options, "samples/words.flac")
    """
    from hearaudiomlp.storage.ownership import check_output

    check = partial(check_output, options.output, overwrite=options.overwrite, inputs=sources)
    check()
    return check


def write_picture(figure: Any, options: argparse.Namespace, check: Callable[[], None]) -> None:
    """Write a matplotlib figure to the output, with our mark in it.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> options = argparse.Namespace(output=Path("empty.png"), overwrite=True, dpi=50)
        >>> write_picture(Figure(), options, check_picture(options, "samples/words.flac"))
    """
    from hearaudiomlp.figures.style import default_style
    from hearaudiomlp.storage.atomic import replacing
    from hearaudiomlp.storage.ownership import figure_metadata, mark_page

    kind = options.output.suffix[1:].lower()
    with replacing(options.output, check=check) as file, default_style():
        drawn = io.BytesIO() if kind == "svg" else file
        figure.savefig(drawn, format=kind, dpi=options.dpi, metadata=figure_metadata(kind))
        if isinstance(drawn, io.BytesIO):
            file.write(mark_page(drawn.getvalue()))
