"""The errors that this package raises, and its way to warn.

Each error derives from :class:`HearAudioMLPError` *and* from the builtin that a caller would
expect.

Examples:
    >>> import hearaudiomlp
    >>> try:
    ...     hearaudiomlp.load_model("nowhere.pth")
    ... except FileNotFoundError as problem:
    ...     isinstance(problem, hearaudiomlp.HearAudioMLPError)
    True
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_PACKAGE = os.path.dirname(__file__)

warned: set[str] = set()
"""Topics that :func:`warn_once` has warned of in this process."""


class HearAudioMLPError(Exception):
    """Base of all errors of this package.

    Examples:
        >>> try:
        ...     hearaudiomlp.read_audio("samples")
        ... except hearaudiomlp.HearAudioMLPError as problem:
        ...     print(problem)
        samples: not an audio file that can be read (it is a folder)
    """


class AudioValueError(HearAudioMLPError, ValueError):
    """Audio of a wrong shape, without any sound in it, or with NaN or infinity in it.

    Examples:
        >>> hearaudiomlp.load_model().scene_embeddings(np.zeros(8000))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.AudioValueError: audio has to have ...
    """


class AudioTypeError(HearAudioMLPError, TypeError):
    """Audio that isn't an array of floating-point numbers.

    Examples:
        >>> hearaudiomlp.load_model().scene_embeddings([0.0, 0.5])
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.AudioTypeError: audio has to be ...
    """


class OptionError(HearAudioMLPError, ValueError):
    """An invalid option value.

    Examples:
        >>> hearaudiomlp.load_model(threads=0)
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OptionError: threads ...
    """


class DeviceError(HearAudioMLPError, RuntimeError):
    """A requested device or provider that can't be used, or failed while computing.

    Examples:
        >>> hearaudiomlp.load_model(providers=["NoExecutionProvider"])
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.DeviceError: ...
    """


class MissingPackageError(HearAudioMLPError, ImportError):
    """A package that this call needs is missing, or two installed packages conflict."""


class ModelNotFoundError(HearAudioMLPError, FileNotFoundError):
    """There is no model file at the path.

    Examples:
        >>> hearaudiomlp.load_model("nowhere.pth")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.ModelNotFoundError: ...
    """


class ModelFileError(HearAudioMLPError, ValueError):
    """A file that isn't a model of this package: damaged, cut off, or another program's.

    Examples:
        >>> hearaudiomlp.load_model("samples/words.flac")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.ModelFileError: samples/words.flac: ...
    """


class CheckpointMismatchError(ModelFileError):
    """A checkpoint of another architecture: its tensors don't fit the packaged graph.

    Examples:
        >>> problem = CheckpointMismatchError("no such tensor", missing=("to_logits.0.weight",))
        >>> problem.missing
        ('to_logits.0.weight',)
    """

    def __init__(
        self,
        message: str,
        *,
        missing: tuple[str, ...] = (),
        unexpected: tuple[str, ...] = (),
        mismatched: tuple[str, ...] = (),
    ) -> None:
        """Keep the names of the tensors beside the message."""
        super().__init__(message)
        self.missing = missing
        """Names of tensors that the graph needs and the checkpoint lacks."""
        self.unexpected = unexpected
        """Names of tensors that the graph doesn't use."""
        self.mismatched = mismatched
        """Names of tensors whose shape differs."""


class UnsafeCheckpointError(ModelFileError):
    """A checkpoint whose pickle asks for anything but tensors in dictionaries. Nothing was run.

    Examples:
        >>> import pickle
        >>> from hearaudiomlp.weights.unpickler import read_pickle
        >>> read_pickle(pickle.dumps(print))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.UnsafeCheckpointError: ...
    """


class AudioFileError(HearAudioMLPError, ValueError):
    """A file from which no audio could be read.

    Examples:
        >>> hearaudiomlp.read_audio("checkpoints/kwmlp.pth")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.AudioFileError: ...
    """


class AudioFileNotFoundError(HearAudioMLPError, FileNotFoundError):
    """There is no audio file at the path.

    Examples:
        >>> hearaudiomlp.read_audio("nowhere.wav")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.AudioFileNotFoundError: ...
    """


class CacheError(HearAudioMLPError, OSError):
    """The folder for downloads can't be found, created or written to.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp.weights import download, published
        >>> download.pull(published.PUBLISHED["kwmlp"], folder=Path("samples/words.flac"))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.CacheError: ... samples/words.flac/kwmlp.pth can't be written ...
    """


class DownloadError(HearAudioMLPError, OSError):
    """A download that failed: no network, no such host, a broken connection, or an HTTP error.

    Nothing of it was kept.
    """


class DownloadTimeoutError(DownloadError, TimeoutError):
    """A server that doesn't answer, or stopped in the middle. Nothing of it was kept."""


class WrongDownloadError(DownloadError, ValueError):
    """A download that isn't the file that was pinned: another size, or another SHA-256.

    Nothing of it was kept.
    """


class EmbeddingFileError(HearAudioMLPError, ValueError):
    """A file from which no embeddings could be read.

    Examples:
        >>> from hearaudiomlp.table.scenes import read_embeddings
        >>> read_embeddings("samples/words.flac")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.EmbeddingFileError: ...
    """


class WeightsMismatchError(HearAudioMLPError, ValueError):
    """Embeddings that other weights computed, and that can't be compared."""


class AudioFileChangedError(AudioFileError):
    """An audio file that was changed between being found and being embedded."""


class AudioFileTruncatedError(AudioFileError):
    """An audio file of which a part is missing or damaged.

    ``on_truncated="keep"`` reads the rest.

    Examples:
        >>> with open("samples/sentence.flac", "rb") as whole, open("part.flac", "wb") as part:
        ...     _ = part.write(whole.read(20_000))
        >>> hearaudiomlp.read_audio("part.flac")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.AudioFileTruncatedError: part.flac: incomplete: ...
    """


class AudioFormatChangedError(AudioFileError):
    """An audio file whose sample rate or number of channels changes in the middle."""


class MissingDecoderError(AudioFileError, MissingPackageError):
    """An audio file that needs a decoder that isn't installed. Other files may not need it."""


class ExamplesError(HearAudioMLPError, ValueError):
    """Recordings that no classifier can be fitted to: too few, silent, unreadable, ill labelled.

    Examples:
        >>> hearaudiomlp.fit("samples", "mine.onnx")
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.ExamplesError: ...
    """


class OutputExistsError(HearAudioMLPError, FileExistsError):
    """Something that isn't provably ours has the name of an output. It was left as it is.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp.storage.ownership import check_output
        >>> check_output(Path("samples"))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OutputExistsError: samples is a folder: name a file
    """


class RunChangedError(HearAudioMLPError, ValueError):
    """An interrupted run that can't be resumed: its files, model or options have changed."""


class TaskFolderError(HearAudioMLPError, ValueError):
    """A folder that isn't a HEAR task, or one for another sample rate.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp.table.formats.heareval import HearevalTask
        >>> HearevalTask(Path("samples"))
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.TaskFolderError: samples is no folder of a HEAR task ...
    """


class MemoryLimitError(HearAudioMLPError, MemoryError):
    """The limit of this process's memory is too low for a library to start in."""


class ClusterError(HearAudioMLPError, RuntimeError):
    """Workers that can't be reached, or that died again and again."""


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Turn a failed import within the block into an error that names the extra to install.

    Args:
        extra: its name, as in ``hearaudiomlp[extra]``.
        what: what needs which packages.

    Raises:
        MissingPackageError: an import failed. A package whose own library is missing (libsndfile,
            PortAudio) raises OSError, and counts as missing.

    Examples:
        >>> with needs_extra("plot", "pictures need matplotlib"):
        ...     import a_package_that_is_missing
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.MissingPackageError: pictures need matplotlib (No module named
        'a_package_that_is_missing'): pip install 'hearaudiomlp[plot]'
    """
    try:
        yield
    except (ImportError, OSError) as problem:
        raise MissingPackageError(
            f"{what} ({problem}): pip install 'hearaudiomlp[{extra}]'"
        ) from problem


def require_address_space(megabytes: int, what: str) -> None:
    """Check that the address space of this process (``ulimit -v``) may be as large as needed.

    Native libraries abort the process, or hang, where they can't reserve memory or start a
    thread, so that is too late for a message.

    Args:
        megabytes: the size from which ``what`` is known to start.
        what: a library or program, the subject of the message.

    Raises:
        MemoryLimitError: the limit is lower. Windows has no such limit.

    Examples:
        >>> require_address_space(100, "numpy")
    """
    try:
        import resource
    except ImportError:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < megabytes << 20:
        raise MemoryLimitError(
            f"{what} needs {megabytes} MB of address space, and this process may have no more than "
            f"{limit >> 20} MB: raise the limit with ulimit -v, or limit resident memory instead"
        )


def warn_once(topic: str, message: str, category: type[Warning]) -> None:
    """Warn unless this process has been warned of the topic before.

    The warning points at the line of the caller outside this package.

    Args:
        topic: what the warning is about; equal topics warn once.
        message: the text of the warning.
        category: its class.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     for _ in range(3):
        ...         warn_once("example", "this appears once", UserWarning)
        >>> len(caught)
        1
    """
    if topic in warned:
        return
    warned.add(topic)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
