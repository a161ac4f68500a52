"""Checkpoints on the torch side: read, recognized, loaded strictly."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.checkpoint import Weights, read_checkpoint
from hearaudiomlp.weights.locate import Weights as WeightsFile
from hearaudiomlp.weights.locate import provenance
from hearaudiomlp_export.networks.encoders import build, expected_tensors


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one encoder and where they come from.

    Examples:
        >>> load_checkpoint(Path("checkpoints/kwmlp.pth"), None, None).licence
        'CC BY 4.0'
    """

    name: str
    """``kwmlp`` or ``audiomae``."""

    weights: Weights
    sha256: str
    """Of the file; empty for weights that come from no file."""

    licence: str
    source: str


def load_checkpoint(path: Path, licence: str | None, source: str | None) -> Checkpoint:
    """Read a checkpoint and find out which encoder it is of.

    Args:
        path: a ``.pth`` file with ``model_state_dict`` in it.
        licence: of the weights; known for the published and the bundled ones.
        source: where the weights come from; known for the published and the bundled ones.

    Raises:
        ModelNotFoundError: it isn't there.
        ModelFileError: it can't be read, or isn't a checkpoint of one of the encoders.

    Examples:
        >>> load_checkpoint(Path("checkpoints/kwmlp.pth"), None, None).name
        'kwmlp'
    """
    data = WeightsFile(str(path), "file").read()
    sha256 = hashlib.sha256(data).hexdigest()
    shapes = {encoder: expected_tensors(encoder) for encoder in ENCODERS}
    name, weights = read_checkpoint(data, shapes)
    known_licence, known_source = provenance(sha256)
    return Checkpoint(name, weights, sha256, licence or known_licence, source or known_source)


def random_checkpoint(name: str, seed: int = 0) -> Checkpoint:
    """Return seeded random weights, livelier than torch's own: no tensor is zero or one.

    Examples:
        >>> random_checkpoint("audiomae").weights["bottleneck.0.bias"].shape
        (8,)
    """
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for key, value in build(name).state_dict().items():
        fan_in = int(np.prod(value.shape[1:])) or 1
        random = torch.randn(value.shape, generator=generator) / fan_in**0.5
        is_scale = value.ndim == 1 and key.endswith("weight")
        weights[key] = (random * 0.2 + 1.0 if is_scale else random).numpy()
    return Checkpoint(name, weights, "", "none needed", f"random numbers, seed {seed}")
