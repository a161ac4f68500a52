"""``hearaudiomlp embed``: files, folders and archives of audio into a table of embeddings."""

import argparse
import gc
import os
from contextlib import ExitStack, closing, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from hearaudiomlp.cli.options import (
    add_encoder_argument,
    add_model_argument,
    add_overwrite_argument,
    add_recording_arguments,
    add_running_arguments,
    count_argument,
    load,
    print_error,
    print_line,
)
from hearaudiomlp.errors import AudioFileError, OptionError, OutputExistsError

if TYPE_CHECKING:
    from hearaudiomlp import Model
    from hearaudiomlp.table.formats.base import Format
    from hearaudiomlp.table.job import Failure, Report, Row
    from hearaudiomlp.table.listing import Listing
    from hearaudiomlp.table.run import Run

NAME = "embed"
HELP = "Embed audio files, folders or lists of them into one table."

_FEW = 20
"""Files up to which there is a line for each."""

_HEAPS, _MAP_FROM, _KEPT = (-8, 2), (-3, 1 << 22), (-1, 1 << 22)
"""Parameters of mallopt(3): heaps; bytes that are mapped apart; bytes that a heap keeps."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from hearaudiomlp.table.formats import ENDINGS, FORMATS

    add_model_argument(parser)
    add_encoder_argument(parser)
    add_running_arguments(parser)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="PATH",
        help="audio of any rate and channel count: files, folders, patterns (**), lists (.txt: a "
        "path a line; - for standard input), URLs",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=f"the table: {', '.join(ENDINGS)}",
    )
    parser.add_argument("--format", help=f"if OUT has another ending: one of {', '.join(FORMATS)}")
    parser.add_argument(
        "--kind",
        choices=("scene", "timestamps", "both"),
        help="embeddings to write (default: both for npz, scene for the others)",
    )
    add_recording_arguments(parser, split=True)
    parser.add_argument(
        "--segment",
        type=float,
        metavar="SECONDS",
        help="cut each file into segments, for a row of scene embeddings for each",
    )
    parser.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="from one segment to the next (default: --segment)",
    )
    parser.add_argument(
        "--on-error",
        choices=("skip", "stop"),
        default="skip",
        help="what to do about a file that can't be read (default: skip, and report it)",
    )
    add_overwrite_argument(parser)
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="resume an interrupted run (the default), or start over",
    )
    parser.add_argument(
        "--shard-files",
        type=count_argument,
        metavar="N",
        help="files in a shard (default: 250 to 1000)",
    )
    parser.add_argument(
        "--layout",
        choices=("heareval", "hear"),
        help="PATH is a HEAR task, and OUT a folder for heareval (hear: the earlier name)",
    )
    parser.add_argument(
        "--cluster", action="store_true", help="run in the processes of a local Dask cluster"
    )
    parser.add_argument(
        "--workers", type=count_argument, metavar="N", help="number of these processes"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on this Dask cluster")


def run(options: argparse.Namespace) -> int:
    """Embed the files; those that fail are reported, and the others are still written."""
    from hearaudiomlp.table.formats.heareval import HearevalTask

    try:
        form = _format(options)
    except OptionError as problem:
        print_error(problem)
        return 2
    segments = options.segment is not None
    kind = options.kind or ("both" if form.name == "npz" and not segments else "scene")
    if isinstance(form, HearevalTask):
        kind = form.kind
    _limit_heaps()
    model = load(options)
    listing = _listing(options, form)
    if not len(listing):
        print_error("no audio files were found")
        listing.close()
        return 1
    with closing(listing):
        return _run(options, form, kind, model, listing)


def _limit_heaps() -> None:
    """Have all threads share two heaps that give back what they don't use, with glibc.

    It gives each thread a heap, up to eight for each core, and every one keeps up to 64 MB of the
    most that it ever held. A process that runs the command again and again would grow to twice its
    size in hours; with these limits it doesn't, and 16 threads are as fast.
    """
    import ctypes

    if not any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        with suppress(AttributeError, OSError, TypeError):  # other C libraries
            for parameter, value in (_HEAPS, _MAP_FROM, _KEPT):
                ctypes.CDLL(None).mallopt(parameter, value)


def _run(
    options: argparse.Namespace, form: "Format", kind: str, model: "Model", listing: "Listing"
) -> int:
    from hearaudiomlp.segments import Cut
    from hearaudiomlp.storage.stopping import when_stopped
    from hearaudiomlp.table.run import Run

    try:
        going = Run(
            options.output,
            listing,
            model,
            format=form,
            kind=kind,
            cut=Cut.of(options.channels, options.on_truncated, options.segment, options.hop),
            shard_files=options.shard_files,
            resume=options.resume,
            overwrite=options.overwrite,
            inputs=options.files,
            say=print_error,
        )
    except (OptionError, FileNotFoundError, OutputExistsError) as problem:
        print_error(problem)
        return 2
    with when_stopped(lambda: print_error(_progress(going))), going:
        try:
            _work(going, options, model, stop=options.on_error == "stop" or form.name == "heareval")
            report = going.finish(print_error)
        except KeyboardInterrupt:
            print_error(f"interrupted; {_progress(going)}")
            return 130
        except OutputExistsError as problem:
            print_error(problem)
            print_error(f"stopped; {_progress(going)}")
            return 2
        except (AudioFileError, OSError) as problem:  # a file that isn't there, or a full disk
            print_error(problem)
            print_error(f"stopped; {_progress(going)}")
            return 1
        return _conclude(report, options, model)


def _format(options: argparse.Namespace) -> "Format":
    from hearaudiomlp.table.formats import ENDINGS, find_format
    from hearaudiomlp.table.formats.heareval import HearevalTask

    if options.workers and options.scheduler:
        raise OptionError("--workers is for a local cluster, and --scheduler for a remote one")
    if options.layout:
        if len(options.files) != 1:
            raise OptionError("--layout heareval takes the folder of one task")
        return HearevalTask(Path(options.files[0]))
    ending = PurePath(options.output).suffix.lower()
    if options.format is None and ending not in ENDINGS:
        raise OptionError(
            f"{options.output} has to end in {', '.join(ENDINGS)}, or --format has to name a format"
        )
    return find_format(options.format or ENDINGS[ending])


def _listing(options: argparse.Namespace, form: "Format") -> "Listing":
    from hearaudiomlp.table.find import Skipped, find, stat_path
    from hearaudiomlp.table.formats.heareval import HearevalTask
    from hearaudiomlp.table.listing import Listing

    skipped = Skipped()
    if isinstance(form, HearevalTask):
        return Listing(stat_path(path) for path in form.paths)
    listing = Listing(find(options.files, skipped))
    if str(skipped):
        print_error(f"skipped: {skipped}")
    return listing


def _progress(going: "Run") -> str:
    try:
        files, total = going.count_done(), sum(shard.count for shard in going.shards)
    except OutputExistsError as problem:
        return str(problem)
    if not files:
        return "nothing was written"
    kept = f"{files:,} of {total:,} files are done and stay in {going.spec.parts}"
    return f"{kept}: the same command resumes there"


def _work(going: "Run", options: argparse.Namespace, model: "Model", *, stop: bool) -> None:
    from hearaudiomlp.table.job import Failure
    from hearaudiomlp.table.progress import Lines, show_progress
    from hearaudiomlp.table.run import this_machine

    if going.complete:
        return
    files = sum(shard.count for shard in going.shards)
    done = sum(going.shards[index].count for index in going.done)
    if done:
        print_error(f"resuming: {done:,} of {files:,} files were done before")
    shown: Lines | None = None if files <= _FEW else show_progress(files, done, print_error)

    def on_file(result: "Row | Failure") -> None:
        if shown is not None:
            shown.file(result)
        elif isinstance(result, Failure):
            print_error(result.problem)
        else:
            print_line(_line(result, model))

    with ExitStack() as stack:
        if files > _FEW:
            # Objects created so far stay: scanning them for garbage again and again takes a tenth
            # of this thread's time. Garbage among them would stay, too, in a process that calls
            # the command more than once.
            gc.collect()
            gc.freeze()
            stack.callback(gc.unfreeze)
        if shown is not None:
            stack.callback(shown.close)
        if options.cluster or options.workers or options.scheduler:
            from hearaudiomlp.table.cluster import cluster, on_cluster

            client = stack.enter_context(cluster(model, options.scheduler, options.workers))
            workers = on_cluster(client)
        else:
            workers = this_machine(model)
        for _ in going.work(workers, on_file, stop_at_failure=stop):
            pass


def _line(row: "Row", model: "Model") -> str:
    """Describe a row of the table."""
    what = f"{row.path}, channel {row.channel}" if row.channel else row.path
    if row.end:
        return f"{what}: {row.start:.2f} to {row.end:.2f} s, {model.scene_embedding_size} values"
    incomplete = " (incomplete)" if row.truncated else ""
    return (
        f"{what}: {row.duration:.2f} s{incomplete}, {row.n_timestamps} x "
        f"{model.timestamp_embedding_size} timestamp and {model.scene_embedding_size} scene values"
    )


def _conclude(report: "Report", options: argparse.Namespace, model: "Model") -> int:
    failed = len(report.failed)
    if not report.fresh:
        print_line(f"{options.output}: already complete, nothing has changed since")
    if report.embedded:
        unit = "file" if options.segment is None and options.channels != "split" else "row"
        files = f"1 {unit}" if report.embedded == 1 else f"{report.embedded:,} {unit}s"
        hours = (
            f"{report.seconds / 3600:,.2f} h"
            if report.seconds >= 3600
            else (f"{report.seconds:,.1f} s")
        )
        print_line(f"{options.output}: {files}, {hours}, {model.name} on {model.device}")
    if failed:
        print_error(f"{failed:,} of {report.files:,} files failed: {options.output}.report.json")
        if not report.embedded:
            print_error(f"{options.output} was not written")
    return 1 if failed else 0
