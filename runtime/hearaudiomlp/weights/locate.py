"""Which weights to load: the bundled ones, a published checkpoint that was pulled, or a file.

None means the weights that come with this package. The two strings ``"kwmlp"`` and ``"audiomae"``
mean the published checkpoints of that name, which ``hearaudiomlp pull`` puts into the cache folder.
All else is a path. The two names are never paths: a file that is really called so is
``"./kwmlp"``, or ``Path("kwmlp")``.
"""

import errno
import os
import posixpath
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import CacheError, ModelFileError, ModelNotFoundError, OptionError
from hearaudiomlp.weights.published import PUBLISHED, find_published

if TYPE_CHECKING:  # imported where a cache folder is looked for
    from pathlib import Path

DEFAULT = "kwmlp"
"""The encoder whose bundled weights are loaded if neither file nor encoder is given."""

BUNDLED_LICENCE = "CC BY 4.0"
"""Licence of the bundled weights."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Beside the modules where the package is installed; at the top of the repository in a working
# tree, which editable installs run from.
BUNDLES = [os.path.join(_PACKAGE, "checkpoints")]
_ABOVE, _BESIDE = os.path.split(os.path.dirname(_PACKAGE))
if _BESIDE == "runtime":
    BUNDLES.append(os.path.join(_ABOVE, "checkpoints"))


MAX_MODEL_FILE = 64 << 20
"""Bytes of the largest model file that is read; the published ones have 1 and 2 MB."""


def read_ordinary(path: str, largest: int) -> bytes:
    """Read an ordinary file, unless it is too large: no device, pipe, socket or folder.

    Raises:
        FileNotFoundError: it isn't there.
        OSError: it is no ordinary file, is larger than ``largest`` bytes, can't be read, or has
            changed meanwhile: half of it may be another one's.
        ValueError: ``path`` has a null character in it.

    Examples:
        >>> read_ordinary(os.devnull, 100)
        Traceback (most recent call last):
            ...
        OSError: [Errno 22] not an ordinary file
    """
    _check_ordinary(os.stat(path), largest)  # first, because to open a device can set it off
    # A pipe that has taken the file's place since then would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_ordinary(status, largest)
        # Python sets aside as much as it is asked for. Some files in /proc have no size.
        expected = status.st_size or largest
        data = file.read(expected + 1)
        after = os.fstat(descriptor)
    if len(data) > expected:
        raise OSError(errno.EFBIG, f"larger than {expected:,} bytes")
    if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
        raise OSError(errno.EBUSY, "it has changed while it was read")
    return data


_BINARY = getattr(os, "O_BINARY", 0)


def _check_ordinary(status: os.stat_result, largest: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not an ordinary file")
    if status.st_size > largest:
        raise OSError(errno.EFBIG, f"{status.st_size:,} bytes, more than {largest:,}")


class Weights(NamedTuple):
    """A model file, and how it was chosen.

    Examples:
        >>> weights = locate("checkpoints/kwmlp.pth")
        >>> weights.kind, weights.read()[:2]
        ('file', b'PK')
    """

    path: str
    kind: str
    """``bundled``, ``published`` (and pulled) or ``file``."""

    def read(self) -> bytes:
        """Return the file's content.

        Raises:
            ModelNotFoundError: it isn't there.
            ModelFileError: it can't be read, or is a pulled one that isn't as it was published.
        """
        try:
            data = read_ordinary(self.path, MAX_MODEL_FILE)
        except FileNotFoundError:
            raise ModelNotFoundError(self._missing()) from None
        except ValueError as problem:  # a null character
            raise OptionError(f"model_file_path is no path: {problem}") from None
        except OSError as problem:
            reason = problem.strerror
            raise ModelFileError(f"can't read {shorten(self.path, 300)}: {reason}") from problem
        if self.kind == "published":
            self._check(data)
        return data

    @property
    def _stem(self) -> str:
        return os.path.splitext(os.path.basename(self.path))[0]

    def _missing(self) -> str:
        name = self._stem
        if self.kind == "bundled":
            return (
                f"no weights of {name} are bundled with this installation ({self.path} is "
                "missing): give the path of a checkpoint (.pth) or of an exported model (.onnx)"
            )
        if self.kind == "published":
            return (
                f"the published checkpoint of {name} isn't at {self.path}: "
                f"run `hearaudiomlp pull {name}`, which downloads it"
            )
        return f"there is no model file {self.path}"

    def _check(self, data: bytes) -> None:
        import hashlib  # here, because exported models load without it

        published = PUBLISHED[self._stem]
        if hashlib.sha256(data).hexdigest() != published.sha256:
            raise ModelFileError(
                f"{self.path} isn't the published checkpoint any more (its SHA-256 is another "
                f"one): run `hearaudiomlp pull {published.name}`, which downloads it again"
            )


def locate(model: str | os.PathLike[str] | None, name: str | None = None) -> Weights:
    """Find out which file to load; it need not exist.

    Args:
        model: None or "" for the bundled weights, ``"kwmlp"`` or ``"audiomae"`` for a published
            checkpoint that was pulled, else a path.
        name: ``kwmlp`` or ``audiomae``, if the file has to hold that encoder; without a file, the
            encoder whose bundled weights to load.

    Raises:
        OptionError: ``model`` is no path.
        ModelFileError: the published checkpoint is of another encoder than ``name``.
        CacheError: there is no home folder to have a cache in.

    Examples:
        >>> locate(None, "audiomae").path.endswith("audiomae.pth")
        True
        >>> locate("models/my.onnx").path
        'models/my.onnx'
    """
    if model is None or (isinstance(model, str) and not model):
        return Weights(bundled(name or DEFAULT), "bundled")
    if isinstance(model, str) and model in PUBLISHED:
        if name is not None and model != name:
            raise ModelFileError(f'"{model}" is the published checkpoint of {model}, not of {name}')
        return Weights(str(pulled(model)), "published")
    try:
        path = os.fspath(model)
    except TypeError as problem:
        raise OptionError(f"model_file_path is no path: {problem}") from None
    if not isinstance(path, str):
        raise OptionError("model_file_path is no path, but bytes: os.fsdecode makes it one")
    return Weights(path, "file")


def bundled(name: str) -> str:
    """Return where the bundled checkpoint of an encoder is, or would be.

    Examples:
        >>> os.path.basename(bundled("kwmlp"))
        'kwmlp.pth'
    """
    paths = [os.path.join(folder, f"{name}.pth") for folder in BUNDLES]
    return next((path for path in paths if os.path.exists(path)), paths[0])


def pulled(name: str) -> "Path":
    """Return where the published checkpoint of an encoder is once it has been pulled.

    Example:
        >>> pulled("kwmlp").name
        'kwmlp.pth'
    """
    return cache_folder() / f"{name}.pth"


def cache_folder() -> "Path":
    r"""Return the folder for downloads: ``HEARAUDIOMLP_CACHE``, or the platform's for this package.

    That is ``~/.cache/hearaudiomlp``, ``~/Library/Caches/hearaudiomlp`` on macOS, or
    ``%LOCALAPPDATA%\hearaudiomlp\Cache`` on Windows; under ``XDG_CACHE_HOME`` where that is set.
    It is the folder that platformdirs gives, found without it, because loading needs no extra.

    Raises:
        CacheError: there is no home folder.

    Examples:
        >>> cache_folder().is_absolute()
        True
    """
    from pathlib import Path  # slow to import, and seldom needed

    try:
        if own := os.environ.get("HEARAUDIOMLP_CACHE"):
            return Path(own).expanduser()
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA") or Path("~/AppData/Local").expanduser()
            return Path(local, "hearaudiomlp", "Cache")
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        if posixpath.isabs(xdg):  # its specification has others ignored
            return Path(xdg, "hearaudiomlp")
        caches = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
        return Path(caches, "hearaudiomlp").expanduser()
    except RuntimeError as problem:
        raise CacheError(
            f"no folder for downloads can be found ({problem}): set HEARAUDIOMLP_CACHE to one"
        ) from problem


def provenance(sha256: str) -> tuple[str, str]:
    """Return licence and source of the checkpoint with this SHA-256; "unknown" for others' own.

    Examples:
        >>> provenance("0" * 64)
        ('unknown', 'unknown')
    """
    import hashlib
    from pathlib import Path

    if published := find_published(sha256):
        return published.licence, published.source
    for name in PUBLISHED:
        path = Path(bundled(name))
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return BUNDLED_LICENCE, f"trained by this project, bundled as checkpoints/{path.name}"
    return "unknown", "unknown"
