"""The ``hearaudiomlp`` command."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hearaudiomlp import HearAudioMLPError, Model, __version__, load_model


def _say(message: object) -> None:
    print(f"hearaudiomlp: {message}", file=sys.stderr)


def _tell(message: str) -> None:
    """Print to standard output, and go on with the work when nobody reads it any more."""
    try:
        print(message, flush=True)
    except BrokenPipeError:
        # Python would flush once more at the end, and complain.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _load(options: argparse.Namespace) -> Model:
    return load_model(options.model, device=options.device, threads=options.threads)


def _embed(options: argparse.Namespace) -> int:
    from hearaudiomlp.embed import Failed, embed_files
    from hearaudiomlp.npz import NpzWriter

    if not options.output.parent.is_dir():
        _say(f"there is no folder {options.output.parent} to write to")
        return 2
    if options.output.is_dir():
        _say(f"{options.output} is a folder")
        return 2
    model = _load(options)
    writer = NpzWriter(options.output, model)
    for file in embed_files(options.files, model):
        if isinstance(file, Failed):
            _say(file.problem)
            continue
        writer.add(file)
        _tell(
            f"{file.path}: {file.duration:.2f} s, {file.n_timestamps} x "
            f"{model.timestamp_embedding_size} timestamp and {model.scene_embedding_size} "
            "scene values"
        )
    done = len(writer)
    if done:
        writer.write()
        files = "1 file" if done == 1 else f"{done} files"
        _tell(f"{options.output}: {files}, {model.name} on {model.device}")
    failed = len(options.files) - done
    if failed:
        _say(f"{failed} of {len(options.files)} files failed")
        if not done:
            _say("nothing was written")
    return 1 if failed else 0


def _info(options: argparse.Namespace) -> int:
    from hearaudiomlp.info import describe

    for name, fact in describe(options.model, _load(options)).items():
        _tell(f"{name:12s} {fact}")
    return 0


def _threads(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return value


def _npz(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".npz":
        raise argparse.ArgumentTypeError(f"has to end in .npz: {text}")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hearaudiomlp", description="Audio embeddings from two tiny gated-MLP encoders."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    running = argparse.ArgumentParser(add_help=False)
    running.add_argument("--device", default="auto", help="auto (the default), cpu, cuda or cuda:N")
    running.add_argument(
        "--threads", type=_threads, metavar="N", help="threads on the CPU (default: all usable)"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=[running])
        added.set_defaults(run=run)
        return added

    embed = command("embed", _embed, "Embed audio files into one .npz.")
    embed.add_argument(
        "files", nargs="+", metavar="FILE", help="audio of any rate and channel count"
    )
    embed.add_argument("-o", "--output", type=_npz, required=True, metavar="OUT.npz")
    embed.add_argument(
        "--model", required=True, metavar="FILE", help="an exported .onnx or a published .pth"
    )
    info = command("info", _info, "Tell what a model file consists of.")
    info.add_argument("model", metavar="MODEL", help="an exported .onnx or a published .pth")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    0: all done; 1: something failed (it was said what); 2: wrong usage; 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # names of files may be no text at all
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        return 130
    except HearAudioMLPError as problem:
        _say(problem)
        return 1
    except OSError as problem:
        _say(problem)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
