"""A kwmlp graph with a network of a user's phrases instead of the keyword head."""

import onnx
import onnx.compose
import torch

from hearaudiomlp.fitting.taps import FEATURES, PREFIX, STRETCHES
from hearaudiomlp_export.graph.trace import clean, export_quietly

_LOGITS = "keyword_logits"


def phrase_graph(encoder: onnx.ModelProto, heads: torch.nn.Module, size: int) -> onnx.ModelProto:
    """Return an encoder's graph whose keyword logits are those of ``heads``.

    Args:
        encoder: as :func:`hearaudiomlp.fitting.taps.tap_encoder` returns it.
        heads: maps the means in it [shape=(n, 7, size)] to logits [shape=(n, labels)].
        size: of the means.

    Examples:
        >>> from hearaudiomlp.fitting.taps import tap_encoder
        >>> from hearaudiomlp.weights.locate import locate
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> encoder = tap_encoder(read_model_file(locate(None).read()))
        >>> heads = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7 * 424, 3))
        >>> [output.name for output in phrase_graph(encoder, heads, 424).graph.output]
        ['frame_embeddings', 'power_mel', 'mfcc', 'keyword_logits']
    """
    head = export_quietly(
        heads.eval(),
        torch.zeros(2, STRETCHES, size),
        input_names=["means"],
        output_names=[_LOGITS],
        dynamic_shapes=({0: torch.export.Dim("n")},),
    )
    clean(head)
    head.ir_version = encoder.ir_version
    names = [output.name for output in encoder.graph.output]
    # What is connected has to be an output of the first graph; it isn't one of the whole.
    means = onnx.helper.make_tensor_value_info(
        FEATURES, onnx.TensorProto.FLOAT, ["n", STRETCHES, size]
    )
    encoder.graph.output.append(means)
    whole = onnx.compose.merge_models(
        encoder,
        onnx.compose.add_prefix(head, PREFIX),
        io_map=[(FEATURES, f"{PREFIX}means")],
        outputs=[*names, PREFIX + _LOGITS],
    )
    for node in whole.graph.node:
        node.output[:] = [_without_prefix(name) for name in node.output]
    for output in whole.graph.output:
        output.name = _without_prefix(output.name)
    clean(whole)
    whole.graph.name = encoder.graph.name
    whole.producer_name, whole.producer_version = encoder.producer_name, encoder.producer_version
    onnx.checker.check_model(whole, full_check=True)
    return whole


def _without_prefix(name: str) -> str:
    return _LOGITS if name == PREFIX + _LOGITS else name
