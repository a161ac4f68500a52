"""``hearaudiomlp doctor``: what is installed, and whether it works; tried, not assumed."""

import argparse
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hearaudiomlp.cli.options import print_line
from hearaudiomlp.errors import HearAudioMLPError
from hearaudiomlp.spec import ENCODERS

if TYPE_CHECKING:  # imported when the command runs
    from hearaudiomlp import selftest

NAME = "doctor"
HELP = "Show what is installed and whether it works, on one screen to paste into an issue."

_NOT_LISTED = {"cpu", "gpu", "export", "train", "voices", "test", "docs", "dev"}
"""Extras of the export side and of development, and the builds of ONNX Runtime, which have a line
of their own."""

_REQUIREMENT = re.compile(r"""([\w.-]+)[^;]*; *extra *== *["'](\w+)["']""")
"""A line of this package's metadata: a package, and the extra that installs it."""

_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HEARAUDIOMLP_CACHE",
    "HEARAUDIOMLP_KERNELS",
    "OMP_NUM_THREADS",
    "TMPDIR",
)


class _Fact(NamedTuple):
    """One line of the screen."""

    topic: str
    text: str
    ok: bool = True
    """False for a problem."""


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # half the time of --help

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _extras() -> dict[str, list[str]]:
    """Return the packages that each extra installs; none, where this package isn't installed."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("hearaudiomlp") or []
    except PackageNotFoundError:
        lines = []
    extras: dict[str, list[str]] = {}
    for line in lines:
        found = _REQUIREMENT.fullmatch(line)
        if found is not None and found[2] not in _NOT_LISTED:
            extras.setdefault(found[2], []).append(found[1])
    return extras


def _versions() -> Iterator[_Fact]:
    import numpy as np

    import hearaudiomlp

    yield _Fact(
        "hearaudiomlp",
        f"{hearaudiomlp.__version__} in {Path(hearaudiomlp.__file__).parent}",
    )
    yield _Fact("python", f"{platform.python_version()} ({sys.executable})")
    yield _Fact("system", f"{platform.platform()}")
    yield _Fact("numpy", np.__version__)
    have: list[str] = []
    lack: list[str] = []
    for extra, packages in _extras().items():
        versions = {name: _version(name) for name in packages}
        have += [f"{name} {found}" for name, found in versions.items() if found]
        lack += [] if all(versions.values()) else [extra]
    yield _Fact("extras", ", ".join(dict.fromkeys(have)) or "none")
    if lack:
        yield _Fact("extras", f"not installed: {', '.join(lack)}")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _threads() -> Iterator[_Fact]:
    from hearaudiomlp.inference.thread_pool import cgroup_quota, usable_cpus

    quota = cgroup_quota()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    counts = [f"{usable_cpus()} usable of {os.cpu_count()}"]
    counts += [f"affinity {affinity}"] if affinity is not None else []
    counts.append(f"cgroup quota {quota:g}" if quota is not None else "no cgroup quota")
    yield _Fact("CPUs", f"{_cpu_name()}: {', '.join(counts)}")
    found = [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
    if found:
        yield _Fact("environment", " ".join(found))


def _kernels() -> Iterator[_Fact]:
    from hearaudiomlp.errors import DeviceError, MissingPackageError
    from hearaudiomlp.inference.kernels import find_kernels

    try:
        found = find_kernels()
    except MissingPackageError:
        return  # as the extras say
    except DeviceError as problem:
        yield _Fact("kernels", f"not used: {problem}")
    else:
        yield _Fact("kernels", f"{found.isa}, in {found.library}")


def _providers() -> Iterator[_Fact]:
    """Run both encoders on each provider that ONNX Runtime has; compare with stored figures."""
    from hearaudiomlp import selftest
    from hearaudiomlp.inference import ort as onnxruntime
    from hearaudiomlp.inference.providers import CPU, CUDA

    try:
        ort = onnxruntime.onnxruntime()
    except HearAudioMLPError as problem:
        yield _Fact("onnxruntime", str(problem), ok=False)
        return
    folder = next(iter(ort.__path__))
    yield _Fact("onnxruntime", f"{ort.__version__} in {folder}")
    for provider in reversed(ort.get_available_providers()):
        name = provider.removesuffix("ExecutionProvider")
        try:
            with _quiet():
                findings = [_check(encoder, provider) for encoder in ENCODERS]
        except HearAudioMLPError as problem:
            # The others are in many builds, whether or not a machine has what they need.
            ok = provider not in (CPU, CUDA)
            yield _Fact(name, f"can't be used: {_short(problem)}", ok=ok)
            continue
        for found in findings:
            yield _Fact(
                name,
                f"{found.encoder} {'ok' if found.passed else 'WRONG'}: error {found.error:.0e} "
                f"(limit {selftest.TOLERANCE:.0e}), {found.milliseconds:.1f} ms per window"
                + (f", {found.kernels} kernels" if found.kernels else ""),
                ok=found.passed,
            )


def _check(encoder: str, provider: str) -> "selftest.Finding":
    from hearaudiomlp import selftest
    from hearaudiomlp.inference.providers import CUDA

    if provider == CUDA:  # as a device, its libraries are looked for too
        return selftest.check(encoder, device="cuda")
    return selftest.check(encoder, providers=[provider])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what ONNX Runtime itself writes to standard error; its errors are reported."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _short(problem: Exception) -> str:
    text = " ".join(str(problem).partition(" ([")[0].split())  # ONNX Runtime's messages are long
    return text if len(text) < 160 else f"{text[:157]}..."


def _weights() -> Iterator[_Fact]:
    """List the weights that are there, each loaded as a user would load it."""
    import hearaudiomlp
    from hearaudiomlp.weights import locate

    folder = locate.cache_folder()
    yield _Fact("cache", f"{folder}{'' if folder.is_dir() else ' (not there yet)'}")
    for kind, find in (("bundled", locate.bundled), ("pulled", locate.pulled)):
        for name in ENCODERS:
            path = Path(find(name))
            if not path.exists():
                yield _Fact(kind, f"{name}: none")
                continue
            try:
                start = time.perf_counter()
                model = hearaudiomlp.load_model(path, name=name, device="cpu")
            except HearAudioMLPError as problem:
                yield _Fact(kind, f"{name}: {_short(problem)}", ok=False)
                continue
            took = 1000 * (time.perf_counter() - start)
            sha256 = model.metadata["checkpoint_sha256"][:12]
            yield _Fact(kind, f"{name}: {path}, SHA-256 {sha256}..., loaded in {took:.0f} ms")


def _examine() -> Iterator[_Fact]:
    """Find the facts, one by one."""
    yield from _versions()
    yield from _threads()
    yield from _kernels()
    yield from _providers()
    yield from _weights()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_: argparse.Namespace) -> int:
    """Print one fact a line; return 1 if there is a problem."""
    problems = 0
    before = None
    for fact in _examine():
        topic = fact.topic if fact.topic != before else ""
        before = fact.topic
        print_line(f"{'' if fact.ok else '! '}{topic:{12 if fact.ok else 10}s} {fact.text}")
        problems += not fact.ok
    if problems:
        print_line(f"{problems} problem{'s' if problems > 1 else ''}, marked with !")
        return 1
    print_line("no problems found")
    return 0
