"""Runs of a session on bound buffers of a few fixed shapes, as CUDA graphs need them.

On a GPU a run is many small kernels, and for a few windows most of its cost is launching them. With
inputs and outputs bound to buffers on the device, ONNX Runtime can record the kernels of a shape as
a CUDA graph and launch them together. The shapes differ in the number of windows; zeros fill up an
input in between, which is harmless because windows are independent.
"""

import bisect
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from hearaudiomlp._types import Floats

SIZES = (1, 2, 8, 32, 128, 256)
"""Windows in a run: two for a clip of one second, and steps that waste little of the last run."""


class _Bound:
    """One shape and choice of outputs: its buffers on the device, and their binding."""

    def __init__(
        self,
        ort: ModuleType,
        session: Any,
        size: int,
        outputs: Sequence[str],
        *,
        device: tuple[str, int],
        number: int,
    ) -> None:
        node = session.get_inputs()[0]

        def buffer(shape: list[Any]) -> Any:
            return ort.OrtValue.ortvalue_from_shape_and_type(
                [size, *shape[1:]], np.float32, *device
            )

        self.input = buffer(node.shape)
        shapes = {output.name: output.shape for output in session.get_outputs()}
        self.outputs = {name: buffer(shapes[name]) for name in outputs}
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input(node.name, self.input)
        for name, value in self.outputs.items():
            self.binding.bind_ortvalue_output(name, value)
        self.options = ort.RunOptions()
        # Each binding has a recorded graph of its own. On the CPU the entry has no effect.
        self.options.add_run_config_entry("gpu_graph_id", str(number))
        self.filled = np.zeros([size, *node.shape[1:]], np.float32)


class BoundRuns:
    """Runs of one session, each on the smallest of a few shapes that holds its input.

    All are made on one thread: they share buffers, and ONNX Runtime records a graph for the thread
    that first runs it. See ``tests/inference/test_io_binding.py`` for its use without a GPU.

    Examples:
        >>> from hearaudiomlp.inference.ort import onnxruntime
        >>> session = onnxruntime().InferenceSession("onnx_models/kwmlp.onnx")
        >>> runs = BoundRuns(onnxruntime(), session, ("cpu", 0))
        >>> [logits] = runs.run(np.zeros((3, 16_000), np.float32), ["keyword_logits"])
        >>> logits.shape
        (3, 35)
    """

    def __init__(
        self,
        ort: ModuleType,
        session: Any,
        device: tuple[str, int],
        sizes: tuple[int, ...] = SIZES,
    ) -> None:
        """Prepare; the buffers of a size are allocated when it is first needed.

        Args:
            ort: ONNX Runtime.
            session: with one input and outputs that have the number of windows as their first
                dimension and fixed others.
            device: ``("cuda", N)``, or ``("cpu", 0)``, which works but is no faster.
            sizes: numbers of windows, increasing.
        """
        self._ort, self._session, self._device = ort, session, device
        self._sizes = sizes
        self._bound: dict[tuple[int, tuple[str, ...]], _Bound] = {}
        self._runner = ThreadPoolExecutor(1, "hearaudiomlp-cuda")

    @staticmethod
    def fits(session: Any) -> bool:
        """Whether a session's shapes are fixed except for the number of windows."""
        nodes = [*session.get_inputs(), *session.get_outputs()]
        return len(session.get_inputs()) == 1 and all(
            not isinstance(node.shape[0], int)
            and all(isinstance(size, int) for size in node.shape[1:])
            for node in nodes
        )

    def _part(self, values: Floats, outputs: tuple[str, ...]) -> list[Floats]:
        size = self._sizes[bisect.bisect_left(self._sizes, len(values))]
        bound = self._bound.get((size, outputs))
        if bound is None:
            number = len(self._bound) + 1
            bound = _Bound(
                self._ort, self._session, size, outputs, device=self._device, number=number
            )
            self._bound[size, outputs] = bound
        whole = values
        if len(values) < size:
            whole = bound.filled
            whole[: len(values)] = values
            whole[len(values) :] = 0
        bound.input.update_inplace(np.ascontiguousarray(whole))
        self._session.run_with_iobinding(bound.binding, bound.options)
        # Copied, because on the CPU numpy() shares the buffer with the next run.
        return [np.array(value.numpy()[: len(values)]) for value in bound.outputs.values()]

    def _run(self, values: Floats, outputs: tuple[str, ...]) -> list[Floats]:
        most = self._sizes[-1]
        starts = range(0, max(1, len(values)), most)
        parts = [self._part(values[start : start + most], outputs) for start in starts]
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def run(self, values: Floats, outputs: Sequence[str]) -> list[Floats]:
        """Run the session on so many windows.

        Args:
            values: the windows [shape=(n, ...)].
            outputs: names of the outputs to return.

        Returns:
            The outputs, in the order of ``outputs``.

        Raises:
            Exception: what ONNX Runtime raises.
        """
        return self._runner.submit(self._run, values, tuple(outputs)).result()
