"""The published design in PyTorch: what everything is compared with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hearaudiomlp_export.networks.published import PublishedSystem

Floats = np.ndarray[Any, np.dtype[np.float32]]
Contender = Callable[[Floats], tuple[Floats, Floats]]


def torch_pipeline(system: PublishedSystem, threads: int) -> Contender:
    """Return the whole pipeline in PyTorch on the CPU, on so many threads."""

    def run(audio: Floats) -> tuple[Floats, Floats]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            found = system(torch.from_numpy(audio))
        return found.timestamp_embeddings.numpy(), found.scene_embeddings.numpy()

    return run


def compiled_system(checkpoint: Path | str) -> PublishedSystem:
    """Load the published system with its encoder through ``torch.compile``."""
    system = PublishedSystem(checkpoint)
    system.encoder = torch.compile(system.encoder, dynamic=True)  # type: ignore[assignment]
    return system
