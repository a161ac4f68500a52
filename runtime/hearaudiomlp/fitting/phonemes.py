"""The network of phonemes, as nodes of an ONNX graph behind the MFCCs.

It was trained on real people (``scripts/make_phonemes.py``), and hears how a word sounds where a
keyword spotter keeps which of its own words it is like. Its weights are here, because files that
``fit`` writes have it in them; ``hearaudiomlp-export train --words`` uses the same file.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from hearaudiomlp._types import Floats

DILATIONS = (1, 1, 1, 1, 2, 2)
"""Of the blocks: convolutions over three steps with a way around them."""

STEPS = 49
"""What is heard of a window, one every two frames (20 ms)."""

FLOOR = -6.0
"""Lowest logarithm of a probability."""

PATH = Path(__file__).parent.parent / "data" / "phonemes.npz"

_EPSILON = 1e-5  # of PyTorch's batch normalization

Add = Callable[..., str]
"""``add(operator, inputs, output, **attributes)`` adds a node and returns its output's name."""


@cache
def load_phoneme_weights() -> dict[str, Floats]:
    """Return the weights by PyTorch's names, float32.

    Examples:
        >>> load_phoneme_weights()["last.bias"].shape
        (40,)
    """
    with np.load(PATH) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


@cache
def phonemes_sha256() -> str:
    """Return the SHA-256 of the file of weights: what is bundled of speech was heard by these.

    Examples:
        >>> len(phonemes_sha256())
        64
    """
    return hashlib.sha256(PATH.read_bytes()).hexdigest()


def count_phonemes() -> tuple[int, int]:
    """Return how many values there are of a step, and the multiply-accumulates of a window.

    Examples:
        >>> count_phonemes()[0]
        200
    """
    weights = load_phoneme_weights()
    kernels = [values.size for values in weights.values() if values.ndim == 3]
    return len(weights["first.bias"]) + len(weights["last.bias"]), STEPS * sum(kernels)


def add_phonemes(add: Add, constant: Callable[[str, Floats], str], mfcc: str) -> list[str]:
    """Add the network to a graph, behind MFCCs [shape=(n, 98, 40)].

    Args:
        add: adds a node.
        constant: adds a tensor, and returns its name.
        mfcc: the name of the MFCCs.

    Returns:
        The names of what the network has inside [shape=(n, width, 49)], and of the logarithms of
        the phonemes' probabilities [shape=(n, 40, 49)].

    Examples:
        >>> nodes = []
        >>> def add(operator, inputs, output, **attributes):
        ...     nodes.append(operator)
        ...     return output
        >>> add_phonemes(add, lambda name, values: name, "mfcc")
        ['phonemes_inside_6', 'phonemes']
        >>> nodes[:4]
        ['Sub', 'Div', 'Transpose', 'Conv']
    """
    weights = load_phoneme_weights()

    def conv(x: str, names: Sequence[str], output: str, **attributes: object) -> str:
        kernel, bias = _folded(weights, *names)
        inputs = [x, constant(f"{output}_kernel", kernel), constant(f"{output}_bias", bias)]
        return add("Conv", inputs, output, kernel_shape=[kernel.shape[2]], **attributes)

    x = add("Sub", [mfcc, constant("mfcc_mean", weights["mean"])], "mfcc_centred")
    x = add("Div", [x, constant("mfcc_spread", weights["spread"])], "mfcc_scaled")
    x = add("Transpose", [x], "mfcc_rows", perm=[0, 2, 1])
    x = conv(x, ("first", "norm"), "phonemes_first", strides=[2], pads=[2, 2])
    x = add("Relu", [x], "phonemes_inside_0")
    for number, dilation in enumerate(DILATIONS):
        names = (f"blocks.{number}.conv", f"blocks.{number}.norm")
        mapped = conv(
            x,
            names,
            f"phonemes_block_{number + 1}",
            dilations=[dilation],
            pads=[dilation, dilation],
        )
        mapped = add("Relu", [mapped], f"phonemes_heard_{number + 1}")
        x = add("Add", [x, mapped], f"phonemes_inside_{number + 1}")
    logits = conv(x, ("last",), "phonemes_logits", pads=[0, 0])
    logarithms = add("LogSoftmax", [logits], "phonemes_logarithms", axis=1)
    floor = constant("phonemes_floor", np.array(FLOOR, np.float32))
    return [x, add("Max", [logarithms, floor], "phonemes")]


def _folded(
    weights: dict[str, Floats], conv: str, norm: str | None = None
) -> tuple[Floats, Floats]:
    """Return kernel and bias of a convolution, with the normalization behind it folded in."""
    kernel = weights[f"{conv}.weight"].astype(np.float64)
    bias = weights.get(f"{conv}.bias", np.zeros(len(kernel), np.float32)).astype(np.float64)
    if norm is not None:
        spread = np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + _EPSILON)
        scale = weights[f"{norm}.weight"] / spread
        kernel *= scale[:, None, None]
        bias = (bias - weights[f"{norm}.running_mean"]) * scale + weights[f"{norm}.bias"]
    return kernel.astype(np.float32), bias.astype(np.float32)
