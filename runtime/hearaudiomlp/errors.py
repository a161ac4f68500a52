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

_PACKAGE = os.path.dirname(__file__)

warned: set[str] = set()
"""Topics that :func:`warn_once` has warned of in this process."""


class HearAudioMLPError(Exception):
    """Base of all errors of this package."""


class AudioValueError(HearAudioMLPError, ValueError):
    """Audio of a wrong shape, without any sound in it, or with NaN or infinity in it."""


class AudioTypeError(HearAudioMLPError, TypeError):
    """Audio that isn't an array of floating-point numbers."""


class OptionError(HearAudioMLPError, ValueError):
    """An invalid option value."""


class DeviceError(HearAudioMLPError, RuntimeError):
    """A device or provider that was asked for and can't be used, or failed while computing."""


class MissingPackageError(HearAudioMLPError, ImportError):
    """A package that this call needs is missing, or two that can't live together are there."""


class ModelNotFoundError(HearAudioMLPError, FileNotFoundError):
    """There is no model file at the path."""


class ModelFileError(HearAudioMLPError, ValueError):
    """A file that isn't a model of this package: damaged, cut off, or somebody else's."""


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
        """Names of tensors that the graph has no place for."""
        self.mismatched = mismatched
        """Names of tensors whose shape is another one."""


class UnsafeCheckpointError(ModelFileError):
    """A checkpoint whose pickle asks for anything but tensors in dictionaries. Nothing was run."""


class AudioFileError(HearAudioMLPError, ValueError):
    """A file from which no audio could be read."""


class AudioFileNotFoundError(HearAudioMLPError, FileNotFoundError):
    """There is no audio file at the path."""


class CacheError(HearAudioMLPError, OSError):
    """The folder that downloads are kept in can't be found, made or written to."""


class DownloadError(HearAudioMLPError, OSError):
    """A download that failed: no network, no such host, a connection cut off, a server's refusal.

    Nothing of it was kept.
    """


class DownloadTimeoutError(DownloadError, TimeoutError):
    """A server that doesn't answer, or stopped in the middle. Nothing of it was kept."""


class WrongDownloadError(DownloadError, ValueError):
    """A download that isn't the file that was pinned: another size, or another SHA-256.

    Nothing of it was kept.
    """


class EmbeddingFileError(HearAudioMLPError, ValueError):
    """A file from which no embeddings could be read."""


class AudioFileChangedError(AudioFileError):
    """An audio file that was changed between being found and being embedded."""


class AudioFileTruncatedError(AudioFileError):
    """An audio file of which a part is missing or damaged.

    ``on_truncated="keep"`` takes what is there.
    """


class AudioFormatChangedError(AudioFileError):
    """An audio file whose sample rate or number of channels changes in the middle."""


class MissingDecoderError(AudioFileError, MissingPackageError):
    """An audio file that needs a decoder that isn't installed. Other files may not need it."""


class OutputExistsError(HearAudioMLPError, FileExistsError):
    """Something that isn't provably ours has the name of an output. It was left as it is."""


class RunChangedError(HearAudioMLPError, ValueError):
    """An interrupted run that can't be resumed: its files, model or options have changed."""


class TaskFolderError(HearAudioMLPError, ValueError):
    """A folder that isn't a HEAR task, or one for another sample rate."""


class ClusterError(HearAudioMLPError, RuntimeError):
    """Workers that can't be reached, or that died again and again."""


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
