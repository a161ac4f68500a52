"""Devices and execution providers: which exist, and which compute."""

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from hearaudiomlp.errors import OptionError, warn_once

Provider = str | tuple[str, Mapping[str, Any]]
"""ONNX Runtime's name of a provider, or that and its options."""

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

ADVICE: Mapping[str, str] = {CUDA: ": check the driver and the CUDA and cuDNN libraries"}
"""What to do where a provider can't be used."""

GPU_BUILD = "pip uninstall -y onnxruntime && pip install 'hearaudiomlp[gpu]'"
"""How to get a build of ONNX Runtime with CUDA."""


class DeviceFallbackWarning(RuntimeWarning):
    """``device="auto"`` fell back to the CPU.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(action="error", category=DeviceFallbackWarning):
        ...     warn_of_fallback("CUDA can't be used: no driver")
        Traceback (most recent call last):
            ...
        hearaudiomlp.inference.providers.DeviceFallbackWarning: CUDA can't be used: no driver
    """


def warn_of_fallback(message: str) -> None:
    """Warn, once for each message, that ``device="auto"`` fell back to the CPU.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_of_fallback("no GPU is free")
        >>> print(caught[0].message)
        no GPU is free
    """
    warn_once(message, message, DeviceFallbackWarning)


def parse_device(device: str) -> tuple[str, int]:
    """Return the kind of device and its number.

    Raises:
        OptionError: it isn't ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Examples:
        >>> parse_device("cuda:1")
        ('cuda', 1)
    """
    kind, colon, index = str(device).partition(":")
    if kind not in ("auto", "cpu", "cuda") or (
        colon and not (kind == "cuda" and index.isdecimal())
    ):
        raise OptionError(f'device is "auto", "cpu", "cuda" or "cuda:N", not {device!r}')
    return kind, int(index or 0)


def may_have_nvidia_gpu() -> bool:
    """Whether there is a sign of an NVIDIA GPU's driver; on Windows, always.

    Examples:
        >>> may_have_nvidia_gpu() in (True, False)
        True
    """
    if sys.platform != "linux":
        return sys.platform == "win32"
    drivers = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/dxg")
    return any(os.path.exists(driver) for driver in drivers)


def preload_cuda(ort: ModuleType) -> str:
    """Load the CUDA libraries of installed nvidia packages; return which of them are missing.

    Examples:
        >>> from types import ModuleType
        >>> preload_cuda(ModuleType("a build without CUDA"))
        ''
    """
    if not hasattr(ort, "preload_dlls"):
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # it prints what it can't find
        ort.preload_dlls()
    found = [line for line in printed.getvalue().splitlines() if line.startswith("Failed to load")]
    return "; ".join(line.partition(": ")[0] for line in found)


def named_providers(providers: object) -> list[tuple[str, dict[str, Any]]]:
    """Return providers as pairs of name and options.

    Raises:
        OptionError: they aren't a list of names, or of pairs of name and options.

    Examples:
        >>> named_providers(["CPUExecutionProvider"])
        [('CPUExecutionProvider', {})]
    """
    if isinstance(providers, str) or not isinstance(providers, Sequence) or not providers:
        raise OptionError(f"providers is a list of names, [{CPU!r}] for example, not {providers!r}")
    pairs: list[tuple[str, dict[str, Any]]] = []
    for provider in providers:
        match provider:
            case str(name):
                pairs.append((name, {}))
            case (str(name), Mapping() as options):
                pairs.append((name, dict(options)))
            case _:
                raise OptionError(f"a provider is a name or (name, options), not {provider!r}")
    return pairs


def computing_providers(session: Any) -> tuple[str, ...]:
    """Return the providers that have a part of the graph; a registered one may have none.

    Args:
        session: an ``onnxruntime.InferenceSession``.

    Examples:
        >>> from hearaudiomlp.inference.ort import onnxruntime
        >>> options = onnxruntime().SessionOptions()
        >>> options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        >>> session = onnxruntime().InferenceSession("onnx_models/kwmlp.onnx", options)
        >>> computing_providers(session)
        ('CPUExecutionProvider',)
    """
    providers = session.get_providers()
    if hasattr(session, "get_provider_graph_assignment_info"):  # ONNX Runtime 1.24
        used = {part.ep_name for part in session.get_provider_graph_assignment_info()}
        providers = [name for name in providers if name in used]
    return tuple(providers)
