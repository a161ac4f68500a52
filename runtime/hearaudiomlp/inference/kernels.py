"""Most of an encoder as two operators, where ``hearaudiomlp-kernels`` is installed.

A model file stays a graph of standard operators. When a session is opened on the CPU, the stretch
of nodes that are the gated-MLP blocks is replaced by one node with the same weights, whose operator
is in that package's library; so is the stretch that computes the mel power spectrum. They are known
by their bytes: these have to be those of the packaged graph, so what was checked of a model file
holds for its variant, too.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from typing import NamedTuple

from hearaudiomlp.errors import DeviceError, MissingPackageError
from hearaudiomlp.inference.shutdown import native_call
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.model_file import packaged_graph
from hearaudiomlp.weights.onnx_file import Message, Tensor, fields, message_of, summarize

PACKAGE = "hearaudiomlp_kernels"
"""The package that has the library."""

VARIABLE = "HEARAUDIOMLP_KERNELS"
"""Environment variable: ``0`` turns the kernels off, a name of :attr:`Kernels.isa` selects one."""

DOMAIN, BLOCKS, POWER_MEL = "hearaudiomlp.kernels", "GatedMLPStack", "PowerMel"
_VERSION = 1

_LIBRARY = f"lib{PACKAGE}.{'dylib' if sys.platform == 'darwin' else 'so'}"

_BLOCK = (
    *("fn.fn.proj_in.0.weight", "fn.fn.proj_in.0.bias"),
    *("fn.fn.sgu.norm.weight", "fn.fn.sgu.norm.bias"),
    *("fn.fn.sgu.proj.weight", "fn.fn.sgu.proj.bias"),
    *("fn.fn.proj_out.weight", "fn.fn.proj_out.bias"),
    *("fn.norm.weight", "fn.norm.bias"),
)
_FRONT_END = ("hann", "dft_inner", "dft_outer", "mel")
"""Tensors of a block and of the mel power spectrum, in the order of the operators' inputs."""


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


class _Stretch(NamedTuple):
    """Nodes of a packaged graph, one after another, that one operator computes."""

    operator: str
    nodes: list[bytes]
    inputs: list[str]
    result: str
    made: set[str]
    """All values that they compute."""

    constants: dict[str, Tensor]
    """What else they take, like shapes and bounds of slices: the operator takes it for granted."""


@cache
def _packaged_stretches(name: str) -> list[_Stretch]:
    packaged = packaged_graph(name)[1]
    nodes = [message_of(node) for node in packaged.nodes]

    def user(tensor: str) -> int:
        return next(index for index, node in enumerate(nodes) if tensor in _names(node, 1))

    def stretch(operator: str, first: int, last: int, tensors: Sequence[str]) -> _Stretch:
        inside = nodes[first : last + 1]
        made = {name for node in inside for name in _names(node, 2)}
        known = made | packaged.tensors.keys()
        used = {name for node in inside for name in _names(node, 1)}
        [start] = used - known
        return _Stretch(
            operator,
            [bytes(node) for node in packaged.nodes[first : last + 1]],
            [start, *tensors],
            _names(inside[-1], 2)[0],
            made,
            {name: packaged.tensors[name] for name in used - made - {start, *tensors}},
        )

    count = len({tensor.split(".")[1] for tensor in packaged.external if "layers." in tensor})
    tensors = [f"layers.{block}.{tensor}" for block in range(count) for tensor in _BLOCK]
    return [
        stretch(POWER_MEL, 0, user(_FRONT_END[-1]), _FRONT_END),
        # To the residual sum, which follows the last LayerNorm.
        stretch(BLOCKS, user(tensors[0]), user(tensors[-1]) + 1, tensors),
    ]


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


def fuse_graph(graph: bytes) -> bytes | None:
    """Return a graph on the kernels; None, if it doesn't have all that an encoder has of them.

    Args:
        graph: an ONNX file that has passed the checks of model files.

    Examples:
        >>> graph, summary = packaged_graph("kwmlp")
        >>> fused = summarize(fuse_graph(graph))
        >>> len(summary.nodes), len(fused.nodes)
        (255, 22)
        >>> fused.operators["hearaudiomlp.kernels.GatedMLPStack"]
        1
    """
    summary = summarize(graph, operators=False)
    if (name := summary.metadata.get("model")) not in ENCODERS:  # a graph in the making has none
        return None
    nodes = summary.nodes
    starts: dict[int, bytes] = {}
    replaced: set[int] = set()
    for stretch in _packaged_stretches(name):
        begins = (index for index, node in enumerate(nodes) if node == stretch.nodes[0])
        first = next(begins, len(nodes))
        end = first + len(stretch.nodes)
        constants = {name: summary.tensors.get(name) for name in stretch.constants}
        if nodes[first:end] != stretch.nodes or constants != stretch.constants:
            return None
        rest = [message_of(node) for node in nodes[:first] + nodes[end:]]
        used = {name for node in rest for name in _names(node, 1)} | set(summary.outputs)
        if used & stretch.made != {stretch.result}:  # what is inside is asked for, too
            return None
        inputs = [(1, name) for name in stretch.inputs]
        starts[first] = _message([*inputs, (2, stretch.result), (4, stretch.operator), (7, DOMAIN)])
        replaced.update(range(first, end))

    def graph_fields(value: memoryview) -> Iterator[tuple[int, int | bytes | memoryview]]:
        index = -1
        for number, part in fields(value):
            index += number == 1
            if number != 1 or index not in replaced:
                yield number, part
            elif index in starts:
                yield number, starts[index]

    parts: list[tuple[int, int | bytes | memoryview]] = [
        (number, value if isinstance(value, int) or number != 7 else _message(graph_fields(value)))
        for number, value in fields(memoryview(graph))
    ]
    return _message([*parts, (8, _message([(1, DOMAIN), (2, _VERSION)]))])  # opset_import
