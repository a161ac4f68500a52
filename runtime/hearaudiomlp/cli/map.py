"""``hearaudiomlp map``: many files as points, near each other where they sound alike."""

import argparse

from hearaudiomlp.cli.options import print_line
from hearaudiomlp.cli.pictures import add_picture_arguments, check_picture, write_picture

NAME = "map"
HELP = "Map embedded files in two dimensions by their scene embeddings."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("embeddings", metavar="EMBEDDINGS", help="a table that embed wrote")
    add_picture_arguments(parser, (".html", ".png", ".svg", ".pdf"))
    parser.add_argument(
        "--method",
        choices=("auto", "pca", "umap"),
        default="auto",
        help="auto (the default) is UMAP where it is installed, otherwise PCA",
    )
    parser.add_argument("--title", default="", help="above the map")


def run(options: argparse.Namespace) -> int:
    """Make the map."""
    from hearaudiomlp.figures.map import draw_map, make_map, map_page
    from hearaudiomlp.figures.style import import_matplotlib
    from hearaudiomlp.storage.atomic import replacing
    from hearaudiomlp.storage.ownership import mark_page
    from hearaudiomlp.table.scenes import read_embeddings

    check = check_picture(options, options.embeddings)
    import_matplotlib()
    points = make_map(*read_embeddings(options.embeddings), options.method)
    if options.output.suffix.lower() == ".html":
        page = mark_page(map_page(points, options.title).encode("utf-8"))
        with replacing(options.output, check=check) as file:
            file.write(page)
    else:
        write_picture(draw_map(points, options.title), options, check)
    files = "1 file" if len(points.paths) == 1 else f"{len(points.paths)} files"
    folders = "1 folder" if len(points.order()) == 1 else f"{len(points.order())} folders"
    print_line(f"{options.output}: {files}, {folders}, {points.method}")
    return 0
