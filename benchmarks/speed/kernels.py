"""The gated-MLP blocks alone: ONNX Runtime's operators against the kernels, one thread.

    python benchmarks/speed/kernels.py [MODEL.onnx] [--block 8] [--rounds 100]

The blocks are cut out of an exported model. Contenders take turns; times are CPU times of the
thread, so that other programs on the machine disturb less. The bound is the time of the blocks'
matrix products at the fastest product that ONNX Runtime reaches in the same rounds. Needs
``[cpu,export]`` and ``pip install ./kernels``.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from speed import GemmPeak

from hearaudiomlp.errors import DeviceError
from hearaudiomlp.inference.kernels import BLOCKS, VARIABLE, find_kernels, fuse_graph

MODEL = Path(__file__).resolve().parents[2] / "onnx_models" / "kwmlp.onnx"
ISAS = ("avx512", "avx2", "neon", "plain")


def cut_blocks(path: Path) -> tuple[bytes, bytes, int]:
    """Return the blocks of a model as a graph of their own, the same fused, and their number."""
    data = path.read_bytes()
    fused = fuse_graph(data)
    if fused is None:
        raise SystemExit(f"{path} isn't the graph of an encoder")
    models = [onnx.load_from_string(graph) for graph in (data, fused)]
    [node] = [one for one in models[1].graph.node if one.op_type == BLOCKS]
    ends = [node.input[0], node.output[0]]
    cut = []
    for model in models:
        model.graph.value_info.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", 64])
            for name in ends
        )
        blocks = onnx.utils.Extractor(model).extract_model(ends[:1], ends[1:])
        cut.append(blocks.SerializeToString())
    return cut[0], cut[1], (len(node.input) - 1) // 10


def open_session(graph: bytes, library: str = "") -> onnxruntime.InferenceSession:
    """Open a session of one thread, as the runtime does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if library:
        options.register_custom_ops_library(library)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", type=Path, nargs="?", default=MODEL, help="of the windows interface"
    )
    parser.add_argument("--block", type=int, default=8, help="windows in a block")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    standard, fused, count = cut_blocks(options.model)
    sessions = {"ONNX Runtime's operators": open_session(standard)}
    for isa in ISAS:
        os.environ[VARIABLE] = isa
        try:
            sessions[f"kernels, {isa}"] = open_session(fused, find_kernels().library)
        except DeviceError as problem:
            print(problem)
    x = np.random.default_rng(0).standard_normal((98 * options.block, 64), np.float32)
    name = {key: session.get_inputs()[0].name for key, session in sessions.items()}
    expected = sessions["ONNX Runtime's operators"].run(None, {name["ONNX Runtime's operators"]: x})
    for key, session in sessions.items():
        error = np.abs(session.run(None, {name[key]: x})[0] - expected[0]).max()
        assert error < 1e-5 * np.abs(expected[0]).max(), (key, error)
    times: dict[str, list[float]] = {key: [] for key in sessions}
    peak, peaks = GemmPeak(1), []
    for _ in range(options.rounds):
        for key, session in sessions.items():
            start = time.thread_time()
            session.run(None, {name[key]: x})
            times[key].append(1e6 * (time.thread_time() - start) / options.block)
        start = time.thread_time()
        peak.session.run(None, {"x": peak.x})
        peaks.append(peak.SIZE**3 / (time.thread_time() - start))
    macs = count * 98 * (64 * 256 + 98 * 128 + 128 * 64)
    bound = 1e6 * macs / max(peaks)
    print(
        f"{count} blocks, {options.block} windows a run, {options.rounds} rounds, us per window\n"
    )
    print("| | best | median | share of the GEMM bound |\n| --- | ---: | ---: | ---: |")
    for key, values in times.items():
        best, median = min(values), statistics.median(values)
        print(f"| {key} | {best:.0f} | {median:.0f} | {100 * bound / best:.0f} % |")
    print(f"\nThe bound is {bound:.0f} us: {macs / 1e6:.1f} million multiply-accumulates.")


if __name__ == "__main__":
    main()
