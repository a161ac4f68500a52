"""A kwmlp graph with a network of a user's phrases instead of the keyword head."""

import onnx
import onnx.compose
import torch

from hearaudiomlp.fitting.taps import PREFIX, remove_unused
from hearaudiomlp.spec import FRAMES, MEL_BANDS
from hearaudiomlp_export.graph.trace import clean, export_quietly

_LOGITS = "keyword_logits"
_MFCC = "mfcc"


def phrase_graph(encoder: onnx.ModelProto, heads: torch.nn.Module) -> onnx.ModelProto:
    """Return an encoder's graph whose keyword logits are those of ``heads``.

    Args:
        encoder: a kwmlp graph with its weights; keyword logits of its own are replaced.
        heads: maps MFCCs [shape=(n, 98, 40)] to logits [shape=(n, labels)].

    Examples:
        >>> from hearaudiomlp.fitting.taps import tap_encoder
        >>> from hearaudiomlp.weights.locate import locate
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> encoder = tap_encoder(read_model_file(locate(None).read()))
        >>> heads = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(98 * 40, 3))
        >>> [output.name for output in phrase_graph(encoder, heads).graph.output]
        ['frame_embeddings', 'power_mel', 'mfcc', 'keyword_logits']
    """
    head = export_quietly(
        heads.eval(),
        torch.zeros(2, FRAMES, MEL_BANDS),
        input_names=[_MFCC],
        output_names=[_LOGITS],
        dynamic_shapes=({0: torch.export.Dim("n")},),
    )
    clean(head)
    for node in head.graph.node:  # padding is stated by itself, as the runtime asks
        for attribute in [each for each in node.attribute if each.name == "auto_pad"]:
            node.attribute.remove(attribute)
    head.ir_version = encoder.ir_version
    names = [output.name for output in encoder.graph.output]
    whole = onnx.compose.merge_models(
        encoder,
        onnx.compose.add_prefix(head, PREFIX),
        io_map=[(_MFCC, PREFIX + _MFCC)],
        outputs=[*names, PREFIX + _LOGITS],
    )
    for node in whole.graph.node:
        node.output[:] = [_without_prefix(name) for name in node.output]
    for output in whole.graph.output:
        output.name = _without_prefix(output.name)
    clean(whole)
    remove_unused(whole.graph, {output.name for output in whole.graph.output})
    whole.graph.name = encoder.graph.name
    whole.producer_name, whole.producer_version = encoder.producer_name, encoder.producer_version
    onnx.checker.check_model(whole, full_check=True)
    return whole


def _without_prefix(name: str) -> str:
    return _LOGITS if name == PREFIX + _LOGITS else name
