"""``hearaudiomlp fit``: a model file of your own words or sounds."""

import argparse

from hearaudiomlp.cli.options import (
    add_encoder_argument,
    add_model_argument,
    add_overwrite_argument,
    count_argument,
    print_error,
    print_line,
)

NAME = "fit"
HELP = "Fit a classifier of your own words or sounds to recordings, as a model file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "recordings",
        metavar="RECORDINGS",
        help="a folder with a folder of recordings for each class (_other_: everything else), or a "
        "CSV with the columns path, label and, if wanted, start, end and group",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the model file")
    add_model_argument(parser)
    add_encoder_argument(parser)
    parser.add_argument("--seed", type=int, default=0, help="of what is random (default: 0)")
    parser.add_argument(
        "--threads", type=count_argument, metavar="N", help="threads (default: all usable)"
    )
    add_overwrite_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Fit, write the file and its report, and print what matters of that."""
    from pathlib import Path

    from hearaudiomlp.figures.style import import_matplotlib
    from hearaudiomlp.fitting.run import fit

    if not Path(options.output).parent.is_dir():
        print_error(f"there is no folder {Path(options.output).parent} to write to")
        return 2
    import_matplotlib()
    fitted = fit(
        options.recordings,
        options.output,
        model=options.model,
        name=options.encoder,
        overwrite=options.overwrite,
        seed=options.seed,
        threads=options.threads,
        progress=print_error,
    )
    results = fitted.results
    for recall in results.recalls:
        low, high = recall.interval
        print_line(
            f"{recall.label}: {recall.found} of {recall.count} recordings found when held out "
            f"({low:.0%} to {high:.0%})"
        )
    print_line(
        f"about {results.false_alarms:.0f} windows of other sound an hour reach the threshold "
        "(estimate)"
    )
    print_line(f"ten more recordings of {results.advice} would help most")
    print_line(f"{fitted.path}: {', '.join(fitted.labels)}; report: {fitted.report}")
    return 0
