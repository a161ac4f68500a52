"""How training begins: as arXiv 2105.08050, section 2.1, says that it has to."""

import torch

from hearaudiomlp.spec import FRAMES
from hearaudiomlp_export.networks.encoders import SpatialGatingUnit

_NEAR_ZERO = 1e-3 / FRAMES


@torch.no_grad()
def open_gates(network: torch.nn.Module) -> None:
    """Set every gate to one: near-zero mixing over time, biases of one.

    Each block then begins as an ordinary feed-forward layer on single frames; with torch's own
    initialization training takes far longer to get going.
    """
    for module in network.modules():
        if isinstance(module, SpatialGatingUnit):
            torch.nn.init.uniform_(module.proj.weight, -_NEAR_ZERO, _NEAR_ZERO)
            assert module.proj.bias is not None
            torch.nn.init.ones_(module.proj.bias)
