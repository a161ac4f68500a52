"""Import ONNX Runtime, without its telemetry, and find out which of its builds are installed."""

import os
from types import ModuleType

import numpy as np

from hearaudiomlp.errors import MissingPackageError


def onnxruntime() -> ModuleType:
    """Import ONNX Runtime (its telemetry off unless the user turned it on) and return it.

    Raises:
        MissingPackageError: it is missing, or several builds of it overwrite each other.

    Examples:
        >>> "CPUExecutionProvider" in onnxruntime().get_available_providers()
        True
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as ort
    except ImportError as problem:
        raise MissingPackageError(
            f"ONNX Runtime can't be imported ({problem}): pip install 'hearaudiomlp[cpu]', "
            "or 'hearaudiomlp[gpu]' for NVIDIA GPUs"
        ) from problem
    # A package that lost its __init__.py to the removal of another build has a path, but no file.
    builds = installed_builds(os.path.dirname(next(iter(ort.__path__))))
    if len(builds) > 1:
        keep = "onnxruntime-gpu" if "onnxruntime-gpu" in builds else builds[0]
        raise MissingPackageError(
            f"{' and '.join(builds)} are both installed and overwrite each other's files: "
            f"pip uninstall -y {' '.join(builds)} && pip install {keep}"
        )
    if not hasattr(ort, "InferenceSession"):
        raise MissingPackageError(
            "the package onnxruntime is damaged, as it is when one of two builds was uninstalled: "
            f"pip install --force-reinstall --no-deps {builds[0] if builds else 'onnxruntime'}"
        )
    if os.environ["ORT_DISABLE_TELEMETRY"] == "1":
        ort.disable_telemetry_events()  # for a caller who imported onnxruntime before us
    # Its bindings import parts of numpy for the first array that they return. While Python shuts
    # down nothing can be imported any more, but destructors may still use a model.
    ort.OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32)).numpy()
    return ort  # type: ignore[no-any-return]


def installed_builds(site_packages: str | os.PathLike[str]) -> list[str]:
    """Return the names of the builds of ONNX Runtime in a folder of packages.

    importlib.metadata would find them too, but importing it takes longer than all of this package.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.mkdir(os.path.join(folder, "onnxruntime_gpu-1.22.0.dist-info"))
        ...     installed_builds(folder)
        ['onnxruntime-gpu']
    """
    names = {
        name.split("-", 1)[0].replace("_", "-").lower()
        for name in os.listdir(site_packages)
        if name.startswith("onnxruntime") and name.endswith(".dist-info")
    }
    # onnxruntime-extensions and the like are other packages that live beside it.
    builds = ("", "-gpu", "-openvino", "-directml", "-qnn", "-rocm", "-migraphx", "-training")
    return [build for suffix in builds if (build := f"onnxruntime{suffix}") in names]
