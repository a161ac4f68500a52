#!/usr/bin/env python3
"""Compile embed.c against ONNX Runtime from package registries; print the program's path.

The library is the one inside the `onnxruntime` wheel of this Python. The header is in no package
for C: it is taken from the npm package of ONNX Runtime's Unity plugin, which carries it for iOS
(150 MB are downloaded for it). Whoever has a release of ONNX Runtime gives both by hand.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().with_name("embed.c")
HEADER_PACKAGE = "com.github.asus4.onnxruntime@0.4.9"
HEADER = "onnxruntime_c_api.h"


def wheel_library() -> Path:
    """Return ONNX Runtime's shared library inside the installed wheel."""
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in Path(folder, "capi").glob("libonnxruntime.so.*"):
            return library
    raise SystemExit("no libonnxruntime.so: pip install onnxruntime, or give --library")


def download_headers(folder: Path) -> Path:
    """Put the headers of the npm package into a folder, unless they are there; return it."""
    include = folder / "include"
    if (include / HEADER).exists():
        return include
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, HEADER_PACKAGE]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(scratch).glob("*.tgz")
        found = Path(scratch, "include")
        found.mkdir()
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and "/Headers/" in member.name and member.name.endswith(".h"):
                    content = tar.extractfile(member)
                    assert content is not None
                    (found / Path(member.name).name).write_bytes(content.read())
        if not (found / HEADER).exists():
            raise SystemExit(f"{HEADER_PACKAGE} has no {HEADER}: give --include")
        found.rename(include)
    return include


def build(folder: Path, include: Path | None = None, library: Path | None = None) -> Path:
    """Compile the example.

    Args:
        folder: for the program and a link to the library.
        include: folder with ``onnxruntime_c_api.h``; downloaded if not given.
        library: ``libonnxruntime.so``; that of the installed wheel if not given.

    Returns:
        The program's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    include = include or download_headers(folder)
    library = (library or wheel_library()).resolve()
    # The program looks for the name that the library calls itself, which the wheel doesn't have.
    link = folder / "libonnxruntime.so.1"
    link.unlink(missing_ok=True)
    link.symlink_to(library)
    program = folder / "embed"
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    command = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-isystem{include}"]
    command += [str(SOURCE), str(link), "-Wl,-rpath,$ORIGIN", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=SOURCE.with_name("build"))
    parser.add_argument("--include", type=Path, metavar="FOLDER", help=f"where {HEADER} is")
    parser.add_argument("--library", type=Path, metavar="FILE", help="libonnxruntime.so")
    options = parser.parse_args()
    print(build(options.output, options.include, options.library))
    return 0


if __name__ == "__main__":
    sys.exit(main())
