"""``hearaudiomlp map``: many files as points, near each other where they sound alike."""

import argparse
from functools import partial
from pathlib import Path

from hearaudiomlp.cli.options import (
    add_dpi_argument,
    add_overwrite_argument,
    print_error,
    print_line,
)

NAME = "map"
HELP = "Map embedded files in two dimensions by their scene embeddings."
_ENDINGS = (".html", ".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("embeddings", metavar="EMBEDDINGS", help=".parquet or .npz of embed")
    parser.add_argument(
        "-o", "--output", type=_map, required=True, metavar="OUT.html", help="or .png, .svg, .pdf"
    )
    parser.add_argument(
        "--method",
        choices=("auto", "pca", "umap"),
        default="auto",
        help="auto (the default) is UMAP where it is installed, otherwise PCA",
    )
    parser.add_argument("--title", default="", help="above the map")
    add_dpi_argument(parser)
    add_overwrite_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Make the map."""
    from hearaudiomlp.figures.map import draw_map, make_map, map_page
    from hearaudiomlp.figures.scenes import read_embeddings
    from hearaudiomlp.storage.atomic import replacing
    from hearaudiomlp.storage.ownership import check_output, figure_metadata

    if not options.output.parent.is_dir():
        print_error(f"there is no folder {options.output.parent} to write to")
        return 2
    check = partial(
        check_output, options.output, overwrite=options.overwrite, inputs=[options.embeddings]
    )
    check()
    points = make_map(*read_embeddings(options.embeddings), options.method)
    kind = options.output.suffix[1:].lower()
    if kind == "html":
        page = map_page(points, options.title).encode("utf-8")
        with replacing(options.output, check=check) as file:
            file.write(page)
    else:
        figure = draw_map(points, options.title)
        with replacing(options.output, check=check) as file:
            figure.savefig(file, format=kind, dpi=options.dpi, metadata=figure_metadata(kind))
    files = "1 file" if len(points.paths) == 1 else f"{len(points.paths)} files"
    print_line(f"{options.output}: {files}, {len(points.order())} folders, {points.method}")
    return 0


def _map(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in _ENDINGS:
        raise argparse.ArgumentTypeError(f"has to end in {', '.join(_ENDINGS)}: {text}")
    return path
