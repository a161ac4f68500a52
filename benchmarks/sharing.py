"""What live windows cost when they share the frames of the spectrogram, and when they don't.

    python benchmarks/sharing.py CHECKPOINT [--seconds 5] [--rounds 40]

CPU time per second of audio at several hops, of audio that comes hop by hop: every window computed
alone from its samples, and as ``hearaudiomlp.sliding`` does it. The outputs are compared too: they
have to be equal to the bit.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

import hearaudiomlp
from hearaudiomlp.sliding import SlidingWindows
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW

Floats = npt.NDArray[np.float32]


def alone(model: hearaudiomlp.Model, audio: Floats, hop: int) -> Floats:
    """Compute every window by itself, as soon as its last samples come."""
    outputs = []
    kept = np.zeros(0, np.float32)
    for at in range(0, len(audio), hop):
        kept = np.concatenate([kept, audio[at : at + hop]])
        if len(kept) >= WINDOW:
            outputs.append(model.encode(kept[None, :WINDOW])["frame_embeddings"])
            kept = kept[hop:]
    return np.concatenate(outputs)


def shared(sliding: SlidingWindows, audio: Floats, hop: int) -> Floats:
    """Compute the same windows as live audio is."""
    sliding.reset()
    blocks = [
        block for at in range(0, len(audio), hop) for block in sliding.push(audio[at : at + hop])
    ]
    return np.concatenate([block.outputs["frame_embeddings"] for block in blocks])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    model = hearaudiomlp.load_model(options.checkpoint, device="cpu", threads=1)
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal(options.seconds * SAMPLE_RATE)).astype(np.float32)
    print(f"{model.name}, CPU ms per second of audio, medians of {options.rounds} rounds")
    print(
        "| windows a second | alone | shared | saved | equal |\n| ---: | ---: | ---: | ---: | --- |"
    )
    for per_second in (1, 2, 4, 10, 20):
        hop = SAMPLE_RATE // per_second
        sliding = SlidingWindows(model, 1 / per_second)
        times: dict[str, list[float]] = {"alone": [], "shared": []}
        equal = True
        for _ in range(options.rounds):
            begin = time.process_time()
            expected = alone(model, audio, hop)
            middle = time.process_time()
            found = shared(sliding, audio, hop)
            times["shared"].append(time.process_time() - middle)
            times["alone"].append(middle - begin)
            equal &= found.tobytes() == expected.tobytes()
        one, other = (
            1000 * statistics.median(times[kind]) / options.seconds for kind in ("alone", "shared")
        )
        ratios = [b / a for a, b in zip(times["alone"], times["shared"], strict=True)]
        saved = 100 * (1 - statistics.median(ratios))
        print(f"| {per_second} | {one:.2f} | {other:.2f} | {saved:.0f} % | {equal} |")


if __name__ == "__main__":
    main()
