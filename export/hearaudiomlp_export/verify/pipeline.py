"""Verification of the whole pipeline's graph, and of weights stored with fewer bits.

The encoder inside is verified stage by stage by :mod:`hearaudiomlp_export.verify.encoder`. What is
around it is compared here with the runtime's own numpy functions, which share no code with it:
lengths on both sides of every boundary, two different sounds at a time.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from hearaudiomlp.inference.session import Session
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.spec import ENCODERS, WINDOW
from hearaudiomlp_export.verify.encoder import Finding, is_relative
from hearaudiomlp_export.verify.signals import reference_signals

Array = npt.NDArray[Any]
Weights = Mapping[str, npt.NDArray[np.float32]]

LENGTHS = (0, 1, 159, 160, 15_680, 15_681, 16_000, 16_001, 31_680, 31_681, 48_000, 163_210, 480_000)
"""Samples: no timestamp and one, where a window begins, where halvings set in, half a minute."""

# Matrix products of other sizes add in another order.
ENCODER_NOISE = {"kwmlp": 2e-5, "audiomae": 2e-6}
_FLOAT16_ERROR = 2e-3


def _sounds(n_samples: int) -> npt.NDArray[np.float32]:
    loud, soft = np.random.default_rng(n_samples).standard_normal((2, n_samples))
    return np.stack([0.3 * loud, 0.003 * soft]).astype(np.float32)


def _expected(encoder: Session, name: str, sounds: npt.NDArray[np.float32]) -> dict[str, Array]:
    n_sounds, n_samples = sounds.shape
    cut = windows.cut_windows(sounds, 0, n_sounds * windows.count_windows(n_samples))
    frames = windows.stitch(encoder.run(cut)["frame_embeddings"], n_sounds)
    expected = {
        "timestamp_embeddings": frames[:, : windows.count_timestamps(n_samples)],
        "timestamps": windows.timestamps(n_sounds, n_samples),
        "scene_embeddings": scene.scene_embedding(frames, ENCODERS[name].scene_steps),
    }
    if "keyword_logits" in encoder.outputs:
        n_windows = max(1, -(-n_samples // WINDOW))
        bare = np.zeros((n_sounds, n_windows * WINDOW), np.float32)
        bare[:, :n_samples] = sounds
        logits = encoder.run(bare.reshape(-1, WINDOW))["keyword_logits"]
        expected["keyword_logits"] = logits.reshape(n_sounds, n_windows, -1)
    return expected


def verify_pipeline(whole: onnx.ModelProto, encoder: onnx.ModelProto) -> Iterator[Finding]:
    """Compare the whole pipeline's graph with the runtime's steps around the encoder's graph.

    Args:
        whole: as :func:`hearaudiomlp_export.graph.pipeline.pipeline_graph` returns it, with weights
        inside.
        encoder: the graph that went into it.

    Examples:
        >>> whole = onnx.load("onnx_models/audiomae-pipeline.onnx")
        >>> findings = verify_pipeline(whole, onnx.load("onnx_models/audiomae.onnx"))
        >>> all(finding.passed for finding in findings)
        True
    """
    name = whole.graph.name
    # The standard operators on both sides: what is installed here isn't where the file goes.
    session = Session(whole.SerializeToString(), {}, device="cpu", kernels=False)
    inner = Session(encoder.SerializeToString(), {}, device="cpu", kernels=False)
    for n_samples in LENGTHS:
        sounds = _sounds(n_samples)
        found = session.run(sounds)
        for output, wanted in _expected(inner, name, sounds).items():
            relative = is_relative(name) or output == "keyword_logits"
            same = found[output].shape == wanted.shape and found[output].dtype == np.float32
            scale = max(1.0, float(np.abs(wanted).max(initial=0.0))) if relative else 1.0
            error = float(np.abs(found[output] - wanted).max(initial=0.0)) / scale if same else -1.0
            yield Finding(
                stage=output.replace("_", " "),
                signal=f"{n_samples} samples",
                reference="numpy steps",
                error=error if same else float("nan"),
                tolerance=0.0 if output == "timestamps" else ENCODER_NOISE[name],
                unit="ms" if output == "timestamps" else "absolute" if scale == 1 else "of largest",
            )


def verify_float16(
    encoder: onnx.ModelProto, graph: onnx.ModelProto, exact: Weights
) -> list[Finding]:
    """Measure what storing the weights as float16 does to the frame embeddings.

    Args:
        encoder: a graph with float16 weights inside.
        graph: the graph without weights.
        exact: the weights as float32.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp.weights.model_file import packaged_graph
        >>> from hearaudiomlp_export.graph.float16 import store_as_float16
        >>> from hearaudiomlp_export.graph.trace import embed_weights
        >>> from hearaudiomlp_export.networks.checkpoints import load_checkpoint
        >>> weights = load_checkpoint(Path("checkpoints/audiomae.pth"), None, None).weights
        >>> graph = onnx.ModelProto.FromString(packaged_graph("audiomae")[0])
        >>> encoder = embed_weights(graph, weights)
        >>> store_as_float16(encoder, weights)
        >>> [finding.stage for finding in verify_float16(encoder, graph, weights)][:1]
        ['weights as float16']
    """
    signals = reference_signals()
    batch = np.stack(list(signals.values()))
    found = Session(encoder.SerializeToString(), {}, device="cpu").run(batch)["frame_embeddings"]
    graphs = Session(graph.SerializeToString(), exact, device="cpu").run(batch)
    wanted = graphs["frame_embeddings"].astype(np.float64)
    return [
        Finding(
            stage="weights as float16",
            signal=signal,
            reference="weights as float32",
            error=float(np.linalg.norm(found[row] - wanted[row]) / np.linalg.norm(wanted[row])),
            tolerance=_FLOAT16_ERROR,
            unit="of the embeddings' norm",
        )
        for row, signal in enumerate(signals)
    ]
