"""A loaded encoder and what it can compute."""

import json
import operator
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import (
    AudioValueError,
    ModelFileError,
    OptionError,
)
from hearaudiomlp.inference.providers import Provider
from hearaudiomlp.inference.session import Session
from hearaudiomlp.inference.thread_pool import BLOCK, ThreadPool, split, usable_cpus
from hearaudiomlp.signal import scene, windows
from hearaudiomlp.signal.arrays import refuse_overflow, validate_audio
from hearaudiomlp.spec import ENCODERS, WINDOW
from hearaudiomlp.weights.locate import locate
from hearaudiomlp.weights.model_file import ModelFile, read_model_file
from hearaudiomlp.weights.onnx_file import OnnxSummary, summarize

if TYPE_CHECKING:
    from hearaudiomlp.inference.halves import Halves

Audio = TypeVar("Audio")

_GPU_BLOCK = 256


class Embeddings(NamedTuple, Generic[Audio]):
    """Everything that one pass over some sounds gives, as the caller's kind of array.

    Examples:
        >>> import hearaudiomlp
        >>> model = hearaudiomlp.load_model()
        >>> result = model.embeddings(np.zeros((1, 16000), np.float32))
        >>> result.scene_embeddings.shape
        (1, 1024)
        >>> embeddings, timestamps, scenes = result
    """

    timestamp_embeddings: Audio
    """[shape=(n_sounds, n_timestamps, timestamp_embedding_size)]"""

    timestamps: Audio
    """Centres of the frames in ms [shape=(n_sounds, n_timestamps)]."""

    scene_embeddings: Audio
    """[shape=(n_sounds, scene_embedding_size)]"""


class Model:
    """An encoder, ready to compute.

    One model may be used from many threads at once, pickled to another process, and used after a
    fork. Make one with :func:`load_model`.

    Examples:
        >>> import hearaudiomlp
        >>> model = hearaudiomlp.load_model(name="audiomae")
        >>> model.timestamp_embedding_size, model.scene_embedding_size
        (8, 1584)
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
    ) -> None:
        """Open a session; see :func:`load_model` for the options."""
        if threads is not None and (
            isinstance(threads, bool) or not hasattr(threads, "__index__") or threads < 1
        ):
            raise OptionError(f"threads has to be a whole number of at least 1, not {threads!r}")
        self._source = source
        self._options: dict[str, Any] = {
            "device": device,
            "providers": providers,
            "tf32": tf32,
            "cuda_graphs": cuda_graphs,
        }
        self._threads = threads
        self._session, self._pid = self._open(), os.getpid()
        on_cpu = self._session.device == "cpu"
        self.pool = ThreadPool((operator.index(threads or usable_cpus())) if on_cpu else 1)
        """Threads that compute."""
        self.block: int = BLOCK if on_cpu else _GPU_BLOCK
        """Windows that are computed at a time, at most."""
        card = source.card
        self.name: str = card["model"]
        """``kwmlp`` or ``audiomae``."""
        self.sample_rate: int = int(card["sample_rate"])
        """Samples per second that the audio has to have."""
        self.timestamp_embedding_size: int = int(card["timestamp_embedding_size"])
        """Values in the embedding of one timestamp."""
        self.scene_embedding_size: int = int(card["scene_embedding_size"])
        """Values in the embedding of a whole sound."""
        self.labels: tuple[str, ...] = tuple(json.loads(card["keyword_labels"]))
        """Words that the keyword head tells apart; empty where there is no such head."""
        self.scene_steps: int = int(card["scene_steps"])
        """Frames to which a sound is shortened for its scene embedding."""

    def _open(self) -> Session:
        return Session(self._source.graph, self._source.weights, **self._options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the model was made from; a session can't be."""
        return partial(Model, threads=self._threads, **self._options), (self._source,)

    def __repr__(self) -> str:
        """Tell what it is and what it runs on."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"<{self.name} on {self.device}, {threads}>"

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the model file says of itself: provenance, licence, sizes."""
        return self._source.metadata

    @property
    def device(self) -> str:
        """What it runs on: ``cpu``, ``cuda:0`` ..."""
        return self._session.device

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's providers in use, in order of preference."""
        return self._session.providers

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self.pool.threads

    def with_threads(self, threads: int) -> "Model":
        """Return the same model with another number of threads.

        Examples:
            >>> load_model(device="cpu").with_threads(1)
            <kwmlp on cpu, 1 thread>
        """
        return Model(self._source, threads=threads, **self._options)

    @property
    def graph_sha256(self) -> str:
        """SHA-256 of the graph: of the exported model, or of the packaged graph of a checkpoint."""
        import hashlib  # not needed to compute, and slow to import

        return hashlib.sha256(self._source.graph).hexdigest()

    def outline(self) -> OnnxSummary:
        """Return the outline of the graph: operators, signature."""
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
            ``keyword_logits`` [shape=(n, 35)]. If asked for, also what the front end computes:
            ``power_mel`` [shape=(n, 98, 40)] and, for kwmlp, ``mfcc`` [shape=(n, 98, 40)] in dB.

        Raises:
            OptionError: the model has no such output.
            AudioValueError: they are no such windows, or so loud that float32 overflows.

        Examples:
            >>> model = load_model()
            >>> model.encode(np.zeros((2, 16000), np.float32))["frame_embeddings"].shape
            (2, 98, 64)
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
        results = session.run(audio_windows, outputs)
        for values in results.values():
            refuse_overflow(values)
        return results

    def halves(self) -> "Halves":
        """Open front end and encoder apart, for windows that have frames in common."""
        from hearaudiomlp.inference.halves import Halves

        options = dict(self._options)
        if options["providers"] is None:
            options["device"] = self.device  # the one that "auto" came to
        del options["cuda_graphs"]  # the front end's frames are of any number
        return Halves(self._source, **options)

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
            found = session.run(block, ("frame_embeddings",))["frame_embeddings"]
            if not brief:
                refuse_overflow(found)
            windows.repeat_edges(found, frames[start:stop])

        self.pool.run(compute, len(blocks))
        if brief:
            refuse_overflow(frames)
        return windows.join(frames, n_sounds)

    def _timestamp_embeddings(self, frames: Floats, n_samples: int) -> Floats:
        return np.ascontiguousarray(frames[:, : windows.count_timestamps(n_samples)])

    def embeddings(self, audio: Audio) -> Embeddings[Audio]:
        """Return timestamp and scene embeddings of the same pass.

        Args:
            audio: as for :meth:`timestamp_embeddings`.

        Returns:
            The embeddings, of the same kind and on the same device as ``audio``.

        Raises:
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: its shape is another one, or it has NaN or infinity in it.

        Examples:
            >>> model = load_model()
            >>> embeddings, timestamps, scenes = model.embeddings(np.zeros((2, 16000), np.float32))
            >>> embeddings.shape, timestamps.shape, scenes.shape
            ((2, 100, 64), (2, 100), (2, 1024))
        """
        sounds, to_caller = validate_audio(audio)
        frames = self._frames(sounds)
        return Embeddings(
            to_caller(self._timestamp_embeddings(frames, sounds.shape[1])),
            to_caller(windows.timestamps(*sounds.shape)),
            to_caller(scene.scene_embedding(frames, self.scene_steps)),
        )

    def timestamp_embeddings(self, audio: Audio) -> tuple[Audio, Audio]:
        """Return an embedding for every 10 ms.

        Args:
            audio: mono sounds in [-1, 1] at 16 kHz [shape=(n_sounds, n_samples)], of a
                floating-point dtype; numpy or a tensor of another framework.

        Returns:
            The embeddings [shape=(n_sounds, n, timestamp_embedding_size)] and their timestamps in
            milliseconds [shape=(n_sounds, n)], ``n = n_samples // 160``; float32, of the same kind
            and on the same device as ``audio``.

        Raises:
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: its shape is another one, or it has NaN or infinity in it.

        Examples:
            >>> embeddings, timestamps = load_model().timestamp_embeddings(np.zeros((1, 480)))
            >>> embeddings.shape, timestamps
            ((1, 3, 64), array([[10., 20., 30.]], dtype=float32))
        """
        sounds, to_caller = validate_audio(audio)
        embeddings = self._timestamp_embeddings(self._frames(sounds), sounds.shape[1])
        return to_caller(embeddings), to_caller(windows.timestamps(*sounds.shape))

    def scene_embeddings(self, audio: Audio) -> Audio:
        """Return one embedding for each whole sound.

        Args:
            audio: as for :meth:`timestamp_embeddings`.

        Returns:
            The embeddings [shape=(n_sounds, scene_embedding_size)], float32, of the same kind and
            on the same device as ``audio``.

        Raises:
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: its shape is another one, or it has NaN or infinity in it.

        Examples:
            >>> load_model().scene_embeddings(np.zeros((3, 8000))).shape
            (3, 1024)
        """
        sounds, to_caller = validate_audio(audio)
        result: Audio = to_caller(scene.scene_embedding(self._frames(sounds), self.scene_steps))
        return result

    def keyword_logits(self, audio: Audio) -> Audio:
        """Return the keyword head's logits for sounds of up to one second.

        They are taken as bare windows, without the padding of the embeddings; shorter sounds are
        filled up with zeros.

        Args:
            audio: as for :meth:`timestamp_embeddings`, at most 16,000 samples.

        Returns:
            The logits [shape=(n_sounds, 35)] in the order of :attr:`labels`, float32, of the same
            kind and on the same device as ``audio``.

        Raises:
            OptionError: this model has no keyword head.
            AudioTypeError: audio isn't an array of floating-point numbers.
            AudioValueError: its shape is another one, or it has NaN or infinity in it.

        Examples:
            >>> import hearaudiomlp
            >>> model = load_model()
            >>> words = hearaudiomlp.read_audio("samples/words.flac").samples
            >>> logits = model.keyword_logits(words[np.newaxis, :16000])
            >>> model.labels[logits[0].argmax()]
            'marvin'
        """
        if not self.labels:
            raise OptionError(f"{self.name} has no keyword head; kwmlp has one")
        sounds, to_caller = validate_audio(audio)
        if sounds.shape[1] > WINDOW:
            raise AudioValueError(
                f"keywords are told in windows of {WINDOW} samples (one second), and this audio "
                f"has {sounds.shape[1]}: cut it into windows"
            )
        logits = np.empty((sounds.shape[0], len(self.labels)), np.float32)
        blocks = split(len(sounds), self.threads, self.block)

        def compute(number: int) -> None:
            start, stop = blocks[number]
            block = windows.clip_windows(sounds[start:stop])
            logits[start:stop] = self.encode(block)["keyword_logits"]

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
) -> Model:
    """Load an encoder.

    Args:
        model_file_path: a model exported by ``hearaudiomlp-export`` (.onnx), or a checkpoint of
            the published system (.pth), which is read without torch and without running its pickle.
            None: the weights that come with this package. The strings ``"kwmlp"`` and
            ``"audiomae"``: the published checkpoint that ``hearaudiomlp pull`` has downloaded; a
            file that is really called so is ``"./kwmlp"`` or ``Path("kwmlp")``.
        name: ``kwmlp`` or ``audiomae``, where only that one will do. Without a file, the bundled
            weights of that one are loaded; those of ``kwmlp``, if it isn't given either.
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``: CUDA where it works, else the CPU,
            which is said once.
        providers: ONNX Runtime's names of providers in the place of a device.
        threads: threads that compute on the CPU; all CPUs that this process may use, if not given.
        tf32: with ``device="cuda"``, let the GPU's matrix products round their factors to TF32 (10
            bits): faster, and further from the published system than its tolerances allow.
        cuda_graphs: with ``device="cuda"``, record the GPU's work for a few sizes and start it at
            once: faster where there are few windows at a time. The numbers are the same.

    Returns:
        The model.

    Raises:
        ModelNotFoundError: there is no such file, or the published checkpoint wasn't pulled.
        ModelFileError: it isn't a model of this package, or is damaged; in particular
            CheckpointMismatchError for another architecture and UnsafeCheckpointError for a
            checkpoint that asks to run code.
        DeviceError: the device or a provider can't be used.
        OptionError: an option has a value that it can't have.
        MissingPackageError: there is no ONNX Runtime, or two of them.

    Examples:
        >>> load_model(device="cpu", threads=2)  # the bundled weights of kwmlp
        <kwmlp on cpu, 2 threads>
        >>> load_model("checkpoints/audiomae.pth").name
        'audiomae'
    """
    if name is not None and name not in ENCODERS:
        raise OptionError(f"name is one of {', '.join(ENCODERS)}, not {name!r}")
    weights = locate(model_file_path, name)
    data = weights.read()
    try:
        return Model(
            read_model_file(data, name),
            device=device,
            providers=providers,
            threads=threads,
            tf32=tf32,
            cuda_graphs=cuda_graphs,
        )
    except ModelFileError as problem:
        problem.args = (f"{weights.path}: {problem}",)
        raise
