"""Files that have a URL (extra ``[remote]``: fsspec): s3://, gs://, https://, memory:// ..."""

import os
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from hearaudiomlp.errors import MissingPackageError, OptionError
from hearaudiomlp.storage.stopping import noted

_VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created")


def is_url(path: str) -> bool:
    """Whether it has to be reached through fsspec; ``file://`` has not.

    Examples:
        >>> is_url("s3://bucket/sound.wav"), is_url("sound.wav"), is_url("file:///sound.wav")
        (True, False, False)
    """
    return "://" in path and not path.startswith("file://")


def local_path(path: str) -> str:
    """Return a path without ``file://``.

    Examples:
        >>> local_path("file:///tmp/sound.wav")
        '/tmp/sound.wav'
    """
    return path.removeprefix("file://")


@cache
def _filesystem(protocol: str) -> Any:
    try:
        import fsspec
    except ImportError as problem:
        raise MissingPackageError(
            f"{protocol}:// needs fsspec ({problem}): pip install 'hearaudiomlp[remote]'"
        ) from problem
    try:
        return fsspec.filesystem(protocol)
    except ImportError as problem:  # s3fs, gcsfs ...: it says which
        raise MissingPackageError(f"{protocol}://: {problem}") from problem
    except ValueError as problem:
        raise OptionError(f"{protocol}://: {problem}") from problem


def filesystem(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path inside it.

    Raises:
        MissingPackageError: fsspec, or what it needs for this protocol, isn't installed.
        OptionError: there is no such protocol.

    Examples:
        >>> _, path = filesystem("memory://recordings/a.wav")
        >>> path
        '/recordings/a.wav'
    """
    fs = _filesystem(url.partition("://")[0])
    return fs, str(fs._strip_protocol(url))


def stamp(info: dict[str, Any]) -> str:
    """Return what tells one version of a remote file from the next, as far as the server says.

    Examples:
        >>> stamp({"name": "sound.wav", "ETag": "d41d8cd9"})
        'd41d8cd9'
    """
    return next((str(info[key]) for key in _VERSIONS if info.get(key)), "")


class Copy:
    """A remote file, whole, in a temporary file: a broken connection is an error, not its end."""

    def __init__(self, url: str) -> None:
        """Fetch it.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it can't be fetched.
        """
        fs, path = filesystem(url)
        descriptor, name = tempfile.mkstemp(suffix=PurePosixPath(path).suffix)
        os.close(descriptor)
        self._stack = ExitStack()
        self._stack.enter_context(noted(Path(name)))
        self.path = Path(name)
        """Where the copy is."""
        try:
            fs.get_file(path, name)
        except FileNotFoundError:
            self.close()
            raise
        except Exception as problem:  # each of fsspec's back ends has errors of its own
            self.close()
            raise OSError(f"can't fetch {url}: {problem}") from problem
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the copy."""
        self._stack.close()
