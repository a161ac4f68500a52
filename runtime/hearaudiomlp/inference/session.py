"""An ONNX Runtime session, with errors that say what to do."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import DeviceError, MissingPackageError, ModelFileError, OptionError
from hearaudiomlp.inference.ort import onnxruntime
from hearaudiomlp.inference.providers import (
    ADVICE,
    CPU,
    CUDA,
    GPU_BUILD,
    Provider,
    computing_providers,
    may_have_nvidia_gpu,
    named_providers,
    parse_device,
    preload_cuda,
    warn_of_fallback,
)
from hearaudiomlp.inference.shutdown import native_call

if TYPE_CHECKING:  # imported where a GPU is used
    from hearaudiomlp.inference.io_binding import BoundRuns


class Session:
    """One graph with its weights, ready to run. Safe to use from many threads at once.

    A session computes on the thread that calls it; :mod:`hearaudiomlp.inference.thread_pool`
    spreads blocks of work over threads, which is faster here than spreading each operator.

    Examples:
        >>> import numpy as np
        >>> from hearaudiomlp.weights.model_file import read_model_file
        >>> with open("onnx_models/kwmlp.onnx", "rb") as file:
        ...     source = read_model_file(file.read())
        >>> session = Session(source.graph, source.weights, device="cpu")
        >>> windows = np.zeros((1, 16000), np.float32)
        >>> session.run(windows, ("keyword_logits",))["keyword_logits"].shape
        (1, 35)
    """

    def __init__(
        self,
        graph: bytes,
        weights: Mapping[str, Floats],
        *,
        device: str = "auto",
        providers: Sequence[Provider] | None = None,
        tf32: bool = False,
        cuda_graphs: bool = False,
        kernels: bool | None = None,
    ) -> None:
        """Load the graph.

        Args:
            graph: an ONNX file.
            weights: values of the graph's external initializers, by name.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            providers: ONNX Runtime's names of providers, or pairs of name and options, in order of
                preference; takes the place of ``device``.
            tf32: on CUDA, let matrix products round their factors to TF32.
            cuda_graphs: on CUDA, record the kernels of a run and launch them together.
            kernels: on the CPU, compute the blocks by :mod:`hearaudiomlp.inference.kernels`; None
                does so where they can be used.

        Raises:
            DeviceError: the device, a provider or the kernels can't be used.
            MissingPackageError: the kernels were asked for, but aren't installed.
            ModelFileError: ONNX Runtime can't load the graph.
            OptionError: the device is invalid, both device and providers were given, or an option
                of CUDA was given for another device.
        """
        self._ort = onnxruntime()
        self._graph, self._weights = graph, weights
        kind, index = parse_device(device)
        if (tf32 or cuda_graphs) and kind != "cuda":
            raise OptionError(
                'tf32 and cuda_graphs are for device="cuda"; as a provider, CUDA takes the options '
                "use_tf32 and enable_cuda_graph"
            )
        self._cuda_options = {"use_tf32": int(tf32)}
        if cuda_graphs:
            self._cuda_options["enable_cuda_graph"] = 1
        self._bound: BoundRuns | None = None
        self._wants_kernels = kernels
        self.kernels: str | None = None
        """The instruction set of the kernels that compute the blocks, if they do."""

        if providers is not None:
            if kind != "auto":
                raise OptionError("give either device or providers, not both")
            self._session = self._open_strictly(named_providers(providers))
            self._bind(self._session)
        elif kind == "cuda":
            self._session = self._open_cuda(index)
        elif kind == "cpu":
            self._session = self._open([(CPU, {})])
        else:
            self._session = self._open_auto()
        self.providers: tuple[str, ...] = computing_providers(self._session)
        """ONNX Runtime's providers that have a part in the work, in order of preference."""

        self.device = self._name_device()
        """``cpu``, ``cuda:N``, or another provider's name in lower case."""

        self._input = self._session.get_inputs()[0].name
        self.shapes: dict[str, tuple[int | str, ...]] = {
            one.name: tuple(one.shape[1:]) for one in self._session.get_outputs()
        }
        """The declared shape of each of the graph's outputs, for one window."""
        self.outputs: tuple[str, ...] = tuple(self.shapes)
        """Names of the graph's outputs."""

        if kernels and self.kernels is None:
            raise DeviceError(
                "the kernels compute an encoder's blocks on the CPU; this graph has others, or "
                f"runs on {self.device}"
            )
        del self._graph, self._weights  # ONNX Runtime has its own copies now

    def _open_auto(self) -> Any:
        has_gpu, has_cuda = may_have_nvidia_gpu(), CUDA in self._ort.get_available_providers()
        if has_gpu and has_cuda:
            try:
                return self._open_cuda(0)
            except DeviceError as problem:
                warn_of_fallback(f"device auto: running on the CPU, because {problem}")
        elif has_gpu:
            warn_of_fallback(
                "device auto: running on the CPU, though there seems to be an NVIDIA GPU, because "
                f"this build of ONNX Runtime has no CUDA provider: {GPU_BUILD}"
            )
        elif has_cuda:
            warn_of_fallback("device auto: running on the CPU, because no NVIDIA GPU was found")
        return self._open([(CPU, {})])

    def _open_cuda(self, index: int) -> Any:
        missing = ""
        if CUDA in self._ort.get_available_providers():
            missing = preload_cuda(self._ort)
        try:
            # The first device is the default. ONNX Runtime 1.31 prints a warning if it is named.
            number = {"device_id": index} if index else {}
            session = self._open_strictly([(CUDA, {**number, **self._cuda_options})])
        except DeviceError as problem:
            problem.args = (f"{problem}{'; ' if missing else ''}{missing}",)
            raise
        self._bind(session)
        self._try_out(session)
        return session

    def _bind(self, session: Any) -> None:
        """Prepare runs on buffers of fixed shapes, which CUDA graphs need.

        Without graphs such runs take up to 1.6 times as long on a GPU: they copy the windows to and
        from the buffers one after the other (docs/performance.md).
        """
        if computing_providers(session)[:1] != (CUDA,):
            return
        from hearaudiomlp.inference.io_binding import BoundRuns

        chosen = session.get_provider_options()[CUDA]
        if chosen.get("enable_cuda_graph", "0") != "1":
            return
        if not BoundRuns.fits(session):
            raise OptionError("CUDA graphs need fixed shapes, which this graph doesn't have")
        device = ("cuda", int(chosen.get("device_id", "0")))
        self._bound = BoundRuns(self._ort, session, device)

    def _try_out(self, session: Any) -> None:
        node = session.get_inputs()[0]
        values = np.zeros([size if isinstance(size, int) else 1 for size in node.shape], np.float32)
        try:
            if self._bound is None:
                session.run(None, {node.name: values})
            else:
                self._bound.run(values, [output.name for output in session.get_outputs()])
        except Exception as problem:
            self._bound = None
            raise DeviceError(f"the CUDA provider fails when it computes ({problem})") from problem

    def _open_strictly(self, providers: list[tuple[str, dict[str, Any]]]) -> Any:
        names = [name for name, _ in providers]
        available = self._ort.get_available_providers()
        for name in names:
            if name not in available:
                advice = f": {GPU_BUILD}" if name == CUDA else ""
                raise DeviceError(
                    f"{name} isn't in this build of ONNX Runtime, which has "
                    f"{', '.join(available)}{advice}"
                )
        for name, options in providers:
            if name == CUDA:  # TF32 keeps 10 bits of each factor: far outside the tolerance
                options.setdefault("use_tf32", 0)
        session = self._open(providers, strict=CPU not in names)
        used = computing_providers(session)
        lost = [name for name in names if name not in used and name != CPU]
        if lost:
            raise DeviceError(
                f"{', '.join(lost)} can't be used on this machine{ADVICE.get(lost[0], '')} (ONNX "
                "Runtime gave it no part of the model)"
            )
        return session

    def _open(self, providers: list[tuple[str, dict[str, Any]]], *, strict: bool = False) -> Any:
        names = [name for name, _ in providers]
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if strict:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        values = [self._ort.OrtValue.ortvalue_from_numpy(array) for array in self._weights.values()]
        if values:
            options.add_external_initializers(list(self._weights), values)

        def create(graph: bytes) -> Any:
            with native_call:
                return self._ort.InferenceSession(
                    graph, options, providers=providers, enable_fallback=0
                )

        if names == [CPU] and self._wants_kernels is not False:
            session = self._open_with_kernels(options, create)
            if session is not None:
                return session
        try:
            return create(self._graph)
        except Exception as problem:  # ONNX Runtime's exceptions have no public base class
            if names != [CPU] and self._loads_on_cpu():
                advice = ADVICE.get(names[0], "")
                raise DeviceError(
                    f"{names[0]} can't be used on this machine{advice} ({problem})"
                ) from problem
            raise ModelFileError(f"ONNX Runtime can't load the model: {problem}") from problem

    def _open_with_kernels(self, options: Any, create: Callable[[bytes], Any]) -> Any:
        """Return a session whose blocks are computed by the kernels; None, if they can't be."""
        from hearaudiomlp.inference import kernels

        try:
            found = kernels.find_kernels()
            if (fused := kernels.fuse_graph(self._graph)) is None:
                return None
            try:
                options.register_custom_ops_library(found.library)
                session = create(fused)
            except Exception as problem:  # as above
                raise DeviceError(f"the kernels can't be used: {problem}") from problem
        except (DeviceError, MissingPackageError):
            if self._wants_kernels:
                raise
            return None
        self.kernels = found.isa
        return session

    def _loads_on_cpu(self) -> bool:
        try:
            self._open([(CPU, {})])
        except ModelFileError:
            return False
        return True

    def _name_device(self) -> str:
        first = self.providers[0]
        if first == CUDA:
            return f"cuda:{self._session.get_provider_options()[CUDA].get('device_id', '0')}"
        return first.removesuffix("ExecutionProvider").lower()

    def run(self, values: Floats, outputs: Sequence[str] = ()) -> dict[str, Floats]:
        """Run the graph on its one input and return outputs by name.

        Args:
            values: the input.
            outputs: names of the outputs to return, which saves copying the others; all of them,
                if none is given. They must be in :attr:`outputs`.

        Raises:
            DeviceError: the provider failed, for want of memory say.
        """
        outputs = outputs or self.outputs
        try:
            with native_call:
                if self._bound is None:
                    results = self._session.run(outputs, {self._input: values})
                else:
                    results = self._bound.run(values, outputs)
        except Exception as problem:  # as above
            raise DeviceError(f"{self.device} failed while computing: {problem}") from problem
        return dict(zip(outputs, results, strict=True))
