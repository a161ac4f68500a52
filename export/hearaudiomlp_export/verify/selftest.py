"""Compute the figures of :mod:`hearaudiomlp.selftest` and store them.

``python -m hearaudiomlp_export.verify.selftest``, after a change to an encoder's arithmetic or to
the seeded weights.
"""

import json

import numpy as np
import numpy.typing as npt
import torch

from hearaudiomlp.selftest import FIGURES, sample, weights, window
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp_export.networks.encoders import build
from hearaudiomlp_export.networks.frontend import front_end


def figures(name: str) -> npt.NDArray[np.floating]:
    """Return what the readable network gives in float64 [shape=(n,)].

    Examples:
        >>> figures("audiomae").shape
        (9,)
    """
    network = build(name)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights(name).items()})
    network.double()
    with torch.inference_mode():
        outputs = network(front_end(name)(torch.from_numpy(window()).double()))
    return sample(outputs[0].numpy())


def main() -> None:
    """Store the figures of both encoders."""
    stored = {name: [round(float(value), 9) for value in figures(name)] for name in ENCODERS}
    with replacing(FIGURES) as file:
        file.write(json.dumps(stored, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
