"""``hearaudiomlp similar``: the recordings or segments of a table most like a given one."""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearaudiomlp.cli import interrupts
from hearaudiomlp.cli.options import (
    add_model_argument,
    add_overwrite_argument,
    add_recording_arguments,
    add_running_arguments,
    load,
    model_files,
    print_error,
    print_line,
)
from hearaudiomlp.errors import ExamplesError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearaudiomlp.cli.labels import LabelFile
    from hearaudiomlp.similar import Similar
    from hearaudiomlp.table.scenes import SceneTable

NAME = "similar"
HELP = "Find the recordings or segments of a table that are most like a given one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from hearaudiomlp.cli.labels import NO
    from hearaudiomlp.table.formats import ENDINGS

    add_model_argument(parser)
    add_running_arguments(parser)
    parser.add_argument(
        "query",
        metavar="QUERY",
        help="a recording; or the path that it has in the table, where there is no such file; or "
        "the number of a row, from 0 (a file that is called so is ./12)",
    )
    parser.add_argument("table", metavar="TABLE", help=f"what embed wrote: {', '.join(ENDINGS)}")
    parser.add_argument(
        "-k", type=int, default=20, metavar="N", help="how many to find (default: %(default)s)"
    )
    parser.add_argument("--start", type=float, metavar="S", help="second at which QUERY begins")
    parser.add_argument("--end", type=float, metavar="S", help="second at which QUERY ends")
    add_recording_arguments(parser, split=False)
    parser.add_argument(
        "-o", "--output", type=_page, metavar="OUT.html", help="a page that plays what was found"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--csv", action="store_true", help="print lines for a spreadsheet")
    form.add_argument(
        "--label",
        type=Path,
        metavar="FILE.csv",
        help="ask about each one, and add the answers to a file that fit takes",
    )
    parser.add_argument(
        "--as",
        dest="name",
        default="yes",
        metavar="LABEL",
        help=f"label of those that are right; the others are {NO} (default: %(default)s)",
    )
    add_overwrite_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Search, and show what was found."""
    from hearaudiomlp.cli.labels import LabelFile
    from hearaudiomlp.fitting.examples import read_label
    from hearaudiomlp.similar import check_options, embed_query, search
    from hearaudiomlp.storage.atomic import replacing
    from hearaudiomlp.storage.ownership import check_output, mark_page
    from hearaudiomlp.table.scenes import SceneTable

    inputs = [options.query, options.table, *model_files(options)]
    check = None
    try:
        check_options(options.k, options.start, options.end)
        if options.label:
            read_label(options.name)  # as fit will
        labels = LabelFile(options.label, inputs) if options.label else None
        if options.output:
            check = partial(
                check_output, options.output, overwrite=options.overwrite, inputs=inputs
            )
            check()
    except (OptionError, ExamplesError) as problem:
        print_error(problem)
        return 2
    table = SceneTable(options.table)
    is_row = options.query.isascii() and options.query.isdecimal() and len(options.query) < 20
    query = embed_query(
        int(options.query) if is_row else options.query,
        table,
        start=options.start,
        end=options.end,
        channel=None if options.channels == "average" else options.channels,
        on_truncated=options.on_truncated,
        model=load(options) if options.model else None,
        device=options.device,
        threads=options.threads,
    )
    found = search(query, table, options.k)
    if options.output:
        page = mark_page(_fill(options, table, found).encode("utf-8"))
        with replacing(options.output, check=check) as file:
            file.write(page)
    _print(options, table, found)
    return _ask(found, labels, options.name) if labels else 0


def _print(options: argparse.Namespace, table: "SceneTable", found: "Sequence[Similar]") -> None:
    if options.json:
        import json

        facts = {"query": options.query, "start": options.start, "end": options.end}
        facts |= {"table": options.table, "rows": table.count, "model": table.model}
        facts["checkpoint_sha256"] = table.checkpoint_sha256
        print_line(json.dumps(facts | {"results": [one._asdict() for one in found]}))
    elif options.csv:
        import csv
        import io

        from hearaudiomlp._text import spreadsheet_cell

        for line in (found[0]._fields, *found):
            text = io.StringIO()
            csv.writer(text, lineterminator="").writerow(map(spreadsheet_cell, line))
            print_line(text.getvalue())
    elif options.output:
        print_line(f"{options.output}: {len(found)} of {table.count:,} rows")
    elif not options.label:
        print_line(f"{len(found)} of {table.count:,} rows of {options.table}")
        print_line(f"{'similarity':>10s} {'row':>9s} {'start':>9s} {'end':>9s}  path")
        for one in found:
            times = ("" if at is None else f"{at:.2f}" for at in (one.start, one.end))
            channel = f", channel {one.channel}" if one.channel else ""
            start, end = times
            print_line(
                f"{one.similarity:10.4f} {one.row:9d} {start:>9s} {end:>9s}  {one.path}{channel}"
            )


def _ask(found: "Sequence[Similar]", labels: "LabelFile", name: str) -> int:
    from hearaudiomlp.cli.labels import ask

    try:
        with interrupts.unwinding():
            added = ask(found, labels, name)
    except KeyboardInterrupt:
        print_error(f"interrupted; what was answered is in {labels.path}")
        return 130
    print_line(f"{labels.path}: {added} labels added")
    return 0


def _fill(options: argparse.Namespace, table: "SceneTable", found: "Sequence[Similar]") -> str:
    from hearaudiomlp._text import spreadsheet_cell
    from hearaudiomlp.cli.labels import COLUMNS, NO, path_from
    from hearaudiomlp.figures.pages import fill_page

    folder = options.output.parent

    def entry(path: str, start: float | None, end: float | None) -> dict[str, Any]:
        relative = path_from(path, folder)
        facts = {"path": path, "start": start, "end": end, "audio": _link(relative)}
        return facts | {"csv": spreadsheet_cell(relative)}

    query = entry(options.query, options.start, options.end)
    if not os.path.exists(options.query):  # noqa: PTH110 - raises nothing where it is too long
        query |= {"path": f"row {options.query}" if options.query.isdecimal() else options.query}
        query["audio"] = ""
    results = [
        entry(one.path, one.start, one.end)
        | {"channel": one.channel, "similarity": round(one.similarity, 4)}
        for one in found
    ]
    data = {"query": query, "results": results, "rows": table.count, "table": options.table}
    return fill_page("similar.html", data | {"label": options.name, "no": NO, "columns": COLUMNS})


def _link(path: str) -> str:
    """Return a link to a recording from a page beside which the path begins; "" if none can be."""
    from urllib.parse import quote

    try:
        if path.startswith(("http://", "https://")):
            return quote(path, safe="/:?&=%+,;@~!$'()*")
        if os.path.isabs(path):  # noqa: PTH117 - it may be no path of this system
            return Path(path).as_uri()
        return quote(path.encode(errors="surrogateescape"))
    except UnicodeEncodeError:  # half a character, as no name of a file has it
        return ""


def _page(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".html":
        raise argparse.ArgumentTypeError(f"has to end in .html: {text}")
    return path
