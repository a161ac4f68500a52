"""``hearaudiomlp keywords``: the words spoken in audio files, and when."""

import argparse
import json
from typing import TYPE_CHECKING

from hearaudiomlp.cli.options import (
    add_model_argument,
    add_recording_arguments,
    add_running_arguments,
    load,
    print_error,
    print_line,
)

if TYPE_CHECKING:
    from hearaudiomlp import Model
    from hearaudiomlp.keywordfiles import Spotted

NAME = "keywords"
HELP = "Find which of 35 words are spoken in audio files, and when."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from hearaudiomlp.keywords.hits import HOP_S, QUIET_DB, SMOOTHING_S, THRESHOLD

    add_model_argument(parser)
    add_running_arguments(parser)
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="audio of any rate and channel count"
    )
    parser.add_argument(
        "--hop",
        type=float,
        default=HOP_S,
        metavar="SECONDS",
        help="from one window of a second to the next (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="averaged probability from which a word counts as spoken, up to 1 "
        f"(default: the model file's, or {THRESHOLD})",
    )
    parser.add_argument(
        "--smoothing",
        type=float,
        default=SMOOTHING_S,
        metavar="SECONDS",
        help="over which the windows' probabilities are averaged; 0: not at all "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=QUIET_DB,
        metavar="DB",
        help="level of a window, in dB below full scale (RMS), under which it counts as silence "
        "(default: %(default)s)",
    )
    add_recording_arguments(parser, split=False)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    form.add_argument(
        "--labels", action="store_true", help="an Audacity label track, of one file only"
    )


def run(options: argparse.Namespace) -> int:
    """Print the keywords of each file; report those that fail, without stopping."""
    from hearaudiomlp.embed import Failed
    from hearaudiomlp.keywordfiles import spot_files

    if options.labels and len(options.files) > 1:
        print_error(f"--labels is the label track of one file, not of {len(options.files)}")
        return 2
    model = load(options)
    failed = 0
    for file in spot_files(
        options.files,
        model,
        hop=options.hop,
        threshold=options.threshold,
        smoothing=options.smoothing,
        quiet=options.quiet,
        channel=None if options.channels == "average" else options.channels,
        on_truncated=options.on_truncated,
    ):
        if isinstance(file, Failed):
            failed += 1
            print_error(file.problem)
            if options.json:
                print_line(json.dumps({"path": file.path, "error": str(file.problem)}))
        elif options.json:
            print_line(_json(file, model))
        elif options.labels:
            for hit in file.hits:
                print_line(f"{hit.start:.3f}\t{hit.end:.3f}\t{hit.word}")
        else:
            for line in _table(file):
                print_line(line)
    if failed and len(options.files) > 1:
        print_error(f"{failed} of {len(options.files)} files failed")
    return 1 if failed else 0


def _json(file: "Spotted", model: "Model") -> str:
    hits = [
        {
            "word": hit.word,
            "start": round(hit.start, 3),
            "end": round(hit.end, 3),
            "probability": round(hit.probability, 4),
        }
        for hit in file.hits
    ]
    facts: dict[str, str | float] = {"path": file.path, "duration": round(file.duration, 3)}
    if file.truncated:
        facts["truncated"] = file.truncated
    made_by = {key: model.metadata[key] for key in ("model", "checkpoint_sha256")}
    return json.dumps(facts | made_by | {"keywords": hits})


def _table(file: "Spotted") -> list[str]:
    words = "1 keyword" if len(file.hits) == 1 else f"{len(file.hits)} keywords"
    incomplete = f" (incomplete: {file.truncated})" if file.truncated else ""
    lines = [f"{file.path}: {file.duration:.2f} s{incomplete}, {words}"]
    if file.hits:
        lines.append(f"{'start':>9s} {'end':>9s}  {'word':10s} {'probability':>11s}")
    lines += [
        f"{hit.start:9.2f} {hit.end:9.2f}  {hit.word:10s} {hit.probability:11.2f}"
        for hit in file.hits
    ]
    return lines
