"""Operators that could take another's place in the graph: the time of each, on one thread.

    python benchmarks/operators.py

Tensors are those of a block of eight windows of kwmlp. Each contender is a chain of twelve equal
steps, and contenders take turns in the same rounds. Not all of them compute the same: normalizing
without an affine map would need one elsewhere, and the tanh form of Gelu is out of tolerance.
Needs ``[cpu,export]``.
"""

import random
import statistics
import time

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, helper

ROWS = 8 * 98
STEPS = 12
ROUNDS = 100
ORT = "com.microsoft"

Steps = list[tuple[str, list[str], dict[str, object]]]
"""Operator, further inputs and attributes of what is done one after the other."""

NORMALIZE: dict[str, Steps] = {
    "Add, LayerNormalization": [
        ("Add", ["full"], {}),
        ("LayerNormalization", ["row", "zeros"], {}),
    ],
    "SkipLayerNormalization": [
        ("SkipLayerNormalization", ["full", "row", "zeros"], {"domain": ORT}),
    ],
    "LayerNormalization": [("LayerNormalization", ["row", "zeros"], {})],
    "InstanceNormalization (no affine map)": [("InstanceNormalization", ["one", "zero"], {})],
    "InstanceNormalization, Mul, Add": [
        ("InstanceNormalization", ["one", "zero"], {}),
        ("Mul", ["row"], {}),
        ("Add", ["zeros"], {}),
    ],
}
ACTIVATE: dict[str, Steps] = {
    "Gelu": [("Gelu", [], {})],
    "Gelu of ONNX Runtime": [("Gelu", [], {"domain": ORT})],
    "Gelu, tanh": [("Gelu", [], {"approximate": "tanh"})],
    "FastGelu of ONNX Runtime": [("FastGelu", [], {"domain": ORT})],
    "Relu (the least that a pass costs)": [("Relu", [], {})],
}


def open_chain(steps: Steps, shape: list[int]) -> onnxruntime.InferenceSession:
    """Return a session of ``STEPS`` times these steps."""
    nodes: list[NodeProto] = []
    value = "x"
    for number in range(STEPS):
        for at, (operator, inputs, attributes) in enumerate(steps):
            result = f"{number}.{at}"
            nodes.append(helper.make_node(operator, [value, *inputs], [result], **attributes))
            value = result
    constants = {
        "full": np.full(shape, 0.5, np.float32),
        "row": np.ones(shape[-1], np.float32),
        "zeros": np.zeros(shape[-1], np.float32),
        "one": np.ones(1, np.float32),
        "zero": np.zeros(1, np.float32),
    }
    used = {name for _, inputs, _ in steps for name in inputs}
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(constants[name], name) for name in sorted(used)],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(ORT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def compare(title: str, chains: dict[str, Steps], width: int) -> None:
    """Measure some chains and print their table."""
    x = np.random.default_rng(0).standard_normal((ROWS, width)).astype(np.float32)
    runs = {}
    for name, steps in chains.items():
        values = x[:, None] if steps[0][0] == "InstanceNormalization" else x
        runs[name] = open_chain(steps, list(values.shape)), values
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = random.Random(0)
    for _ in range(ROUNDS):
        for name, (session, values) in order.sample(list(runs.items()), len(runs)):
            start = time.perf_counter()
            session.run(None, {"x": values})
            times[name].append((time.perf_counter() - start) * 1e6 / STEPS)
    base = statistics.median(next(iter(times.values())))
    print(f"\n**{title}**, {ROWS} x {width}\n")
    print("| | us, median | best | times the first |\n| --- | ---: | ---: | ---: |")
    for name, values in times.items():
        half = statistics.median(values)
        print(f"| {name} | {half:.0f} | {min(values):.0f} | {half / base:.2f} |")


def main() -> None:
    """Measure normalizations and activations."""
    compare("normalization", NORMALIZE, 64)
    compare("activation", ACTIVATE, 256)


if __name__ == "__main__":
    main()
