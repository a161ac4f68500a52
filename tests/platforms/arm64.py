#!/usr/bin/env python3
"""Run a Python command on an emulated 64-bit ARM machine, with the published aarch64 wheels.

    arm64.py FOLDER SCRIPT.py ARGUMENTS ...
    arm64.py FOLDER -m MODULE ARGUMENTS ...

FOLDER is filled on first use: Debian's Python for arm64 and its libraries, unpacked and not
installed, the wheels of numpy and onnxruntime of the versions that this Python has, and QEMU's
user mode emulator. Needs Debian (apt-get, dpkg) and no rights. This repository's runtime is
importable in the command. Files are those of this machine, under the same paths.

The emulated processor is a Cortex-A72, that of a Raspberry Pi 4. ONNX Runtime reads /proc/cpuinfo
and crashes on that of another architecture, so the emulated machine has one of its own.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 liblzma5 libpython3.11-minimal "
    "libpython3.11-stdlib libssl3 libstdc++6 libuuid1 python3.11-minimal zlib1g"
)
WHEELS = ("numpy", "onnxruntime")
TAGS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
EMULATOR = "qemu-aarch64-static"
CPUINFO = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


def _run(*command: str | Path, **environment: str) -> None:
    subprocess.run(
        command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )


def _debian(folder: Path, architecture: str, packages: Sequence[str]) -> Path:
    """Download and unpack Debian packages of an architecture, with apt's lists kept apart."""
    work, unpacked = folder / f"apt-{architecture}", folder / architecture
    for name in ("state/lists/partial", "cache/archives/partial", "debs"):
        (work / name).mkdir(parents=True, exist_ok=True)
    (work / "state" / "status").touch()
    settings = work / "apt.conf"
    settings.write_text(
        f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
        f'Dir::State "{work}/state"; Dir::State::status "{work}/state/status";\n'
        f'Dir::Cache "{work}/cache"; APT::Sandbox::User "";\n'
    )
    _run("apt-get", "-qq", "update", APT_CONFIG=str(settings))
    subprocess.run(
        ["apt-get", "-qq", "download", *packages],
        check=True,
        cwd=work / "debs",
        env={**os.environ, "APT_CONFIG": str(settings)},
    )
    for package in sorted((work / "debs").glob("*.deb")):
        _run("dpkg", "-x", package, unpacked)
    return unpacked


def prepare(folder: Path) -> None:
    """Fill the folder, unless that was done before."""
    done = folder / "complete"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    root = _debian(folder, "arm64", PACKAGES.split())
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "cpuinfo").write_text(CPUINFO)
    host = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    emulators = _debian(folder, host, ["qemu-user-static"])
    (emulators / "usr" / "bin" / EMULATOR).rename(folder / EMULATOR)
    for used_up in (emulators, folder / f"apt-{host}", folder / "apt-arm64"):
        shutil.rmtree(used_up)
    wheels = folder / "wheels"
    platforms = [option for tag in TAGS for option in ("--platform", tag)]
    pinned = [f"{name}=={version(name)}" for name in WHEELS]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    target = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11", *platforms]
    _run(*pip, "install", "-q", "--target", wheels, *target, *pinned)
    done.touch()


def command(folder: Path, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment that run Python in the emulator."""
    root = folder / "arm64"
    line = [str(folder / EMULATOR), "-cpu", "cortex-a72"]
    line += ["-L", str(root), str(root / "usr" / "bin" / "python3.11"), *arguments]
    paths = [
        str(folder / "wheels"),
        str(ROOT),
        str(ROOT / "runtime"),
        os.environ.get("PYTHONPATH", ""),
    ]
    return line, {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    folder = options.folder.resolve()
    prepare(folder)
    line, environment = command(folder, options.arguments)
    return subprocess.run(line, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
