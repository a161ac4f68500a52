"""Whether this machine computes correctly: the packaged graphs against stored figures.

The weights are seeded random numbers, so the test needs no file and is the same for everyone; the
figures are those of the readable torch network in float64, which ``python -m
hearaudiomlp_export.verify.selftest`` computes and stores.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.inference.providers import Provider
from hearaudiomlp.model import Model
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp.weights.model_file import ModelFile, packaged_graph

FIGURES = Path(__file__).with_name("data") / "selftest.json"
"""Where the stored figures are."""

TOLERANCE = 1e-4
"""Largest acceptable error, relative to max(1, largest value); float32's is a hundredth of it."""

_SEED = 2021
_TIMES = 5


def weights(name: str) -> dict[str, Floats]:
    """Return seeded weights for every tensor of an encoder: scales near 1, the rest near 0.

    Examples:
        >>> weights("kwmlp")["layers.0.fn.fn.proj_in.0.weight"].shape
        (256, 64)
    """
    # Unlike those of numpy's newer generators, these numbers never change.
    random = np.random.RandomState(_SEED)
    made = {}
    for key, shape in sorted(packaged_graph(name)[1].external.items()):
        values = random.standard_normal(shape) / (int(np.prod(shape[1:])) or 1) ** 0.5
        is_scale = len(shape) == 1 and key.endswith("weight")
        made[key] = (values * 0.2 + 1.0 if is_scale else values).astype(np.float32)
    return made


def window() -> Floats:
    """Return the sound of the test, one second: a chirp in noise [shape=(1, 16000)].

    Examples:
        >>> window().shape
        (1, 16000)
    """
    seconds = np.arange(WINDOW) / SAMPLE_RATE
    noise = np.random.RandomState(_SEED).standard_normal(WINDOW)
    chirp = np.sin(2 * np.pi * (100 + 1500 * seconds) * seconds)
    return (0.3 * chirp + 0.02 * noise).astype(np.float32)[None]


def sample(outputs: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the values of frame embeddings that are stored [shape=(n,)].

    Examples:
        >>> sample(np.zeros((1, 98, 8))).shape
        (9,)
    """
    return outputs.reshape(-1)[::89]


@dataclass(frozen=True)
class Finding:
    """The result of the test on one provider.

    Examples:
        >>> Finding("kwmlp", error=4e-7, milliseconds=1.5).passed
        True
    """

    encoder: str
    error: float
    """Relative to max(1, largest value)."""

    milliseconds: float
    """For one window on one thread, the best of five times."""

    kernels: str | None = None
    """Instruction set of the kernels that computed the blocks, if they did."""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN isn't."""
        return bool(self.error <= TOLERANCE)


def check(name: str, *, device: str = "auto", providers: list[Provider] | None = None) -> Finding:
    """Run an encoder with the seeded weights and compare it with the stored figures.

    Args:
        name: ``kwmlp`` or ``audiomae``.
        device: as for :func:`hearaudiomlp.load_model`.
        providers: likewise.

    Raises:
        DeviceError: the device or provider can't be used.
        MissingPackageError: there is no ONNX Runtime, or two of them.

    Examples:
        >>> check("kwmlp", device="cpu").passed
        True
    """
    graph, summary = packaged_graph(name)
    card = {"checkpoint_sha256": "", "licence": "none needed", "source": "random numbers"}
    source = ModelFile(graph, weights(name), summary.metadata | card)
    model = Model(source, device=device, providers=providers, threads=1)
    model.encode(window())
    times = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        outputs = model.encode(window())["frame_embeddings"]
        times.append(1000 * (time.perf_counter() - start))
    expected = np.array(json.loads(FIGURES.read_bytes())[name])
    error = np.abs(sample(outputs) - expected).max() / max(1.0, np.abs(expected).max())
    return Finding(name, float(error), min(times), model.kernels)
