"""Model files: what a session is opened from, and what the file says of it."""

import math
import os
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import ModelFileError
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.metadata import check_metadata, interface_of
from hearaudiomlp.weights.onnx_check import IMPLAUSIBLE, check_graph, find_implausible
from hearaudiomlp.weights.onnx_file import OnnxSummary, Tensor, summarize

_ZIP_MAGIC = b"PK"  # torch checkpoints are zip files
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # and were pickles once
_GRAPHS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data")


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

    untried = False
    """Whether the graph isn't the packaged one, and hasn't been computed yet."""

    path = ""
    """Where it was read; not pickled, as another machine may not have it."""

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
        """Pickle the metadata instead of the checkpoint, which is as large as the weights."""
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


def _bind_checkpoint(data: bytes, name: str | None) -> ModelFile:
    """Read a checkpoint and fit it to the packaged graph of its encoder."""
    # Here, because what this takes to import isn't needed for exported models.
    from hearaudiomlp.weights.checkpoint import read_checkpoint

    name, weights = read_checkpoint(data, _GraphShapes(), name)
    graph, summary = packaged_graph(name)
    return ModelFile(graph, weights, summary.metadata, data)


def _read_weight(name: str, shape: tuple[int, ...], tensors: Mapping[str, Tensor]) -> Floats:
    tensor = tensors.get(name) or tensors.get(f"{name}.float16")
    dtype = _STORED.get(tensor.data_type) if tensor else None
    if tensor is None or dtype is None or tensor.dims != shape:
        raise ModelFileError(f"a model file without the weights {name} of shape {shape}")
    if len(tensor.data) != dtype.itemsize * math.prod(shape):
        raise ModelFileError(f"a model file that is damaged: {name} is incomplete")
    values: Floats = np.frombuffer(tensor.data, dtype).reshape(shape).astype(np.float32)
    if find_implausible({name: values}) is not None:
        raise ModelFileError(f"a model file with {IMPLAUSIBLE} in {name}")
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


def read_weights(source: ModelFile) -> dict[str, Floats]:
    """Return the weights of a model file's encoder by the names that checkpoints have for them.

    Args:
        source: any model file. A classifier of a user's own isn't among the weights.

    Raises:
        ModelFileError: the file has a weight of another shape, or incomplete.

    Examples:
        >>> with open("onnx_models/audiomae.onnx", "rb") as file:
        ...     weights = read_weights(read_model_file(file.read()))
        >>> weights["bottleneck.0.weight"].shape
        (8, 64)
    """
    if source.weights:
        return {name: np.asarray(values) for name, values in source.weights.items()}
    tensors = summarize(source.graph, operators=False).tensors
    return {
        name: _read_weight(name, shape, tensors)
        for name, shape in packaged_graph(source.card["model"])[1].external.items()
        if name in tensors or f"{name}.float16" in tensors
    }


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
    check_metadata(summary)
    found = summary.metadata["model"]
    if name is not None and found != name:
        raise ModelFileError(f"it is a model of {found}, not of {name}")
    if interface_of(summary.metadata) == "pipeline":
        return _bind_pipeline(summary)
    is_packaged = check_graph(summary, packaged_graph(found)[1])
    source = ModelFile(data, {}, summary.metadata)
    source.untried = not is_packaged
    return source
