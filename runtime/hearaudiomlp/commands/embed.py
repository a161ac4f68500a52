"""``hearaudiomlp embed``: files of audio into one ``.npz``."""

import argparse
from pathlib import Path

from hearaudiomlp.commands.common import (
    add_encoder_argument,
    add_model_argument,
    add_running_arguments,
    load,
    say,
    tell,
)

NAME = "embed"
HELP = "Embed audio files into one .npz."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_argument(parser)
    add_encoder_argument(parser)
    add_running_arguments(parser)
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="audio of any rate and channel count"
    )
    parser.add_argument("-o", "--output", type=_npz, required=True, metavar="OUT.npz")


def run(options: argparse.Namespace) -> int:
    """Embed the files; what failed is said, and the rest written all the same."""
    from hearaudiomlp.embed import Failed, embed_files
    from hearaudiomlp.npz import NpzWriter

    if not options.output.parent.is_dir():
        say(f"there is no folder {options.output.parent} to write to")
        return 2
    if options.output.is_dir():
        say(f"{options.output} is a folder")
        return 2
    model = load(options)
    writer = NpzWriter(options.output, model)
    for file in embed_files(options.files, model):
        if isinstance(file, Failed):
            say(file.problem)
            continue
        writer.add(file)
        tell(
            f"{file.path}: {file.duration:.2f} s, {file.n_timestamps} x "
            f"{model.timestamp_embedding_size} timestamp and {model.scene_embedding_size} "
            "scene values"
        )
    done = len(writer)
    if done:
        writer.write()
        files = "1 file" if done == 1 else f"{done} files"
        tell(f"{options.output}: {files}, {model.name} on {model.device}")
    failed = len(options.files) - done
    if failed:
        say(f"{failed} of {len(options.files)} files failed")
        if not done:
            say("nothing was written")
    return 1 if failed else 0


def _npz(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".npz":
        raise argparse.ArgumentTypeError(f"has to end in .npz: {text}")
    return path
