"""A loaded encoder and what it can compute."""

import json
import operator
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import AudioValueError, DeviceError, ModelFileError, OptionError
from hearaudiomlp.inference.providers import Provider
from hearaudiomlp.inference.session import Session
from hearaudiomlp.inference.thread_pool import BLOCK, ThreadPool, split, usable_cpus
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.signal.arrays import refuse_overflow, validate_audio
from hearaudiomlp.spec import ENCODERS, WINDOW
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.metadata import read_threshold
from hearaudiomlp.weights.model_file import ModelFile, read_model_file
from hearaudiomlp.weights.onnx_file import OnnxSummary, summarize

Audio = TypeVar("Audio")

_GPU_BLOCK = 256


class Embeddings(NamedTuple, Generic[Audio]):
    """All embeddings of some sounds, in the caller's kind of array.

    Examples:
        >>> import hearaudiomlp
        >>> import numpy as np
        >>> embeddings = hearaudiomlp.load_model().embeddings(np.zeros((2, 16000), np.float32))
        >>> embeddings.timestamp_embeddings.shape, embeddings.scene_embeddings.shape
        ((2, 100, 64), (2, 1024))
    """

    timestamp_embeddings: Audio
    """[shape=(n_sounds, n_timestamps, timestamp_embedding_size)]"""

    timestamps: Audio
    """Centers of the frames in milliseconds [shape=(n_sounds, n_timestamps)]."""

    scene_embeddings: Audio
    """[shape=(n_sounds, scene_embedding_size)]"""


def _is_natural(value: Any) -> bool:
    try:
        return operator.index(value) >= 1
    except TypeError:
        return False


class Model:
    """A loaded encoder.

    A model may be used by many threads at once, pickled to another process, and used after a fork.
    :func:`load_model` creates one.

    Examples:
        >>> import hearaudiomlp
        >>> hearaudiomlp.load_model(device="cpu", threads=2)
        <kwmlp on cpu, 2 threads>
    """

    def __init__(
        self,
        source: ModelFile,
        *,
        device: str = "auto",
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
        tf32: bool = False,
        cuda_graphs: bool = False,
        kernels: bool | None = None,
    ) -> None:
        """Open a session; see :func:`load_model` for the options."""
        if threads is not None and (isinstance(threads, bool) or not _is_natural(threads)):
            raise OptionError(f"threads has to be a whole number of at least 1, not {threads!r}")
        self._source = source
        self._options: dict[str, Any] = {
            "device": device,
            "providers": providers,
            "tf32": tf32,
            "cuda_graphs": cuda_graphs,
            "kernels": kernels,
        }
        self._threads = threads
        self._session, self._pid = self._open(), os.getpid()
        on_cpu = self._session.device == "cpu"
        self.pool = ThreadPool((operator.index(threads or usable_cpus())) if on_cpu else 1)
        """Threads that compute."""
        self.block: int = BLOCK if on_cpu else _GPU_BLOCK
        """Most windows in one run of the graph."""
        card = source.card
        self.name: str = card["model"]
        """``kwmlp`` or ``audiomae``."""
        self.sample_rate: int = int(card["sample_rate"])
        """Sample rate of the audio in Hz: 16000."""
        self.timestamp_embedding_size: int = int(card["timestamp_embedding_size"])
        """Size of one timestamp embedding: 64 (kwmlp) or 8 (audiomae)."""
        self.scene_embedding_size: int = int(card["scene_embedding_size"])
        """Size of a scene embedding: 1024 (kwmlp) or 1584 (audiomae)."""
        self.labels: tuple[str, ...] = tuple(json.loads(card["keyword_labels"]))
        """Keywords in the order of the logits; empty for a model without a keyword head."""
        other = card.get("other_label")
        self.other_label: int | None = self.labels.index(other) if other in self.labels else None
        """Index of the label that stands for everything else and is no word; mostly None."""
        self.keyword_threshold: float | None = read_threshold(card)
        """Probability from which its words count as spoken, where the file has its own default."""
        self.scene_steps: int = int(card["scene_steps"])
        """Frames to which a sound is resized for its scene embedding."""
        if source.untried:
            self._try_out()
            source.untried = False

    def _open(self) -> Session:
        return Session(self._source.graph, self._source.weights, **self._options)

    def _try_out(self) -> None:
        """Blame the file, not the audio or the device, if its graph can't compute anything."""
        time = np.arange(WINDOW) / WINDOW
        faint = 1e-3 * np.sin(2e4 * time**2) * (time > 0.5)  # silence, and a rising tone
        try:
            results = self._run(
                self._session, faint[None].astype(np.float32), self._session.outputs
            )
        except DeviceError as problem:
            if self.device != "cpu":
                raise
            raise ModelFileError(f"ONNX Runtime can't compute the model: {problem}") from problem
        for name, values in results.items():
            if not np.isfinite(values).all():
                raise ModelFileError(f"a graph that makes NaN or infinity of faint audio ({name})")

    def _run(self, session: Session, block: Floats, outputs: Sequence[str]) -> dict[str, Floats]:
        results = session.run(block, outputs)
        for name, values in results.items():
            expected = len(block), *session.shapes[name]
            if values.shape != expected:
                raise ModelFileError(
                    f"a graph whose {name} have the shape {values.shape}, not {expected}"
                )
        return results

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the model file and the options, because a session can't be pickled."""
        return partial(Model, threads=self._threads, **self._options), (self._source,)

    def __repr__(self) -> str:
        """Describe the model and what it runs on."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"<{self.name} on {self.device}, {threads}>"

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the model file: provenance, license, sizes.

        Examples:
            >>> hearaudiomlp.load_model(name="audiomae").metadata["model"]
            'audiomae'
        """
        return self._source.metadata

    @property
    def path(self) -> str:
        """The model file; empty in a process that got the model pickled.

        Examples:
            >>> hearaudiomlp.load_model("checkpoints/audiomae.pth").path
            'checkpoints/audiomae.pth'
        """
        return self._source.path

    @property
    def device(self) -> str:
        """The device in use: ``cpu``, ``cuda:0`` ..."""
        return self._session.device

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers in use, in order of preference.

        Examples:
            >>> hearaudiomlp.load_model(device="cpu").providers
            ('CPUExecutionProvider',)
        """
        return self._session.providers

    @property
    def kernels(self) -> str | None:
        """Instruction set of the kernels that compute the blocks: ``avx512``, ``avx2``, ``neon``.

        None where ONNX Runtime's own operators compute everything.

        Examples:
            >>> hearaudiomlp.load_model(kernels=False).kernels is None
            True
        """
        return self._session.kernels

    @property
    def threads(self) -> int:
        """Number of threads that compute."""
        return self.pool.threads

    def with_threads(self, threads: int) -> "Model":
        """Return the same model with another number of threads.

        Examples:
            >>> hearaudiomlp.load_model(device="cpu").with_threads(1)
            <kwmlp on cpu, 1 thread>
        """
        return Model(self._source, threads=threads, **self._options)

    @property
    def graph_sha256(self) -> str:
        """SHA-256 of the graph: of the exported model, or of the packaged graph of a checkpoint."""
        import hashlib  # not needed to compute, and slow to import

        return hashlib.sha256(self._source.graph).hexdigest()

    def outline(self) -> OnnxSummary:
        """Return a summary of the graph: operators, inputs and outputs.

        Examples:
            >>> hearaudiomlp.load_model().outline().inputs
            {'windows': ('n', 16000)}
        """
        return summarize(self._source.graph)

    def _current_session(self) -> Session:
        if self._pid != os.getpid():  # forked: locks and device contexts may be in any state
            if self._options["providers"] is None:
                self._options["device"] = self.device  # the one that "auto" came to
            self._inherited = self._session  # kept, because closing it could wait for its threads
            self._session, self._pid = self._open(), os.getpid()
        return self._session

    def encode(
        self, audio_windows: Floats, outputs: Sequence[str] | None = None
    ) -> dict[str, Floats]:
        """Run the graph on bare windows, on the calling thread.

        Args:
            audio_windows: [shape=(n, 16000)], float32, 16 kHz.
            outputs: names of the outputs to return; the embeddings and logits if not given.

        Returns:
            ``frame_embeddings`` [shape=(n, 98, timestamp_embedding_size)] and, for kwmlp,
            ``keyword_logits`` [shape=(n, 35)]. On request, also what the front end computes:
            ``power_mel`` [shape=(n, 98, 40)] and, for kwmlp, ``mfcc`` [shape=(n, 98, 40)] in dB.

        Raises:
            OptionError: the model has no such output.
            AudioValueError: the windows have another shape or dtype, or are so loud that float32
                overflows.

        Examples:
            >>> import numpy as np
            >>> model = hearaudiomlp.load_model()
            >>> windows = np.zeros((3, 16000), np.float32)
            >>> {name: values.shape for name, values in model.encode(windows).items()}
            {'frame_embeddings': (3, 98, 64), 'keyword_logits': (3, 35)}
            >>> model.encode(windows, ["power_mel"])["power_mel"].shape
            (3, 98, 40)
        """
        if audio_windows.dtype != np.float32 or audio_windows.shape[1:] != (WINDOW,):
            raise AudioValueError(
                f"windows have to be float32 of shape (n, {WINDOW}), not {audio_windows.dtype} of "
                f"shape {audio_windows.shape}"
            )
        session = self._current_session()
        if outputs is None:
            outputs = ("frame_embeddings", "keyword_logits")[: 2 if self.labels else 1]
        elif unknown := set(outputs) - set(session.outputs):
            raise OptionError(
                f"{self.name} has the outputs {', '.join(session.outputs)}, "
                f"not {', '.join(sorted(unknown))}; files exported before power_mel and mfcc were "
                "outputs have to be exported again"
            )
        results = self._run(session, audio_windows, outputs)
        for values in results.values():
            refuse_overflow(values, audio_windows)
        return results

    def _frames(self, audio: Floats) -> Floats:
        """Return all stitched frames [shape=(n_sounds, 100 * n_windows - 2, size)]."""
        session = self._current_session()
        n_sounds, n_samples = audio.shape
        total = n_sounds * windows.count_windows(n_samples)
        shape = (total, windows.FRAMES_PER_WINDOW, self.timestamp_embedding_size)
        frames = np.empty(shape, np.float32)
        blocks = split(total, self.threads, self.block)
        # In a brief sound, threads that cut and check windows side by side would wait for each
        # other: Python's lock lets one of them at a time. There it is done before and after.
        brief = len(blocks) <= self.threads
        cut = [windows.cut_windows(audio, *edges) for edges in blocks] if brief else []

        def compute(number: int) -> None:
            start, stop = blocks[number]
            block = cut[number] if brief else windows.cut_windows(audio, start, stop)
            found = self._run(session, block, ("frame_embeddings",))["frame_embeddings"]
            if not brief:
                refuse_overflow(found, block)
            windows.repeat_edges(found, frames[start:stop])

        self.pool.run(compute, len(blocks))
        if brief:
            refuse_overflow(frames, audio)
        return windows.join(frames, n_sounds)

    def _timestamp_embeddings(self, frames: Floats, n_samples: int) -> Floats:
        return np.ascontiguousarray(frames[:, : windows.count_timestamps(n_samples)])

    def embeddings(self, audio: Audio) -> Embeddings[Audio]:
        """Compute timestamp and scene embeddings in one pass.

        Args:
            audio: as for :meth:`timestamp_embeddings`.

        Returns:
            The embeddings, of the same kind and on the same device as ``audio``.

        Raises:
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: audio has another shape, or NaN or infinity in it.

        Examples:
            >>> recording = hearaudiomlp.read_audio("samples/words.flac")
            >>> model = hearaudiomlp.load_model(name="audiomae")
            >>> embeddings = model.embeddings(recording.samples[None])
            >>> embeddings.timestamp_embeddings.shape, embeddings.scene_embeddings.shape
            ((1, 638, 8), (1, 1584))
        """
        sounds, to_caller = validate_audio(audio)
        frames = self._frames(sounds)
        return Embeddings(
            to_caller(self._timestamp_embeddings(frames, sounds.shape[1])),
            to_caller(windows.timestamps(*sounds.shape)),
            to_caller(scene.scene_embedding(frames, self.scene_steps)),
        )

    def timestamp_embeddings(self, audio: Audio) -> tuple[Audio, Audio]:
        """Compute an embedding for every 10 ms.

        Args:
            audio: mono sounds in [-1, 1] at 16 kHz [shape=(n_sounds, n_samples)], of a
                floating-point dtype; numpy or a tensor of another framework.

        Returns:
            The embeddings [shape=(n_sounds, n, timestamp_embedding_size)] and their timestamps in
            milliseconds [shape=(n_sounds, n)], ``n = n_samples // 160``; float32, of the same kind
            and on the same device as ``audio``.

        Raises:
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: audio has another shape, or NaN or infinity in it.

        Examples:
            >>> import numpy as np
            >>> model = hearaudiomlp.load_model()
            >>> embeddings, timestamps = model.timestamp_embeddings(np.zeros((1, 8000)))
            >>> embeddings.shape, timestamps[0, :3].tolist()
            ((1, 50, 64), [10.0, 20.0, 30.0])
        """
        sounds, to_caller = validate_audio(audio)
        embeddings = self._timestamp_embeddings(self._frames(sounds), sounds.shape[1])
        return to_caller(embeddings), to_caller(windows.timestamps(*sounds.shape))

    def scene_embeddings(self, audio: Audio) -> Audio:
        """Compute one embedding for each whole sound.

        Args:
            audio: as for :meth:`timestamp_embeddings`.

        Returns:
            The embeddings [shape=(n_sounds, scene_embedding_size)], float32, of the same kind and
            on the same device as ``audio``.

        Raises:
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: audio has another shape, or NaN or infinity in it.

        Examples:
            >>> import numpy as np
            >>> hearaudiomlp.load_model().scene_embeddings(np.zeros((2, 8000))).shape
            (2, 1024)
        """
        sounds, to_caller = validate_audio(audio)
        result: Audio = to_caller(scene.scene_embedding(self._frames(sounds), self.scene_steps))
        return result

    def keyword_logits(self, audio: Audio) -> Audio:
        """Compute the keyword logits of sounds of up to one second.

        Each sound is one window, without the padding of the embeddings; zeros are appended to
        shorter sounds.

        Args:
            audio: as for :meth:`timestamp_embeddings`, at most 16,000 samples.

        Returns:
            The logits [shape=(n_sounds, 35)] in the order of :attr:`labels`, float32, of the same
            kind and on the same device as ``audio``.

        Raises:
            OptionError: this model has no keyword head.
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: audio has another shape, or NaN or infinity in it.

        Examples:
            >>> import hearaudiomlp
            >>> recording = hearaudiomlp.read_audio("samples/words.flac")
            >>> model = hearaudiomlp.load_model()
            >>> logits = model.keyword_logits(recording.samples[None, 4_000:20_000])
            >>> model.labels[logits[0].argmax()]
            'marvin'
        """
        if not self.labels:
            raise OptionError(f"{self.name} has no keyword head; kwmlp has one")
        sounds, to_caller = validate_audio(audio)
        if sounds.shape[1] > WINDOW:
            raise AudioValueError(
                f"keyword logits are computed on windows of {WINDOW} samples (one second), and "
                f"this audio has {sounds.shape[1]}: cut it into windows"
            )
        logits = np.empty((sounds.shape[0], len(self.labels)), np.float32)
        blocks = split(len(sounds), self.threads, self.block)

        def compute(number: int) -> None:
            start, stop = blocks[number]
            block = windows.clip_windows(sounds[start:stop])
            logits[start:stop] = self.encode(block, ("keyword_logits",))["keyword_logits"]

        self.pool.run(compute, len(blocks))
        result: Audio = to_caller(logits)
        return result


def load_model(
    model_file_path: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    device: str = "auto",
    providers: Sequence[Provider] | None = None,
    threads: int | None = None,
    tf32: bool = False,
    cuda_graphs: bool = False,
    kernels: bool | None = None,
) -> Model:
    """Load an encoder.

    Args:
        model_file_path: a model exported by ``hearaudiomlp-export`` (.onnx), or a checkpoint of
            the published system (.pth), which is read without torch and without running its pickle.
            None loads the bundled weights. The strings ``"kwmlp"`` and ``"audiomae"`` load the
            published checkpoint that ``hearaudiomlp pull`` has downloaded; write ``"./kwmlp"`` or
            ``Path("kwmlp")`` for a file of that name.
        name: ``kwmlp`` or ``audiomae``: the encoder that the file must hold. Without a file, the
            bundled weights of this encoder are loaded (kwmlp by default).
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``: CUDA if it works, else the CPU with
            one warning.
        providers: execution providers of ONNX Runtime instead of a device.
        threads: number of threads that compute on the CPU; by default, all CPUs that this process
            may use.
        tf32: with ``device="cuda"``, let matrix products round their factors to TF32 (10 bits):
            faster, but less exact than the tolerances of the published system allow.
        cuda_graphs: with ``device="cuda"``, record the GPU's work as CUDA graphs, which is faster
            for few windows at a time. The results are the same.
        kernels: on the CPU, compute the encoder's blocks by the kernels of the extra ``fast``, or
            never (False). By default they are used where they are installed and fit the processor.

    Returns:
        The model.

    Raises:
        ModelNotFoundError: there is no such file, or the published checkpoint wasn't downloaded.
        ModelFileError: the file isn't a model of this package, or is damaged; in particular
            CheckpointMismatchError for another architecture and UnsafeCheckpointError for a
            checkpoint that asks to run code.
        DeviceError: the device, a provider or the kernels can't be used.
        OptionError: an option has an invalid value.
        MissingPackageError: ONNX Runtime isn't installed, or two builds of it are; or ``kernels``
            is True and they aren't.

    Examples:
        >>> import hearaudiomlp
        >>> hearaudiomlp.load_model(device="cpu", threads=2)  # the bundled weights of kwmlp
        <kwmlp on cpu, 2 threads>
        >>> hearaudiomlp.load_model("checkpoints/audiomae.pth").name
        'audiomae'
    """
    if name is not None and not (isinstance(name, str) and name in ENCODERS):
        raise OptionError(f"name is one of {', '.join(ENCODERS)}, not {name!r}")
    weights = locate(model_file_path, name)
    data = weights.read()
    try:
        source = read_model_file(data, name)
        source.path = weights.path
        return Model(
            source,
            device=device,
            providers=providers,
            threads=threads,
            tf32=tf32,
            cuda_graphs=cuda_graphs,
            kernels=kernels,
        )
    except ModelFileError as problem:
        problem.args = (f"{weights.path}: {problem}",)
        raise
