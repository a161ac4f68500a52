"""Cases to run: sounds, the expected outputs of a model, and how large an error may be.

``kit.json`` lists everything; conformance/README.md describes it. Needs numpy only.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from conformance.wav import read_wav

Floats = npt.NDArray[np.float32]

OUTPUTS = ("timestamp_embeddings", "timestamps", "scene_embeddings", "keyword_logits")


@dataclass(frozen=True)
class Case:
    """One sound (or several of one length) and its expected outputs."""

    name: str
    audio: Floats
    expected: dict[str, Floats]
    tolerances: dict[str, float]
    """Largest absolute error that is allowed, by output."""


def allowed(model: str, output: str, expected: Floats) -> float:
    """Return the tolerance of an output of one case of the kit.

    Engines differ by up to 1e-5 (kwmlp) and 1e-6 (audiomae) on these sounds; positions in float64,
    or a factor that is off by one bit, by more than this in the minute's scene embedding.
    """
    if output == "timestamps":
        return 0.0
    if output == "keyword_logits":
        return 1e-3
    largest = float(np.abs(expected).max(initial=0.0))
    return 5e-5 if model == "kwmlp" else 5e-6 + 2e-6 * largest


def read_kit(folder: Path, model: str, precision: str, sha256: str) -> Iterator[Case]:
    """Yield the cases of a kit for one model file.

    Raises:
        FileNotFoundError: there is no kit in the folder.
        ValueError: the kit was made for other weights.
    """
    try:
        kit = json.loads((folder / "kit.json").read_text())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no kit in {folder}: make one with python -m conformance.make_kit"
        ) from None
    [chosen] = [
        one for one in kit["models"] if (one["model"], one["precision"]) == (model, precision)
    ] or [None]
    if chosen is None or chosen["checkpoint_sha256"] != sha256:
        raise ValueError(
            f"this kit isn't of {model} with {precision} weights of the checkpoint {sha256[:12]}"
            "...: make one with python -m conformance.make_kit"
        )
    for sound in kit["sounds"]:
        entries = {
            one["output"]: one for one in chosen["expected"] if one["sound"] == sound["name"]
        }
        yield Case(
            name=sound["name"],
            audio=np.tile(read_wav(folder / sound["wav"]), sound["repeat"]),
            expected={
                output: np.fromfile(folder / one["file"], "<f4").reshape(one["shape"])
                for output, one in entries.items()
            },
            tolerances={output: one["tolerance"] for output, one in entries.items()},
        )


def made_for(folder: Path, model: str) -> str | None:
    """Return the SHA-256 of the checkpoint that reference arrays were computed with.

    None for the published system's own arrays, which don't record it; those of
    ``compute_reference`` do.
    """
    with np.load(folder / "reference.npz") as store:
        checkpoints: dict[str, str] = json.loads(str(store["meta"])).get("checkpoint_sha256", {})
    return checkpoints.get(model)


def read_reference(folder: Path, model: str) -> Iterator[Case]:
    """Yield the 76 cases of the published system's reference arrays, and its keyword logits.

    Tolerances are those of the ``compare.py`` that comes with them.
    """
    import importlib.util

    spec = importlib.util.spec_from_file_location("compare", folder / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    store = np.load(folder / "reference.npz")
    meta = json.loads(str(store["meta"]))
    for name in meta["cases"]:
        expected = {output: store[f"out/{model}/{name}/{output}"] for output in compare.OUTPUTS}
        noise = meta["noise"][f"{model}/{name}"]
        tolerances = {
            output: compare.allowed(
                model,
                name,
                output,
                noise.get(output, 0.0),
                float(np.abs(array).max(initial=0.0)),
            )
            for output, array in expected.items()
        }
        yield Case(name, store[f"in/{name}"], expected, tolerances)
    if model == "kwmlp":
        keywords = np.load(folder / "keywords.npz")
        logits = keywords["logits"][:, None]
        yield Case(
            "keywords", keywords["windows"], {"keyword_logits": logits}, {"keyword_logits": 1e-3}
        )
