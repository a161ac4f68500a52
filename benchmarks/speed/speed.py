"""Speed of kwmlp next to the alternatives, in one run, interleaved.

    python benchmarks/speed/speed.py CHECKPOINT [--json FILE] [--plot FILE.png]

Every round runs each contender once, in an order of its own, so that a busy machine slows all of
them and none always comes after the same one; the table has medians, quartiles and ratios to ours.
In the brief cases a contender's turn is ten runs, and their median counts. The machine's own
float32 GEMM peak is measured in the same rounds, as the best of three products: it is the bound
that no arrangement of these operators can beat. So is the time of the graph alone: our blocks of
windows on our threads, with nothing before, between and behind them.
Needs ``[cpu,export]``; OpenVINO and matplotlib, if they are installed.
"""

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from contenders import KERNELS, Contender, Floats, contenders

import hearaudiomlp
from hearaudiomlp.inference.thread_pool import ThreadPool, split, usable_cpus
from hearaudiomlp.signal.windows import count_windows, cut_windows

CASES = {
    "one window (live)": (1, 15_680, 40),
    "one 1 s clip": (1, 16_000, 40),
    "64 clips of 1 s": (64, 16_000, 15),
    "60 s": (1, 960_000, 31),
    "one hour": (1, 57_600_000, 2),
}
"""Sounds, samples and rounds of each case."""


OURS, ALONE = "hearaudiomlp", "its graph alone"

BRIEF = 100_000
"""Samples below which a contender runs ten times in a row, of which the median counts."""


class GemmPeak:
    """The fastest float32 matrix product that ONNX Runtime reaches here, on all threads."""

    SIZE = 512

    def __init__(self, threads: int) -> None:
        """Prepare a product of two constant-shaped matrices."""
        shape = [self.SIZE, self.SIZE]
        weights = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
            "peak",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
            [onnx.numpy_helper.from_array(weights, "w")],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
        model.ir_version = 10
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self.pool, self.x = ThreadPool(threads), weights.T.copy()

    def __call__(self) -> float:
        """Return multiply-accumulates per second."""
        repeats = 4 * self.pool.threads
        start = time.perf_counter()
        self.pool.run(lambda _: self.session.run(None, {"x": self.x}), repeats)
        return repeats * self.SIZE**3 / (time.perf_counter() - start)


def graph_alone(model: hearaudiomlp.Model, audio: Floats) -> Callable[[], None]:
    """Return what computes all windows of some sounds, which are cut already."""
    total = len(audio) * count_windows(audio.shape[1])
    blocks = [cut_windows(audio, *edges) for edges in split(total, model.threads, model.block)]
    pool = ThreadPool(model.threads)
    return lambda: pool.run(lambda number: model.encode(blocks[number]), len(blocks))


def timed(function: Callable[[], Any]) -> float:
    """Return how many seconds a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def run_case(
    case: str, chosen: dict[str, Contender], model: hearaudiomlp.Model, peak: GemmPeak, repeats: int
) -> tuple[dict[str, list[float]], list[float]]:
    """Measure one case; return the seconds of each contender and the GEMM peaks between them."""
    sounds, samples, rounds = CASES[case]
    audio = (0.1 * np.random.default_rng(0).standard_normal((sounds, samples))).astype(np.float32)
    expected = chosen[OURS](audio)
    for name, contender in chosen.items():  # warm up, and see that all compute the same
        for ours, theirs in zip(expected, contender(audio), strict=True):
            assert np.abs(ours - theirs).max() < 2e-3, name
    runs: dict[str, Callable[[], Any]] = {ALONE: graph_alone(model, audio)}
    runs |= {name: partial(contender, audio) for name, contender in chosen.items()}
    seconds: dict[str, list[float]] = {name: [] for name in [OURS, *runs]}
    order = random.Random(0)
    peaks, in_a_row = [], 10 if audio.size < BRIEF else 1
    for _ in range(repeats * rounds):
        for name, run in order.sample(list(runs.items()), len(runs)):
            time.sleep(0.02)  # until the last one's threads have stopped spinning
            times = [timed(run) for _ in range(in_a_row)]
            seconds[name].append(statistics.median(times))
        time.sleep(0.02)
        peaks.append(max(peak() for _ in range(3)))
    return seconds, peaks


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return first quartile, median and third quartile."""
    low, middle, high = statistics.quantiles(values * 2, n=4)
    return low, middle, high


def table(case: str, seconds: dict[str, list[float]], peaks: list[float], macs: int) -> str:
    """Return the case's Markdown table."""
    sounds, samples, _ = CASES[case]
    base = statistics.median(seconds[OURS])
    lines = [
        f"\n**{case}** ({len(seconds[OURS])} rounds)\n",
        "| | ms, median | quartiles | times ours |",
        "| --- | ---: | --- | ---: |",
    ]
    for name, values in seconds.items():
        low, middle, high = quartiles(values)
        spread = f"{1e3 * low:.2f} - {1e3 * high:.2f}"
        lines.append(f"| {name} | {1e3 * middle:.2f} | {spread} | {middle / base:.2f} |")
    work = macs * sounds * count_windows(samples)
    bound = work / statistics.median(peaks)
    shares = [
        f"{name} {100 * bound / statistics.median(seconds[name]):.0f} %"
        for name in (OURS, KERNELS)
        if name in seconds
    ]
    rate = 2e-9 * statistics.median(peaks)
    lines.append(
        f"\nShare of the GEMM bound ({rate:.0f} GFLOP/s, all threads): {', '.join(shares)}."
    )
    return "\n".join(lines)


def plot(results: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw the ratios to ours of all cases."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in next(iter(results.values())) if name not in (OURS, ALONE)]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.26 * len(names) * len(results)))
    behind_text = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    hatches = ("", "//", "..", "xx", "--", "\\\\")
    for index, name in enumerate(names):
        places = [case * (len(names) + 1) + index for case in range(len(results))]
        ratios = [
            statistics.median(case[name]) / statistics.median(case[OURS])
            for case in results.values()
        ]
        bars = axes.barh(
            places, ratios, color=pyplot.get_cmap("cividis")(0.15 + 0.7 * index / len(names)),
            edgecolor="black", linewidth=0.5, hatch=hatches[index % len(hatches)], label=name,
        )  # fmt: skip
        texts = [f"{ratio:.2f}" for ratio in ratios]
        axes.bar_label(bars, texts, padding=3, fontsize=8, bbox=behind_text)
    middles = [case * (len(names) + 1) + (len(names) - 1) / 2 for case in range(len(results))]
    axes.set_yticks(middles, list(results))
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("time, as a multiple of hearaudiomlp's (shorter is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="lower right", framealpha=0.9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of kwmlp")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--threads", type=int, default=usable_cpus())
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--times", type=int, default=1, help="so many times the usual rounds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    chosen = contenders(options.checkpoint, options.threads, compiled=not options.no_compile)
    model = hearaudiomlp.load_model(
        options.checkpoint, device="cpu", threads=options.threads, kernels=False
    )
    encoder_macs = int(model.metadata["encoder_macs_per_window"])
    peak = GemmPeak(options.threads)
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, ", end="")
    print(f"onnxruntime {onnxruntime.__version__}")
    results = {}
    for case in options.cases:
        results[case], peaks = run_case(case, chosen, model, peak, options.times)
        print(table(case, results[case], peaks, encoder_macs), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
