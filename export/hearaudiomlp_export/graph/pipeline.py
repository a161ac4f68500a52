"""The whole HEAR pipeline as one graph: sounds of any length in, embeddings out.

Around the encoder's graph, which stays as it is, go the padding and cutting before it and the
stitching and pooling after it. They are written in ONNX's textual syntax, which onnx.parser reads,
because they are a page of arithmetic on lengths that no exporter would write as clearly.

Lengths are int64 vectors of one element where they become part of a shape or of an index. The
number of halvings of a scene follows from comparing lengths, not from a logarithm: as long as half
the frames (rounded down) are enough, they are halved. Positions are float32, as in
:mod:`hearaudiomlp.signal.scene`.
"""

import numpy as np
import onnx

from hearaudiomlp.spec import ENCODERS, FRAMES, HOP, PAD_LEFT, PAD_RIGHT, SAMPLE_RATE, WINDOW
from hearaudiomlp_export.graph.macs import depending, leading_to
from hearaudiomlp_export.graph.trace import ALLOWED_OPERATORS, OPSET

PREFIX = "pipeline."
"""What the names of all nodes outside the encoder begin with, for people who read the graph."""

WINDOW_LOGITS = "window_logits"
"""The encoder's logits inside the graph, where ``keyword_logits`` is the output of the whole."""

BLOCK = 8
"""Windows that the encoder takes at a time, at most: its values stay in the processor's cache."""

_AROUND = (
    "Cast Constant Div Expand Gather GreaterOrEqual Identity Loop Min Pad Range Shape Squeeze Sub"
)
_PHRASES = "BatchNormalization Clip Conv LogSoftmax Relu"
PIPELINE_OPERATORS = ALLOWED_OPERATORS | frozenset(f"{_AROUND} {_PHRASES}".split())
"""Operators that this graph may use: none is outside the standard, and Loop is the only control."""

_LENGTHS = f"""
    n_sounds = Shape <start = 0, end = 1> (audio)
    n_samples = Shape <start = 1, end = 2> (audio)
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    window = Constant <value_ints = [{WINDOW}]> ()
    to_windows = Constant <value_ints = [-1, {WINDOW}]> ()
    pad_left = Constant <value_ints = [{PAD_LEFT}]> ()
    round_up = Constant <value_ints = [{PAD_LEFT + PAD_RIGHT + WINDOW - 1}]> ()
    rounded_up = Add (n_samples, round_up)
    n_windows = Div (rounded_up, window)
    whole = Mul (n_windows, window)
    not_right = Add (n_samples, pad_left)
    pad_right = Sub (whole, not_right)
    pads = Concat <axis = 0> (zero, pad_left, zero, pad_right)
    padded = Pad (audio, pads)
"""

_EMBEDDINGS_ALONE = """
    all_windows = Reshape (padded, to_windows)
"""

# The windows of the keywords are cut without the padding, so they are others than those of the
# embeddings. One run of the encoder takes both.
_WITH_KEYWORDS = f"""
    embedding_windows = Reshape (padded, to_windows)
    keyword_round_up = Constant <value_ints = [{WINDOW - 1}]> ()
    keyword_rounded_up = Add (n_samples, keyword_round_up)
    keyword_windows_or_none = Div (keyword_rounded_up, window)
    n_keyword_windows = Max (keyword_windows_or_none, one)
    keyword_whole = Mul (n_keyword_windows, window)
    keyword_pad_right = Sub (keyword_whole, n_samples)
    keyword_pads = Concat <axis = 0> (zero, zero, zero, keyword_pad_right)
    bare = Pad (audio, keyword_pads)
    keyword_windows = Reshape (bare, to_windows)
    all_windows = Concat <axis = 0> (embedding_windows, keyword_windows)
"""

# Blocks of equal size, so that their outputs are contiguous: as few as there can be of at most
# eight, each as small as that allows. The last one is filled up with silent windows.
_BLOCKS = f"""
    block_most = Constant <value_ints = [{BLOCK}]> ()
    block_round_up = Constant <value_ints = [{BLOCK - 1}]> ()
    n_all = Shape <start = 0, end = 1> (all_windows)
    n_all_rounded_up = Add (n_all, block_round_up)
    n_blocks = Div (n_all_rounded_up, block_most)
    n_all_and_blocks = Add (n_all, n_blocks)
    n_all_ready_to_divide = Sub (n_all_and_blocks, one)
    block = Div (n_all_ready_to_divide, n_blocks)
    n_computed = Mul (n_blocks, block)
    n_silent = Sub (n_computed, n_all)
    silent = Concat <axis = 0> (zero, zero, n_silent, zero)
    computed_windows = Pad (all_windows, silent)
    blocks_shape = Concat <axis = 0> (n_blocks, block, window)
    blocks = Reshape (computed_windows, blocks_shape)
    n_blocks_scalar = Squeeze (n_blocks)
    always = Constant <value = bool {{1}}> ()
"""

_SPLIT = """
    flat_logits = Constant <value_ints = [-1, %d]> ()
    computed_logits = Reshape (block_logits, flat_logits)
    n_embedding_windows = Mul (n_windows, n_sounds)
    asked_logits = Slice (computed_logits, n_embedding_windows, n_all, zero)
    n_labels = Constant <value_ints = [%d]> ()
    logits_shape = Concat <axis = 0> (n_sounds, n_keyword_windows, n_labels)
    keyword_logits = Reshape (asked_logits, logits_shape)
"""

# The factor from a frame's number to its position before halving, (old - 1) / (new - 1) as float32,
# rounded once. With old = 2 new + odd it is 2 + (1 + odd) / (new - 1), and that comes to the same
# float32 for all new < 2 ** 23 even on engines that multiply by a reciprocal instead of
# dividing (OpenVINO): 1 + odd is a power of two, and the sum's rounding swallows the quotient's.
_HALVING_SCALE = """
        before_vector = Shape <start = 1, end = 2> (whole_in)
        half = Div (before_vector, two)
        twice_half = Mul (half, two)
        odd = Sub (before_vector, twice_half)
        numerator = Add (odd, one)
        denominator = Sub (half, one)
        numerator_float = Cast <to = 1> (numerator)
        denominator_float = Cast <to = 1> (denominator)
        beyond_two = Div (numerator_float, denominator_float)
        halving_scale = Add (beyond_two, two_float)
"""

# Behind the halvings there are only as many lengths as there are steps: a table has the factors.
_LAST_SCALE = """
    left_over = Shape <start = 1, end = 2> (halved)
    left_over_number = Sub (left_over, scene_steps)
    last_scales = Constant <value = float[{n}] {{{scales}}}> ()
    last_scale = Gather <axis = 0> (last_scales, left_over_number)
"""

# One step of the scene's resizing, [n_sounds, old, size] to [n_sounds, new, size].
_RESIZE = """
        {p}old = Shape <start = 1, end = 2> ({source})
        {p}old_last = Sub ({p}old, one)
        {p}new_scalar = Squeeze ({new})
        {p}steps = Range (zero_scalar, {p}new_scalar, one_scalar)
        {p}steps_float = Cast <to = 1> ({p}steps)
        {p}positions = Mul ({p}scale, {p}steps_float)
        {p}truncated = Cast <to = 7> ({p}positions)
        {p}lower = Min ({p}truncated, {p}old_last)
        {p}after = Add ({p}lower, one)
        {p}upper = Min ({p}after, {p}old_last)
        {p}lower_float = Cast <to = 1> ({p}lower)
        {p}weight_flat = Sub ({p}positions, {p}lower_float)
        {p}weight = Reshape ({p}weight_flat, column)
        {p}other_weight = Sub (one_float, {p}weight)
        {p}left = Gather <axis = 1> ({source}, {p}lower)
        {p}right = Gather <axis = 1> ({source}, {p}upper)
        {p}weighted_left = Mul ({p}other_weight, {p}left)
        {p}weighted_right = Mul ({p}weight, {p}right)
        {target} = Add ({p}weighted_left, {p}weighted_right)
"""

_AFTER = """
    size = Constant <value_ints = [{size}]> ()
    flat_frames = Constant <value_ints = [-1, {frames}, {size}]> ()
    computed_frames = Reshape (block_frames, flat_frames)
    n_frame_windows = Mul (n_windows, n_sounds)
    embedding_frames = Slice (computed_frames, zero, n_frame_windows, zero)
    edges_twice = Constant <value_ints = [{edges_twice}]> ()
    hundred = Gather <axis = 1> (embedding_frames, edges_twice)
    minus_one = Constant <value_ints = [-1]> ()
    sounds_shape = Concat <axis = 0> (n_sounds, minus_one, size)
    laid_end_to_end = Reshape (hundred, sounds_shape)
    stitched = Slice (laid_end_to_end, one, minus_one, one)

    hop = Constant <value_ints = [{hop}]> ()
    n_timestamps = Div (n_samples, hop)
    timestamp_embeddings = Slice (stitched, zero, n_timestamps, one)
    zero_scalar = Constant <value_int = 0> ()
    one_scalar = Constant <value_int = 1> ()
    n_timestamps_scalar = Squeeze (n_timestamps)
    counted_from_zero = Range (zero_scalar, n_timestamps_scalar, one_scalar)
    counted = Add (counted_from_zero, one)
    counted_float = Cast <to = 1> (counted)
    milliseconds = Constant <value_float = {step}> ()
    centres = Mul (counted_float, milliseconds)
    timestamps_shape = Concat <axis = 0> (n_sounds, n_timestamps)
    timestamps = Expand (centres, timestamps_shape)

    scene_steps = Constant <value_ints = [{steps}]> ()
    n_frames = Shape <start = 1, end = 2> (stitched)
    at_least = Max (n_frames, scene_steps)
    n_missing = Sub (at_least, n_frames)
    fill = Concat <axis = 0> (zero, zero, zero, zero, n_missing, zero)
    filled = Pad (stitched, fill)
    one_float = Constant <value_float = 1.0> ()
    two_float = Constant <value_float = 2.0> ()
    column = Constant <value_ints = [1, -1, 1]> ()
    half_of_all = Div (at_least, two)
    halve_vector = GreaterOrEqual (half_of_all, scene_steps)
    halve = Squeeze (halve_vector)
    halved = Loop <body = halving
        (int64 number, bool halve_in, float[n_sounds, before, {size}] whole_in)
        => (bool halve_out, float[n_sounds, after, {size}] half_out) {{
{halving}
        quarter = Div (half, two)
        halve_out_vector = GreaterOrEqual (quarter, scene_steps)
        halve_out = Squeeze (halve_out_vector)
    }}> ("", halve, filled)
{last}
    features_first = Transpose <perm = [0, 2, 1]> (scene)
    flat = Constant <value_ints = [-1, {scene_size}]> ()
    scene_embeddings = Reshape (features_first, flat)
"""


def _last_scales(steps: int) -> str:
    """Return the factors of the last resizing, from ``steps`` ... ``2 * steps - 1`` frames."""
    lasts = np.arange(steps - 1, 2 * steps - 1).astype(np.float32)
    return ", ".join(f"{scale:.9g}" for scale in lasts / np.float32(steps - 1))


def _text(name: str, labels: int) -> str:
    spec = ENCODERS[name]
    size = spec.timestamp_embedding_size
    outputs = [
        f"float[n_sounds, n_timestamps, {size}] timestamp_embeddings",
        "float[n_sounds, n_timestamps] timestamps",
        f"float[n_sounds, {spec.scene_embedding_size}] scene_embeddings",
    ]
    inner = [f"float[n, {FRAMES}, {size}] frame_embeddings"]
    outer = ["block_frames"]
    if labels:
        outputs.append(f"float[n_sounds, n_keyword_windows, {labels}] keyword_logits")
        inner.append(f"float[n, {labels}] {WINDOW_LOGITS}")
        outer.append("block_logits")
    after = _AFTER.format(
        edges_twice=", ".join(map(str, [0, *range(FRAMES), FRAMES - 1])),
        frames=FRAMES,
        size=size,
        hop=HOP,
        step=f"{1000 * HOP / SAMPLE_RATE:.1f}",
        steps=spec.scene_steps,
        scene_size=spec.scene_embedding_size,
        halving=_HALVING_SCALE
        + _RESIZE.format(p="halving_", source="whole_in", new="half", target="half_out"),
        last=_LAST_SCALE.format(n=spec.scene_steps, scales=_last_scales(spec.scene_steps))
        + _RESIZE.format(p="last_", source="halved", new="scene_steps", target="scene"),
    )
    return f"""<ir_version: 10, opset_import: ["": {OPSET}]>
{name} (float[n_sounds, n_samples] audio) => ({", ".join(outputs)})
{{
{_LENGTHS}{_WITH_KEYWORDS if labels else _EMBEDDINGS_ALONE}{_BLOCKS}
    {", ".join(outer)} = Loop <body = encoding (int64 index, bool go_on)
        => (bool go_on_out, {", ".join(inner)}) <float[n, {WINDOW}] windows> {{
        windows = Gather <axis = 0> (blocks, index)
        go_on_out = Identity (go_on)
    }}> (n_blocks_scalar, always)
{_SPLIT % (labels, labels) if labels else ""}{after}}}
"""


def pipeline_graph(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Put an encoder's graph into that of the whole pipeline.

    Args:
        encoder: as :func:`hearaudiomlp_export.graph.trace.trace` returns it, with or without
            weights; or one with a classifier of a user's own.

    Returns:
        A graph with the input ``audio`` [shape=(n_sounds, n_samples)], float32, of any length from
        0 samples up, and the outputs ``timestamp_embeddings`` [shape=(n_sounds, n_samples // 160,
        size)], ``timestamps`` [shape=(n_sounds, n_samples // 160)] in milliseconds,
        ``scene_embeddings`` [shape=(n_sounds, scene size)] and, if the encoder has
        ``keyword_logits``, these [shape=(n_sounds, n_keyword_windows, n_labels)] of bare
        consecutive seconds, the last one filled up with zeros; at least one.

    Examples:
        >>> whole = pipeline_graph(onnx.load("onnx_models/kwmlp.onnx"))
        >>> [output.name for output in whole.graph.output]
        ['timestamp_embeddings', 'timestamps', 'scene_embeddings', 'keyword_logits']
    """
    shapes = {one.name: one.type.tensor_type.shape.dim for one in encoder.graph.output}
    logits = shapes.get("keyword_logits")
    labels = logits[1].dim_value if logits else 0
    whole = onnx.parser.parse_model(_text(encoder.graph.name, labels))
    inner = onnx.GraphProto()
    inner.CopyFrom(encoder.graph)
    del inner.node[:]  # the features have no place among the outputs of the whole
    inner.node.extend(leading_to(encoder, ["frame_embeddings", "keyword_logits"]))
    for node in inner.node:
        for names in (node.input, node.output):
            names[:] = [WINDOW_LOGITS if one == "keyword_logits" else one for one in names]
        node.name = node.output[0]
    for node in whole.graph.node:
        node.name = PREFIX + node.output[0]
    [loop] = [node for node in whole.graph.node if node.output[0] == "block_frames"]
    body = loop.attribute[0].g
    for node in body.node:
        node.name = PREFIX + node.output[0]
    # What depends on nothing but weights stays outside of the loop: it is computed once.
    names = [node.output[0] for node in depending(encoder, ["windows"])]
    repeated = {WINDOW_LOGITS if one == "keyword_logits" else one for one in names}
    body.node.extend(node for node in inner.node if node.output[0] in repeated)
    outer = list(whole.graph.node)
    del whole.graph.node[:]
    whole.graph.node.extend(node for node in inner.node if node.output[0] not in repeated)
    whole.graph.node.extend(outer)
    whole.graph.initializer.extend(inner.initializer)
    whole.ir_version = encoder.ir_version
    whole.producer_name, whole.producer_version = encoder.producer_name, encoder.producer_version
    whole.metadata_props.extend(encoder.metadata_props)
    outputs = [name for node in (*whole.graph.node, *body.node) for name in node.output]
    assert len(outputs) == len(set(outputs)), "a name is taken twice"
    unknown = {node.op_type for node in (*whole.graph.node, *body.node)} - PIPELINE_OPERATORS
    assert not unknown, unknown
    return whole
