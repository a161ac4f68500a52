"""Verification of a graph: each stage against an independent reference, with its own tolerance.

References: librosa and scipy in float64 for the front end, the readable torch network in float64
for the encoder. The graph runs on ONNX Runtime's CPU provider, as users run it. Each stage has its
own tolerance, in its own unit. On signals whose bands are nearly empty, embeddings rest on small
differences of large numbers; there the tolerance is a multiple of the error that the readable
network itself makes in float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import librosa
import numpy as np
import numpy.typing as npt
import onnx
import scipy.fft
import torch

from hearaudiomlp._text import markdown_text
from hearaudiomlp.inference.session import Session
from hearaudiomlp.spec import ENCODERS, HOP, MEL_BANDS, SAMPLE_RATE
from hearaudiomlp_export.graph.dft import bin_order
from hearaudiomlp_export.networks.encoders import build
from hearaudiomlp_export.networks.filters import N_FFT
from hearaudiomlp_export.networks.frontend import AMIN, TOP_DB, front_end
from hearaudiomlp_export.verify.signals import reference_signals

Array = npt.NDArray[Any]
Weights = dict[str, npt.NDArray[np.float32]]

_RELATIVE = "of max(1, largest)"
"""The unit of embeddings whose size has no bound."""

STAGE_TOLERANCES = {
    "window": (1e-7, "absolute"),
    "mel matrix": (1e-7, "of the largest weight"),
    "DCT matrix": (1e-7, "absolute"),
    "power mel": (2e-6, "of the loudest band"),
    "MFCC": (0.01, "dB"),
    "frame embeddings (kwmlp)": (1.5e-4, "absolute"),
    "frame embeddings (audiomae)": (2e-6, _RELATIVE),
    "keyword logits": (1e-3, "absolute"),
    "frame embeddings (float16 blocks)": (3e-3, "of the embeddings' norm"),
    "keyword logits (float16 blocks)": (2e-2, "absolute"),
}
_FLOAT32_FACTOR = 4.0

_COMPARED = {"frame_embeddings", "keyword_logits", "power_mel", "mfcc"}
"""Outputs that a stage compares."""


def is_relative(name: str) -> bool:
    """Whether errors of an encoder's embeddings are relative to the largest value.

    Examples:
        >>> is_relative("kwmlp"), is_relative("audiomae")
        (False, True)
    """
    return STAGE_TOLERANCES[f"frame embeddings ({name})"][1] == _RELATIVE


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Examples:
        >>> Finding("power mel", "chirp", "librosa", error=3e-7, tolerance=1e-5, unit="").passed
        True
    """

    stage: str
    signal: str
    reference: str
    error: float
    tolerance: float
    unit: str

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN isn't."""
        return bool(self.error <= self.tolerance)


def _constant(graph: onnx.ModelProto, name: str) -> Array:
    [tensor] = [tensor for tensor in graph.graph.initializer if tensor.name == name]
    return onnx.numpy_helper.to_array(tensor).astype(np.float64)


def _matrices(graph: onnx.ModelProto) -> Iterator[Finding]:
    """Compare the matrices that the graph itself holds."""
    window = librosa.filters.get_window("hann", N_FFT, fftbins=True)
    yield _finding("window", "-", "librosa", _largest(_constant(graph, "hann")[:, 0] - window))
    mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=MEL_BANDS, dtype=np.float64)
    order = bin_order()
    expected = np.where(order[:, None] >= 0, mel.T[order], 0.0)
    error = _largest(_constant(graph, "mel") - expected, float(mel.max()))
    yield _finding("mel matrix", "-", "librosa", error)
    if "mfcc" in ENCODERS[graph.graph.name].features:
        dct = scipy.fft.dct(np.eye(MEL_BANDS), axis=0, norm="ortho")
        error = _largest(_constant(graph, "dct") * (np.log(10.0) / 10.0) - dct)
        yield _finding("DCT matrix", "-", "scipy", error)


def _librosa_mel(signal: Array) -> Array:
    mel: Array = librosa.feature.melspectrogram(
        y=signal.astype(np.float64),
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        center=False,
        power=2.0,
        n_mels=MEL_BANDS,
    )
    return mel


def _librosa_mfcc(mel: Array) -> Array:
    decibels = librosa.power_to_db(mel, ref=1.0, amin=AMIN, top_db=TOP_DB)
    mfcc: Array = librosa.feature.mfcc(S=decibels, n_mfcc=MEL_BANDS, dct_type=2, norm="ortho")
    return mfcc


def _largest(difference: Array, scale: float = 1.0) -> float:
    return float(np.abs(difference).max() / scale)


def _finding(
    stage: str, signal: str, reference: str, error: float, unavoidable: float = 0.0
) -> Finding:
    base, unit = STAGE_TOLERANCES[stage]
    tolerance = max(base, _FLOAT32_FACTOR * unavoidable)
    return Finding(stage.partition(" (")[0], signal, reference, error, tolerance, unit)


def _front_end_stages(signal: str, samples: Array, got: dict[str, Array]) -> Iterator[Finding]:
    mel = _librosa_mel(samples)
    loudest = max(float(mel.max()), float(np.finfo(np.float32).tiny))
    yield _finding("power mel", signal, "librosa", _largest(got["power_mel"] - mel.T, loudest))
    if "mfcc" in got:
        yield _finding("MFCC", signal, "librosa", _largest(got["mfcc"] - _librosa_mfcc(mel).T))


def _encoder_stages(
    network: "Network", signal: str, samples: Array, got: dict[str, Array]
) -> Iterator[Finding]:
    reference = "torch, float64"
    embeddings, *logits = network.outputs(samples, torch.float64)
    float32, *_ = network.outputs(samples, torch.float32)
    scale = max(1.0, float(np.abs(embeddings).max())) if is_relative(network.name) else 1.0
    yield _finding(
        f"frame embeddings ({network.name})",
        signal,
        reference,
        _largest(got["frame_embeddings"] - embeddings, scale),
        _largest(float32 - embeddings, scale),
    )
    if logits:
        error = _largest(got["keyword_logits"] - logits[0])
        yield _finding("keyword logits", signal, reference, error)


def _half_stages(
    network: "Network", signal: str, samples: Array, got: dict[str, Array]
) -> Iterator[Finding]:
    """Measure what blocks in float16 do; the front end is held to the same as ever."""
    reference = "torch, float64"
    embeddings, logits = network.outputs(samples, torch.float64)
    size = float(np.linalg.norm(embeddings))
    error = float(np.linalg.norm(got["frame_embeddings"] - embeddings)) / size
    yield _finding("frame embeddings (float16 blocks)", signal, reference, error)
    error = _largest(got["keyword_logits"] - logits)
    yield _finding("keyword logits (float16 blocks)", signal, reference, error)


class _TorchNetwork:
    """The readable front end and network, in either precision."""

    def __init__(self, name: str, weights: Weights) -> None:
        self.name = name
        self.state = {key: torch.from_numpy(value) for key, value in weights.items()}
        self.features = front_end(name)

    def outputs(self, samples: Array, dtype: torch.dtype) -> tuple[Array, ...]:
        network = build(self.name)
        network.load_state_dict(self.state)
        network.to(dtype)
        with torch.inference_mode():
            outputs = network(self.features(torch.from_numpy(samples[None]).to(dtype)))
        return tuple(output[0].numpy() for output in outputs)


class Network(Protocol):
    """What a graph is compared with."""

    name: str

    def outputs(self, samples: Array, dtype: torch.dtype) -> tuple[Array, ...]:
        """Return embeddings and, of kwmlp, logits of a window [shape=(16000,)]."""


def verify(
    graph: onnx.ModelProto,
    weights: Weights,
    arithmetic: str = "float32",
    network: Network | None = None,
) -> list[Finding]:
    """Compare every stage of a graph with its reference.

    Args:
        graph: as :func:`hearaudiomlp_export.graph.trace.trace` returns it, or with weights inside.
        weights: the checkpoint's tensors by name.
        arithmetic: ``float32``, or ``float16`` for kwmlp with blocks that compute so.
        network: another reference than the encoder with these weights.

    Returns:
        All comparisons. The graph is verified if every one of them passed.

    Raises:
        ValueError: the graph has an output that nothing is compared with.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp_export.networks.checkpoints import load_checkpoint
        >>> weights = load_checkpoint(Path("checkpoints/audiomae.pth"), None, None).weights
        >>> findings = verify(onnx.load("onnx_models/audiomae.onnx"), weights)
        >>> all(finding.passed for finding in findings)
        True
    """
    name = graph.graph.name
    external = {
        tensor.name
        for tensor in graph.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    session = Session(
        graph.SerializeToString(),
        {key: value for key, value in weights.items() if key in external},
        device="cpu",
    )
    network = network or _TorchNetwork(name, weights)
    findings = list(_matrices(graph))
    signals = reference_signals()
    encoder_stages = _encoder_stages if arithmetic == "float32" else _half_stages
    # All signals in one batch: windows must not leak into each other.
    batch = session.run(np.stack(list(signals.values())))
    if unknown := set(batch) - _COMPARED:
        raise ValueError(f"no stage compares the outputs {', '.join(sorted(unknown))}")
    for row, (signal, samples) in enumerate(signals.items()):
        got = {output: values[row] for output, values in batch.items()}
        findings += _front_end_stages(signal, samples, got)
        findings += encoder_stages(network, signal, samples, got)
    return findings


def report(graph: onnx.ModelProto, findings: list[Finding]) -> str:
    """Return the findings as a Markdown page.

    Examples:
        >>> graph = onnx.load("onnx_models/audiomae.onnx")
        >>> print(report(graph, [Finding("power mel", "chirp", "librosa", 3e-7, 1e-5, "")]))
        # Verification of audiomae
        ...
        | power mel | chirp | librosa | 3.0e-07 | 1.0e-05 |  |  |
        <BLANKLINE>
    """
    card = {entry.key: markdown_text(entry.value) for entry in graph.metadata_props}
    failed = sum(not finding.passed for finding in findings)
    verdict = (
        f"{failed} of {len(findings)} comparisons FAILED" if failed else "all comparisons passed"
    )
    lines = [
        f"# Verification of {card['model']}",
        "",
        f"- checkpoint: SHA-256 {card.get('checkpoint_sha256') or 'none (seeded random weights)'}",
        f"- licence of the weights: {card.get('licence', '-')}; source: {card.get('source', '-')}",
        f"- hearaudiomlp {card['hearaudiomlp_version']}, torch {version('torch')}, "
        f"onnx {version('onnx')}, librosa {version('librosa')}",
        f"- {len(findings)} comparisons: {verdict}",
        "",
        "| stage | signal | against | largest error | allowed | unit | |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    lines += [
        f"| {f.stage} | {f.signal} | {f.reference} | {f.error:.1e} | {f.tolerance:.1e} | {f.unit} "
        f"| {'' if f.passed else 'FAILED'} |"
        for f in findings
    ]
    return "\n".join(lines) + "\n"
