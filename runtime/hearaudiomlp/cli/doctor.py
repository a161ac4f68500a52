"""``hearaudiomlp doctor``: what is installed, and whether it works."""

import argparse

from hearaudiomlp.cli.options import print_line

NAME = "doctor"
HELP = "Tell what is installed and whether it works, on one screen to paste into an issue."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_: argparse.Namespace) -> int:
    """Print one fact a line; 1, if something has to be mended."""
    from hearaudiomlp.cli._doctor import examine

    wrong = 0
    before = None
    for fact in examine():
        topic = fact.topic if fact.topic != before else ""
        before = fact.topic
        print_line(f"{'' if fact.well else '! '}{topic:{12 if fact.well else 10}s} {fact.text}")
        wrong += not fact.well
    print_line(f"{wrong} to be mended, marked with !" if wrong else "all is well")
    return 1 if wrong else 0
