"""Write kit.npz: sounds, and what the weights in checkpoints/ give for them, computed with PyTorch.

    python -m tests.parity.make_kit

from the repository's root, after the weights have changed (scripts/regenerate does it). The outputs
come from :mod:`hearaudiomlp_export.networks.published`, which shares no code with the runtime and
only formulas with the graphs.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
KIT = Path(__file__).with_name("kit.npz")
CHECKPOINTS = {name: ROOT / "checkpoints" / f"{name}.pth" for name in ("kwmlp", "audiomae")}

Floats = npt.NDArray[np.float32]


class Case(NamedTuple):
    """Sounds cut out of the kit's recording."""

    n_samples: int
    n_sounds: int = 1
    gain: float = 1.0
    timestamps: bool = True
    """Whether the kit has the timestamp embeddings, too, which are large."""


# Lengths at which the number of timestamps or windows changes; a half-filled window; several
# halvings of the scene; sounds that are faint, or silent.
CASES = {
    "empty": Case(0),
    "one_sample": Case(1),
    "one_timestamp": Case(160),
    "two_short": Case(3_000, n_sounds=2),
    "last_of_one_window": Case(15_680, timestamps=False),
    "first_of_two_windows": Case(15_681, timestamps=False),
    "second": Case(16_000),
    "faint": Case(9_000, gain=1e-4, timestamps=False),
    "silent": Case(9_000, gain=0.0, timestamps=False),
    "half_minute": Case(470_000, timestamps=False),
}


def make_audio(recording: npt.NDArray[np.int16], case: Case) -> Floats:
    """Return the sounds of a case [shape=(n_sounds, n_samples)]: each starts 1,000 samples later.

    Args:
        recording: 16-bit samples at 16 kHz, repeated as often as needed.
        case: what to cut out.
    """
    places = np.arange(case.n_samples) + 1_000 * np.arange(case.n_sounds)[:, None]
    samples = recording[places % len(recording)].astype(np.float32) * np.float32(2**-15)
    return samples * np.float32(case.gain)


def compute(checkpoint: Path, recording: npt.NDArray[np.int16]) -> dict[str, Floats]:
    """Return the outputs of a checkpoint, by the names of case and output."""
    import torch

    from hearaudiomlp_export.networks.published import PublishedSystem

    system = PublishedSystem(checkpoint)
    outputs = {}
    with torch.inference_mode():
        for name, case in CASES.items():
            audio = torch.from_numpy(make_audio(recording, case))
            found = system(audio)
            outputs[f"{name}/scene_embeddings"] = found.scene_embeddings.numpy()
            if case.timestamps:
                outputs[f"{name}/timestamp_embeddings"] = found.timestamp_embeddings.numpy()
                outputs[f"{name}/timestamps"] = found.timestamps.numpy()
            if system.name == "kwmlp" and case.n_samples <= 16_000:
                window = torch.nn.functional.pad(audio, (0, 16_000 - case.n_samples))
                outputs[f"{name}/keyword_logits"] = system.keyword_logits(window).numpy()
    return outputs


def main() -> None:
    """Write the kit."""
    from hearaudiomlp import read_audio

    samples = read_audio(ROOT / "samples" / "words.flac").samples[:24_000]
    speech = np.rint(samples * 32767).astype(np.int16)
    stored: dict[str, Any] = {"recording": speech}
    sha256 = {}
    for model, path in CHECKPOINTS.items():
        sha256[model] = hashlib.sha256(path.read_bytes()).hexdigest()
        outputs = compute(path, speech)
        stored |= {f"{model}/{name}": values for name, values in outputs.items()}
    np.savez_compressed(KIT, meta=json.dumps({"checkpoint_sha256": sha256}), **stored)
    print(f"{KIT}: {len(CASES)} cases, {KIT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
