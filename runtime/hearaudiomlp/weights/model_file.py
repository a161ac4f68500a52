"""Model files: what a session is opened from, and what the file says of it."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import printable, shorten
from hearaudiomlp._types import Floats
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.spec import ENCODERS, FRAMES, HOP, MEL_BANDS, SAMPLE_RATE, WINDOW
from hearaudiomlp.weights.onnx_check import IMPLAUSIBLE, check_graph, find_implausible
from hearaudiomlp.weights.onnx_file import OnnxSummary, Tensor, summarize

FORMAT = "1"
"""Version of the metadata in model files."""

INTERFACES = ("windows", "pipeline")
"""What a model file takes: bare windows, or whole sounds (docs/format.md). Windows, if unsaid."""

PRECISIONS = ("float32", "float16")
"""What the weights of a model file may be stored as; float32, if unsaid."""

ARITHMETICS = ("float32", "float16")
"""What a model file's blocks may compute in; float32 by default. Float16 is for GPUs."""

LABELS_KINDS = ("speech_commands", "own")
"""Which words ``keyword_labels`` are: the encoder's 35, or a user's; the encoder's, if unsaid."""

_MAX_LABELS_TEXT = 100_000  # characters of all labels; the 35 words have 315
_MAX_LABEL = 100  # characters of one
_MAX_TEXT = 1_000  # characters of a metadata value that is shown

_REQUIRED = (
    "model",
    "sample_rate",
    "timestamp_embedding_size",
    "scene_embedding_size",
    "scene_steps",
    "keyword_labels",
    "parameters",
    "macs_per_window",
    "encoder_macs_per_window",
    "hop",
    "checkpoint_sha256",
    "licence",
    "source",
    "hearaudiomlp_version",
)
_ZIP_MAGIC = b"PK"  # torch checkpoints are zip files
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # and were pickles once
_GRAPHS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data")


OLD_INTERFACES = {"hear": "pipeline"}
"""Former names of interfaces, as model files and command lines may have them."""

_STORED: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}
"""What weights are stored as, by TensorProto.DataType."""


class ModelFile:
    """A graph, its weights and its metadata: enough to open a session in any process.

    Examples:
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     source = read_model_file(file.read())
        >>> source.metadata["sample_rate"]
        '16000'
    """

    checkpoint = b""
    """The file that the weights come from, if that isn't the graph's."""

    def __init__(
        self,
        graph: bytes,
        weights: Mapping[str, npt.NDArray[np.float32]],
        card: Mapping[str, str],
        checkpoint: bytes = b"",
    ) -> None:
        """Keep the parts.

        Args:
            graph: an ONNX file.
            weights: values of the graph's external initializers; none, if they are inside.
            card: the metadata of the graph's file.
            checkpoint: the file that the weights come from, if that isn't the graph's.
        """
        self.graph, self.weights, self.card = graph, weights, card
        self.checkpoint = checkpoint

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """All that is known, with the checkpoint's SHA-256, licence and source.

        Found out when it is first asked for, because that takes longer than reading the file.
        """
        if not self.checkpoint:
            return dict(self.card)
        import hashlib

        from hearaudiomlp.weights.locate import provenance

        sha256 = hashlib.sha256(self.checkpoint).hexdigest()
        licence, origin = provenance(sha256)
        facts = {"checkpoint_sha256": sha256, "licence": licence, "source": origin}
        return dict(self.card) | facts

    def __getstate__(self) -> dict[str, object]:
        """Pickle the metadata in the place of the checkpoint, which is as large as the weights."""
        return {"graph": self.graph, "weights": self.weights, "card": self.metadata}


class _GraphShapes(Mapping[str, Mapping[str, tuple[int, ...]]]):
    """The tensors that each encoder's packaged graph expects; each graph is read when needed."""

    def __getitem__(self, name: str) -> Mapping[str, tuple[int, ...]]:
        return packaged_graph(name)[1].external

    def __iter__(self) -> Iterator[str]:
        return iter(ENCODERS)

    def __len__(self) -> int:
        return len(ENCODERS)


@cache
def packaged_graph(name: str) -> tuple[bytes, OnnxSummary]:
    """Return the packaged graph (without weights) of an encoder, and most of its outline.

    Examples:
        >>> graph, summary = packaged_graph("kwmlp")
        >>> summary.metadata["parameters"]
        '424811'
    """
    with open(os.path.join(_GRAPHS, f"{name}.onnx"), "rb") as file:
        data = file.read()
    return data, summarize(data, operators=False)


def _check_metadata(summary: OnnxSummary) -> None:
    card = summary.metadata
    if card.get("hearaudiomlp_format", FORMAT) != FORMAT:
        raise ModelFileError(
            f"its format is {shorten(card['hearaudiomlp_format'])}, and this version of "
            f"hearaudiomlp reads format {FORMAT}: install a newer hearaudiomlp, or export the "
            "model again"
        )
    if summary.external:
        raise ModelFileError(
            "a graph without weights, as hearaudiomlp-export --graph-only writes: "
            "load the checkpoint itself, or export it to a whole model"
        )
    if "hearaudiomlp_format" not in card or any(key not in card for key in _REQUIRED):
        raise ModelFileError(
            "an ONNX file that hearaudiomlp-export didn't write (or one that was cut off): "
            "its metadata doesn't describe an encoder"
        )
    try:
        _check_facts(card, summary)
    except (ValueError, KeyError, TypeError) as problem:
        reason = shorten(problem, 300)
        raise ModelFileError(f"its metadata is damaged, or not of its graph ({reason})") from None


def _integer(text: str) -> int:
    # int() takes digits of all scripts, underscores, and as many as there are.
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(f"{shorten(text, 40)} is no number")
    return int(text)


def read_labels(card: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keywords that a model file distinguishes, in the order of its logits.

    Args:
        card: its metadata.

    Raises:
        ValueError: they aren't those of its encoder, and ``labels_kind`` doesn't say that they are
            others; or they are no list of different printable words.

    Examples:
        >>> read_labels({"model": "kwmlp", "labels_kind": "own", "keyword_labels": '["yes", "no"]'})
        ('yes', 'no')
    """
    text = card["keyword_labels"]
    if len(text) > _MAX_LABELS_TEXT:
        raise ValueError(f"labels of {len(text):,} characters")
    try:
        labels = json.loads(text)
    except RecursionError:
        raise ValueError("labels are no list of words") from None
    if not isinstance(labels, list) or not all(isinstance(word, str) for word in labels):
        raise ValueError("labels are no list of words")
    own = card.get("labels_kind", LABELS_KINDS[0]) == LABELS_KINDS[1]
    if not own and tuple(labels) != ENCODERS[card["model"]].labels:
        raise ValueError("labels other than the encoder's, and labels_kind isn't own")
    if len(set(labels)) != len(labels):
        raise ValueError("a label twice")
    for word in labels:
        if not 0 < len(word) <= _MAX_LABEL or printable(word) != word:
            raise ValueError(f"the label {shorten(word, 40)}")
    return tuple(labels)


def _check_facts(card: Mapping[str, str], summary: OnnxSummary) -> None:
    """Raise a ValueError where the metadata states something else than the graph."""
    spec = ENCODERS[card["model"]]
    labels = read_labels(card)
    size = _integer(card["timestamp_embedding_size"])
    outputs: dict[str, tuple[int | str, ...]] = {"frame_embeddings": ("n", FRAMES, size)}
    if labels:
        outputs["keyword_logits"] = ("n", len(labels))
    # Files that were exported before the features became outputs have the embeddings alone.
    outputs |= {
        name: ("n", FRAMES, MEL_BANDS) for name in ("power_mel", "mfcc") if name in summary.outputs
    }
    signature: dict[str, tuple[object, object]] = {
        "input": (summary.inputs, {"windows": ("n", WINDOW)}),
        "outputs": (summary.outputs, outputs),
    }
    if interface_of(card) == "pipeline":  # its outputs aren't used
        signature = {
            "input": (summary.inputs, {"audio": ("n_sounds", "n_samples")}),
            "number of labels": (len(labels), len(spec.labels)),
        }
    facts: dict[str, tuple[object, object]] = {
        "sample rate": (_integer(card["sample_rate"]), SAMPLE_RATE),
        "hop": (_integer(card["hop"]), HOP),
        "embedding size": (size, spec.timestamp_embedding_size),
        "scene steps": (_integer(card["scene_steps"]), spec.scene_steps),
        "scene size": (_integer(card["scene_embedding_size"]), spec.scene_embedding_size),
    } | signature
    for name, (found, expected) in facts.items():
        if found != expected:
            raise ValueError(f"{name}: {found}, not {expected}")
    for key, known in (
        ("interface", (*INTERFACES, *OLD_INTERFACES)),
        ("precision", PRECISIONS),
        ("arithmetic", ARITHMETICS),
        ("labels_kind", LABELS_KINDS),
    ):
        if card.get(key, known[0]) not in known:
            raise ValueError(f"{key}: {shorten(card[key])}, not {' or '.join(known)}")
    for number in ("parameters", "macs_per_window", "encoder_macs_per_window"):
        _integer(card[number])
    for key in ("checkpoint_sha256", "licence", "source", "hearaudiomlp_version"):
        if len(card[key]) > _MAX_TEXT:
            raise ValueError(f"{key} of {len(card[key]):,} characters")


def _bind_checkpoint(data: bytes, name: str | None) -> ModelFile:
    """Read a checkpoint and fit it to the packaged graph of its encoder."""
    # Here, because what this takes to import isn't needed for exported models.
    from hearaudiomlp.weights.checkpoint import read_checkpoint

    name, weights = read_checkpoint(data, _GraphShapes(), name)
    graph, summary = packaged_graph(name)
    return ModelFile(graph, weights, summary.metadata, data)


def interface_of(card: Mapping[str, str]) -> str:
    """Return the interface of an exported file by its present name.

    Args:
        card: the file's metadata.

    Examples:
        >>> interface_of({"interface": "hear"})
        'pipeline'
        >>> interface_of({})
        'windows'
    """
    named = card.get("interface", INTERFACES[0])
    return OLD_INTERFACES.get(named, named)


def _read_weight(name: str, shape: tuple[int, ...], tensors: Mapping[str, Tensor]) -> Floats:
    tensor = tensors.get(name) or tensors.get(f"{name}.float16")
    dtype = _STORED.get(tensor.data_type) if tensor else None
    if tensor is None or dtype is None or tensor.dims != shape:
        raise ModelFileError(f"a pipeline file without the weights {name} of shape {shape}")
    if len(tensor.data) != dtype.itemsize * math.prod(shape):
        raise ModelFileError(f"a pipeline file that is damaged: {name} is incomplete")
    values: Floats = np.frombuffer(tensor.data, dtype).reshape(shape).astype(np.float32)
    if find_implausible({name: values}) is not None:
        raise ModelFileError(f"a pipeline file with {IMPLAUSIBLE} in {name}")
    return values


def _bind_pipeline(summary: OnnxSummary) -> ModelFile:
    """Fit the weights of a whole-pipeline file to the packaged graph of its encoder.

    This package cuts and stitches windows itself, with bounded memory and on many threads, so the
    file's own graph isn't run.
    """
    graph, packaged = packaged_graph(summary.metadata["model"])
    weights = {
        name: _read_weight(name, shape, summary.tensors)
        for name, shape in packaged.external.items()
    }
    return ModelFile(
        graph, weights, summary.metadata | {"interface": interface_of(summary.metadata)}
    )


def read_model_file(data: bytes, name: str | None = None) -> ModelFile:
    """Read a model file whose bytes are ``data``: a checkpoint or an exported model.

    Args:
        data: the file's content.
        name: ``kwmlp`` or ``audiomae``, where only that one will do.

    Raises:
        ModelFileError: it is neither, is damaged, or is of another encoder.

    Examples:
        >>> with open("checkpoints/audiomae.pth", "rb") as file:
        ...     source = read_model_file(file.read())
        >>> source.metadata["model"]
        'audiomae'
    """
    if data.startswith(_ZIP_MAGIC):
        return _bind_checkpoint(data, name)
    if data.startswith(_LEGACY_MAGIC):
        raise ModelFileError(
            "a checkpoint in the format of torch before 1.6: load it with torch and save it again"
        )
    try:
        summary = summarize(data, operators=False)
    except ModelFileError as problem:
        raise ModelFileError(f"no torch checkpoint, and {problem}") from None
    _check_metadata(summary)
    found = summary.metadata["model"]
    if name is not None and found != name:
        raise ModelFileError(f"it is a model of {found}, not of {name}")
    if interface_of(summary.metadata) == "pipeline":
        return _bind_pipeline(summary)
    check_graph(summary, packaged_graph(found)[1])
    return ModelFile(data, {}, summary.metadata)
