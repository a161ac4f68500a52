"""The blocks of an encoder as one operator, where ``hearaudiomlp-kernels`` is installed.

A model file stays a graph of standard operators. When a session is opened on the CPU, the stretch
of nodes that are the gated-MLP blocks is replaced by one node with the same weights, whose operator
is in that package's library. The stretch is known by its bytes: they have to be those of the
packaged graph, so what was checked of a model file holds for its variant, too.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import PathFinder
from typing import NamedTuple

from hearaudiomlp.errors import DeviceError, MissingPackageError
from hearaudiomlp.inference.shutdown import native_call
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.model_file import packaged_graph
from hearaudiomlp.weights.onnx_file import Message, fields, message_of, summarize

PACKAGE = "hearaudiomlp_kernels"
"""The package that has the library."""

VARIABLE = "HEARAUDIOMLP_KERNELS"
"""Environment variable: ``0`` turns the kernels off, a name of :attr:`Kernels.isa` selects one."""

DOMAIN, OPERATOR = "hearaudiomlp.kernels", "GatedMLPStack"
_VERSION = 1

_LIBRARY = f"lib{PACKAGE}.{'dylib' if sys.platform == 'darwin' else 'so'}"

_BLOCK = (
    *("fn.fn.proj_in.0.weight", "fn.fn.proj_in.0.bias"),
    *("fn.fn.sgu.norm.weight", "fn.fn.sgu.norm.bias"),
    *("fn.fn.sgu.proj.weight", "fn.fn.sgu.proj.bias"),
    *("fn.fn.proj_out.weight", "fn.fn.proj_out.bias"),
    *("fn.norm.weight", "fn.norm.bias"),
)
"""Tensors of a block, in the order in which the operator takes them."""


class Kernels(NamedTuple):
    """The library of kernels.

    Examples:
        >>> Kernels("site-packages/hearaudiomlp_kernels/libhearaudiomlp_kernels.so", "avx2").isa
        'avx2'
    """

    library: str
    """Its path."""

    isa: str
    """The instruction set that it uses on this processor."""


def _trusted_folders() -> list[str]:
    """Return where packages are installed: never the current folder, which may be anyone's."""
    here = os.path.realpath(os.getcwd())
    return [path for path in sys.path if os.path.isabs(path) and os.path.realpath(path) != here]


def _library() -> str | None:
    spec = PathFinder.find_spec(PACKAGE, _trusted_folders())
    folders = spec.submodule_search_locations if spec else None
    paths = (os.path.join(folder, _LIBRARY) for folder in folders or ())
    return next(filter(os.path.exists, paths), None)


def find_kernels() -> Kernels:
    """Return the installed library.

    Raises:
        MissingPackageError: there is none.
        DeviceError: it doesn't fit this processor, can't be loaded, or is turned off.

    Examples:
        >>> import os
        >>> os.environ["HEARAUDIOMLP_KERNELS"] = "0"
        >>> find_kernels()
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.DeviceError: the kernels are turned off by HEARAUDIOMLP_KERNELS=0
        >>> del os.environ["HEARAUDIOMLP_KERNELS"]
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0":
        raise DeviceError(f"the kernels are turned off by {VARIABLE}=0")
    path = _library()
    if path is None:
        raise MissingPackageError("the kernels aren't installed: pip install 'hearaudiomlp[fast]'")
    try:
        with native_call:
            name = ctypes.CDLL(path).hearaudiomlp_kernels
            name.restype = ctypes.c_char_p
            isa: bytes | None = name()
    except (OSError, AttributeError) as problem:
        raise DeviceError(f"the kernels can't be loaded: {problem}") from problem
    if isa is None:
        which = f"{wanted} kernels" if wanted else "kernels"
        raise DeviceError(f"{path} has no {which} for this processor")
    return Kernels(path, isa.decode())


def _names(message: Message, number: int) -> list[str]:
    return [bytes(value).decode() for key, value in message if key == number and value]


class _Blocks(NamedTuple):
    """The gated-MLP blocks in a packaged graph."""

    nodes: list[bytes]
    tensors: list[str]
    start: str
    """The value that they begin with."""
    result: str
    made: set[str]
    """All values that they compute."""


@cache
def _packaged_blocks(name: str) -> _Blocks:
    packaged = packaged_graph(name)[1]
    count = len({tensor.split(".")[1] for tensor in packaged.external if "layers." in tensor})
    tensors = [f"layers.{block}.{tensor}" for block in range(count) for tensor in _BLOCK]
    nodes = [message_of(node) for node in packaged.nodes]
    users = {
        tensor: [index for index, node in enumerate(nodes) if tensor in _names(node, 1)]
        for tensor in (tensors[0], tensors[-1])
    }
    # From the first node that takes a weight to the residual sum, which follows the last LayerNorm.
    first, last = users[tensors[0]][0], users[tensors[-1]][-1] + 1
    inside = nodes[first : last + 1]
    gemm = next(node for node in inside if _names(node, 4) == ["Gemm"])
    return _Blocks(
        [bytes(node) for node in packaged.nodes[first : last + 1]],
        tensors,
        start=_names(gemm, 1)[0],
        result=_names(inside[-1], 2)[0],
        made={name for node in inside for name in _names(node, 2)},
    )


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _message(parts: Iterable[tuple[int, int | str | bytes | memoryview]]) -> bytes:
    """Write a message whose fields are numbers or have a length, as all of a model and a graph."""
    written = bytearray()
    for number, value in parts:
        if isinstance(value, int):
            written += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            written += _varint(number << 3 | 2) + _varint(len(data)) + data
    return bytes(written)


def fuse_blocks(graph: bytes) -> bytes | None:
    """Return a graph with its blocks as one node; None, if it doesn't have those of an encoder.

    Args:
        graph: an ONNX file that has passed the checks of model files.

    Examples:
        >>> graph, summary = packaged_graph("kwmlp")
        >>> fused = summarize(fuse_blocks(graph))
        >>> len(summary.nodes), len(fused.nodes)
        (255, 40)
        >>> fused.operators["hearaudiomlp.kernels.GatedMLPStack"]
        1
    """
    summary = summarize(graph, operators=False)
    if (name := summary.metadata.get("model")) not in ENCODERS:  # a graph in the making has none
        return None
    blocks = _packaged_blocks(name)
    nodes = summary.nodes
    first = next((index for index, node in enumerate(nodes) if node == blocks.nodes[0]), len(nodes))
    end = first + len(blocks.nodes)
    if nodes[first:end] != blocks.nodes:
        return None
    rest = [message_of(node) for node in nodes[:first] + nodes[end:]]
    used = {name for node in rest for name in _names(node, 1)} | set(summary.outputs)
    if used & blocks.made != {blocks.result}:  # what is inside is asked for, too
        return None
    inputs = [(1, name) for name in (blocks.start, *blocks.tensors)]
    fused = _message([*inputs, (2, blocks.result), (4, OPERATOR), (7, DOMAIN)])

    def graph_fields(value: memoryview) -> Iterator[tuple[int, int | bytes | memoryview]]:
        index = -1
        for number, part in fields(value):
            index += number == 1
            if number != 1 or not first <= index < end:
                yield number, part
            elif index == first:
                yield number, fused

    parts: list[tuple[int, int | bytes | memoryview]] = [
        (number, value if isinstance(value, int) or number != 7 else _message(graph_fields(value)))
        for number, value in fields(memoryview(graph))
    ]
    return _message([*parts, (8, _message([(1, DOMAIN), (2, _VERSION)]))])  # opset_import
