"""What a classifier sees of a window: values inside the encoder, averaged over seven stretches.

The last layer of a keyword spotter keeps what distinguishes its own words and little else, so other
words look alike there. Earlier blocks still have it. Six of the blocks are taken (all of
audiomae's, every second one of kwmlp's) and, of kwmlp, the MFCCs; for words, also what the network
of phonemes hears in these MFCCs. Means over seven consecutive stretches of 14 frames keep the order
of sounds.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import ModelFileError, needs_extra
from hearaudiomlp.fitting.phonemes import add_phonemes
from hearaudiomlp.inference.session import Session
from hearaudiomlp.inference.thread_pool import BLOCK, ThreadPool, usable_cpus
from hearaudiomlp.spec import ENCODERS, FRAMES
from hearaudiomlp.weights.model_file import ModelFile, packaged_graph, read_weights

STRETCHES = 7
"""Stretches of a window."""

BLOCKS = 6
"""Blocks of the encoder that are taken, the last one and those at equal distances before it."""

PREFIX = "classifier."
"""What the names of a classifier's nodes and tensors begin with, also in the page's files."""

FEATURES = PREFIX + "stretches"
"""The value in the graph that has the means [shape=(n, 7, size)]."""

MFCC = "mfcc"
"""The value in kwmlp's graph that has the MFCCs [shape=(n, 98, 40)]."""

_LENGTH = FRAMES // STRETCHES
_WIDTH = 64  # of the blocks


def import_onnx() -> Any:
    """Import the onnx package.

    Raises:
        MissingPackageError: it isn't installed.

    Examples:
        >>> import_onnx().__name__
        'onnx'
    """
    with needs_extra("fit", "fit writes ONNX files with the package onnx"):
        import onnx
    return onnx


def tap_encoder(source: ModelFile, phonemes: bool = False) -> Any:
    """Return the encoder of a model file, without keywords, with the means as a value in its graph.

    Args:
        source: a model file of either encoder.
        phonemes: whether the means have what the network of phonemes hears, too; of kwmlp alone.

    Returns:
        An ``onnx.ModelProto``; :data:`FEATURES` isn't an output yet.

    Raises:
        MissingPackageError: the extra ``[fit]`` isn't installed.
        ModelFileError: the file has other weights than its encoder.

    Examples:
        >>> from hearaudiomlp.weights.locate import locate
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> model = tap_encoder(read_model_file(locate(None).read()))
        >>> [output.name for output in model.graph.output]
        ['frame_embeddings', 'power_mel', 'mfcc']
    """
    onnx = import_onnx()
    model = onnx.load_model_from_string(packaged_graph(source.card["model"])[0])
    graph = model.graph
    outputs = [output for output in graph.output if output.name != "keyword_logits"]
    remove_unused(graph, {output.name for output in outputs})
    del graph.output[:]
    graph.output.extend(outputs)
    _bind(graph, read_weights(source), onnx)
    _add_means(graph, source.card["model"], phonemes, onnx)
    return model


def remove_unused(graph: Any, outputs: set[str]) -> None:
    """Remove the nodes and tensors of an ONNX graph that none of its ``outputs`` needs.

    Examples:
        >>> import onnx
        >>> nodes = [onnx.helper.make_node("Neg", ["x"], [name]) for name in ("y", "z")]
        >>> graph = onnx.helper.make_graph(nodes, "two", [], [])
        >>> remove_unused(graph, {"z"})
        >>> [node.output[0] for node in graph.node]
        ['z']
    """
    needed = set(outputs)
    unused = []
    for node in reversed(graph.node):  # in topological order, as ONNX demands
        if needed.intersection(node.output):
            needed.update(node.input)
        else:
            unused.append(node)
    for node in unused:
        graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in needed]:
        graph.initializer.remove(tensor)


def _bind(graph: Any, weights: dict[str, Floats], onnx: Any) -> None:
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            if tensor.name not in weights:
                raise ModelFileError(f"a model file without the weights {tensor.name}")
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))


def _block_outputs(graph: Any) -> list[str]:
    """Return the names of what the blocks put out: x + LayerNorm(gMLP(x)), rows frame by frame."""
    normalized = {
        node.output[0]
        for node in graph.node
        if node.op_type == "LayerNormalization" and node.input[1].endswith(".fn.norm.weight")
    }
    return [
        node.output[0]
        for node in graph.node
        if node.op_type == "Add" and normalized.intersection(node.input)
    ]


def _add_means(graph: Any, name: str, phonemes: bool, onnx: Any) -> None:
    pool = np.repeat(np.eye(STRETCHES, dtype=np.float32), _LENGTH, axis=1) / _LENGTH

    def constant(key: str, values: npt.NDArray[Any]) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(values, PREFIX + key))
        return PREFIX + key

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        output = PREFIX + output
        node = onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        graph.node.append(node)
        return output

    of_frames = constant("pool", pool)
    frames_first = constant("frames_first", np.array([FRAMES, -1]))
    windows_second = constant("windows_second", np.array([STRETCHES, -1, _WIDTH]))
    parts = []
    outputs = _block_outputs(graph)
    step = max(1, ENCODERS[name].depth // BLOCKS)
    for number in range(step, len(outputs) + 1, step):
        rows = add("Reshape", [outputs[number - 1], frames_first], f"rows_{number}")
        means = add("MatMul", [of_frames, rows], f"means_{number}")
        split = add("Reshape", [means, windows_second], f"split_{number}")
        parts.append(add("Transpose", [split], f"block_{number}", perm=[1, 0, 2]))
    if any(output.name == MFCC for output in graph.output):
        parts.append(add("MatMul", [of_frames, MFCC], "mfcc_means"))
    if phonemes:
        steps = pool.T.reshape(-1, 2, STRETCHES).sum(axis=1)  # one is two frames
        heard = add("Concat", add_phonemes(add, constant, MFCC), "heard", axis=1)
        means = add("MatMul", [heard, constant("pool_steps", steps)], "heard_means")
        parts.append(add("Transpose", [means], "heard_stretches", perm=[0, 2, 1]))
    add("Concat", parts, "stretches", axis=2)


class Taps:
    """An encoder that computes the means.

    Examples:
        >>> from hearaudiomlp.weights.locate import locate
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> taps = Taps(read_model_file(locate(None).read()))
        >>> taps.summarize(np.zeros((2, 16_000), np.float32)).shape
        (2, 7, 424)
    """

    def __init__(
        self, source: ModelFile, threads: int | None = None, phonemes: bool = False
    ) -> None:
        """Open a session on the CPU.

        Args:
            source: a model file of either encoder.
            threads: that compute; all usable CPUs, if None.
            phonemes: whether the means have what the network of phonemes hears, too.

        Raises:
            MissingPackageError: the extra ``[fit]`` isn't installed.
            ModelFileError: the file has other weights than its encoder.
        """
        onnx = import_onnx()
        model = tap_encoder(source, phonemes)
        del model.graph.output[:]
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(
                FEATURES, onnx.TensorProto.FLOAT, ["n", STRETCHES, "size"]
            )
        )
        self._session = Session(model.SerializeToString(), {}, device="cpu")
        self._pool = ThreadPool(threads or usable_cpus())

    def summarize(self, windows: Floats) -> Floats:
        """Return the means [shape=(n, 7, size)] of windows [shape=(n, 16000)], float32."""
        blocks = [windows[first : first + BLOCK] for first in range(0, len(windows), BLOCK)]
        results: list[Floats] = [np.empty(0, np.float32)] * len(blocks)

        def compute(number: int) -> None:
            results[number] = self._session.run(blocks[number], (FEATURES,))[FEATURES]

        self._pool.run(compute, len(blocks))
        return np.concatenate(results)
