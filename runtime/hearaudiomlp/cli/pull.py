"""``hearaudiomlp pull``: download a published checkpoint."""

import argparse
import sys

from hearaudiomlp.cli import interrupts
from hearaudiomlp.cli.options import print_line
from hearaudiomlp.weights.published import PUBLISHED

NAME = "pull"
HELP = (
    "Download published checkpoints into the cache folder, where --model kwmlp and "
    "--model audiomae find them."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME", choices=tuple(PUBLISHED), help=" or ".join(PUBLISHED)
    )
    parser.epilog = (
        "The weights are under CC BY-SA 4.0. HEARAUDIOMLP_CACHE names another cache folder."
    )


def run(options: argparse.Namespace) -> int:
    """Download what isn't there yet, and print where it is."""
    from hearaudiomlp.weights.download import pull

    for name in options.names:
        checkpoint = PUBLISHED[name]
        with interrupts.unwinding(), _Bar(f"{name}.pth") as bar:
            path, new = pull(checkpoint, progress=bar.show)
        print_line(
            f"{path}: {'downloaded' if new else 'there already'}, {checkpoint.size:,} bytes, "
            "SHA-256 as published"
        )
        print_line(f"{name}: weights of {checkpoint.source}, {checkpoint.licence}")
    return 0


class _Bar:
    """One line of progress on standard error, where that is a terminal; cleared at the end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = ""

    def __enter__(self) -> "_Bar":
        return self

    def show(self, done: int, total: int) -> None:
        """Draw how far the download is."""
        filled = 24 * done // total
        line = (
            f"{self._name}  [{'#' * filled}{'.' * (24 - filled)}] "
            f"{done / 1e6:.2f} of {total / 1e6:.2f} MB"
        )
        if line != self._shown and sys.stderr.isatty():
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()
            self._shown = line

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write(f"\r{' ' * len(self._shown)}\r")
            sys.stderr.flush()
