"""What a bug report needs to know of an installation: tried, not assumed."""

import importlib.util
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import hearaudiomlp
from hearaudiomlp import selftest
from hearaudiomlp.errors import HearAudioMLPError
from hearaudiomlp.inference.cpus import cgroup_quota, usable_cpus
from hearaudiomlp.inference.ort import onnxruntime
from hearaudiomlp.inference.session import CPU, CUDA
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights import locate

_EXTRAS = {
    "audio": ("soundfile", "soxr"),
    "media": ("av",),
    "parquet": ("pyarrow",),
    "hdf5": ("h5py",),
    "dask": ("distributed",),
    "remote": ("fsspec",),
    "progress": ("rich",),
    "pull": ("pooch",),
    "live": ("sounddevice", "soxr"),
    "plot": ("matplotlib", "sklearn"),
    "torch": ("torch",),
}
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""Packages that are installed under another name than they are imported by."""

_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HEARAUDIOMLP_CACHE", "OMP_NUM_THREADS", "TMPDIR")


@dataclass(frozen=True)
class Fact:
    """One line of the screen."""

    topic: str
    text: str
    well: bool = True
    """False for what has to be mended."""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _versions() -> Iterator[Fact]:
    yield Fact(
        "hearaudiomlp",
        f"{hearaudiomlp.__version__} in {Path(hearaudiomlp.__file__).parent}",
    )
    yield Fact("python", f"{platform.python_version()} ({sys.executable})")
    yield Fact("system", f"{platform.platform()}")
    yield Fact("numpy", np.__version__)
    have: list[str] = []
    lack: list[str] = []
    for extra, packages in _EXTRAS.items():
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        for name in packages:
            told = f"{name} {_version(_DISTRIBUTIONS.get(name, name))}"
            if name not in missing and told not in have:  # soxr is in two extras
                have.append(told)
        lack += [extra] if missing else []
    yield Fact("extras", ", ".join(have) or "none")
    if lack:
        yield Fact("extras", f"not installed: {', '.join(lack)}")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _threads() -> Iterator[Fact]:
    quota = cgroup_quota()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    told = [f"{usable_cpus()} usable of {os.cpu_count()}"]
    told += [f"affinity {affinity}"] if affinity is not None else []
    told.append(f"cgroup quota {quota:g}" if quota is not None else "no cgroup quota")
    yield Fact("CPUs", f"{_cpu_name()}: {', '.join(told)}")
    found = [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
    if found:
        yield Fact("environment", " ".join(found))


def _providers() -> Iterator[Fact]:
    """Try each provider that ONNX Runtime has, on both encoders, against the stored figures."""
    try:
        ort = onnxruntime()
    except HearAudioMLPError as problem:
        yield Fact("onnxruntime", str(problem), well=False)
        return
    folder = next(iter(ort.__path__))
    yield Fact("onnxruntime", f"{ort.__version__} in {folder}")
    for provider in reversed(ort.get_available_providers()):
        name = provider.removesuffix("ExecutionProvider")
        try:
            with _quiet():
                findings = [_check(encoder, provider) for encoder in ENCODERS]
        except HearAudioMLPError as problem:
            # The others are in many builds, whether or not a machine has what they need.
            well = provider not in (CPU, CUDA)
            yield Fact(name, f"can't be used: {_short(problem)}", well=well)
            continue
        for found in findings:
            yield Fact(
                name,
                f"{found.encoder} {'right' if found.passed else 'WRONG'}: error {found.error:.0e} "
                f"(up to {selftest.TOLERANCE:.0e} is well), {found.milliseconds:.1f} ms a window",
                well=found.passed,
            )


def _check(encoder: str, provider: str) -> selftest.Finding:
    if provider == CUDA:  # as a device, its libraries are looked for too
        return selftest.check(encoder, device="cuda")
    return selftest.check(encoder, providers=[provider])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what ONNX Runtime writes to standard error by itself off the screen; errors are told."""
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
    text = " ".join(str(problem).partition(" ([")[0].split())  # ONNX Runtime's own words are long
    return text if len(text) < 160 else f"{text[:157]}..."


def _weights() -> Iterator[Fact]:
    """Tell which weights are there, each loaded as a user would."""
    folder = locate.cache_folder()
    yield Fact("cache", f"{folder}{'' if folder.is_dir() else ' (not there yet)'}")
    for kind, find in (("bundled", locate.bundled), ("pulled", locate.pulled)):
        for name in ENCODERS:
            path = Path(find(name))
            if not path.exists():
                yield Fact(kind, f"{name}: none")
                continue
            try:
                start = time.perf_counter()
                model = hearaudiomlp.load_model(path, name=name, device="cpu")
            except HearAudioMLPError as problem:
                yield Fact(kind, f"{name}: {_short(problem)}", well=False)
                continue
            took = 1000 * (time.perf_counter() - start)
            sha256 = model.metadata["checkpoint_sha256"][:12]
            yield Fact(kind, f"{name}: {path}, SHA-256 {sha256}..., loaded in {took:.0f} ms")


def examine() -> Iterator[Fact]:
    """Give the facts one by one, as they are found."""
    yield from _versions()
    yield from _threads()
    yield from _providers()
    yield from _weights()
