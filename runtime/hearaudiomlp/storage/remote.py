"""Files that have a URL (extra ``[remote]``: fsspec): s3://, gs://, https://, memory:// ..."""

import io
import shutil
import tempfile
import time
from contextlib import ExitStack
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import IO, Any

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import MissingPackageError, OptionError, needs_extra
from hearaudiomlp.storage.atomic import create, temporary_name

_VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created")


PROTOCOLS = frozenset(
    {
        *("abfs", "abfss", "adl", "az", "gcs", "gs", "hf", "oci", "oss", "s3", "s3a", "wasb"),
        *("wasbs", "ftp", "hdfs", "http", "https", "memory", "sftp", "smb", "ssh", "webhdfs"),
    }
)
"""Protocols of places that hold files. fsspec has others that wrap one another, unpack archives,
run commands or carry the data themselves (``dir``, ``zip``, ``git``, ``data`` ...)."""

_ANYBODYS = frozenset({"http", "https", "ftp"})
"""Protocols of servers that anybody can have."""

_STALLED_S = 30.0
"""Seconds without a byte after which such a server is given up."""

_SLOWEST = 2_000
"""Bytes per second, on average from the start, below which it is given up after that."""

_WITH_HOST = frozenset({"ftp", "sftp", "smb", "ssh", "webhdfs"})


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


class _Reached:
    """A file system of fsspec whose errors are all OSErrors: each back end raises its own."""

    def __init__(self, fs: Any, url: str) -> None:
        self._fs, self._url = fs, url

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fs, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return found(*arguments, **options)
            except (OSError, MemoryError):
                raise
            except Exception as problem:  # without credentials, for example
                raise OSError(f"{shorten(self._url)}: {shorten(problem, 300)}") from problem

        return call


def filesystem(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path inside it.

    Raises:
        MissingPackageError: fsspec, or what it needs for this protocol, isn't installed.
        OptionError: the protocol isn't one of :data:`PROTOCOLS`, or URLs are chained with ``::``.

    Examples:
        >>> filesystem("memory://folder/a.wav")[1]
        '/folder/a.wav'
        >>> filesystem("zip://a.wav::memory://b.zip")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.OptionError: zip://a.wav::memory://b.zip: chained URLs aren't ...
    """
    protocol = url.partition("://")[0].lower()
    if "::" in url:
        raise OptionError(f"{shorten(url)}: chained URLs aren't taken")
    if protocol not in PROTOCOLS:
        raise OptionError(
            f"{shorten(protocol)}:// is none of the protocols that can be read: "
            f"{', '.join(sorted(PROTOCOLS))}"
        )
    with needs_extra("remote", f"{protocol}:// needs fsspec"):
        import fsspec
    try:
        kind = fsspec.get_filesystem_class(protocol)
        options = kind._get_kwargs_from_urls(url)
        if protocol in {"http", "https"}:
            options |= _impatient(kind)
        if protocol in _WITH_HOST and not options.get("host"):
            raise ValueError("there is no host in it")
        fs = kind(**options)
        return _Reached(fs, url), str(fs._strip_protocol(url))
    except ImportError as problem:  # s3fs, gcsfs ...: it says which
        raise MissingPackageError(f"{protocol}://: {shorten(problem, 300)}") from problem
    except Exception as problem:  # each back end raises its own errors for missing settings
        raise OptionError(f"{shorten(url)}: {shorten(problem, 300)}") from problem


def _impatient(kind: Any) -> dict[str, Any]:
    """Return options for aiohttp: its own would wait for five minutes, three times a file."""
    import aiohttp
    from fsspec.config import apply_config

    limits = aiohttp.ClientTimeout(total=300, sock_connect=_STALLED_S, sock_read=_STALLED_S)
    return {"client_kwargs": {"timeout": limits} | apply_config(kind, {}).get("client_kwargs", {})}


def url_of(path: str, fs: Any, url: str) -> str:
    """Return the URL of a path that was found in the file system of another URL.

    Examples:
        >>> url_of("/folder/a.wav", None, "ftp://example.org:2121/folder")
        'ftp://example.org:2121/folder/a.wav'
    """
    protocol, _, rest = url.partition("://")
    if protocol.lower() in _WITH_HOST:  # fsspec's own way leaves the host out
        return f"{protocol}://{rest.partition('/')[0]}{path}"
    return str(fs.unstrip_protocol(path))


def stamp(info: dict[str, Any]) -> str:
    """Return what distinguishes one version of a remote file from the next, if the server says.

    Examples:
        >>> stamp({"name": "sound.wav", "ETag": "d41d8cd9"})
        'd41d8cd9'
    """
    return next((str(info[key]) for key in _VERSIONS if info.get(key)), "")


class _Limited(io.BufferedWriter):
    """Puts what a server sends into a file, unless it has no end or comes too slowly."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(io.FileIO(file.fileno(), "w", closefd=False))
        self._most = shutil.disk_usage(tempfile.gettempdir()).free // 2
        self._size, self._began = 0, time.monotonic()

    def write(self, data: Any, /) -> int:
        self._size += len(data)
        if self._size > self._most:
            raise OSError(f"it has more than {self._most:,} bytes, half of what is free here")
        passed = time.monotonic() - self._began
        if passed > _STALLED_S and self._size < _SLOWEST * passed:
            raise OSError(f"it comes at {self._size / passed:,.0f} bytes a second")
        return super().write(data)


class Copy:
    """A remote file, whole, in a temporary file: a broken connection is an error, not its end.

    Examples:
        >>> import fsspec
        >>> fsspec.filesystem("memory").pipe("/one.wav", b"RIFF")
        >>> copy = Copy("memory://one.wav")
        >>> copy.path.read_bytes()
        b'RIFF'
        >>> copy.close()
    """

    def __init__(self, url: str) -> None:
        """Fetch it.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it can't be fetched.
        """
        fs, path = filesystem(url)
        ending = PurePosixPath(path).suffix  # decoders look at it
        name = temporary_name(Path(tempfile.gettempdir()), "hearaudiomlp", ending=ending)
        with ExitStack() as stack:
            self.path = stack.enter_context(name)
            """Where the copy is."""
            file = stack.enter_context(create(self.path))
            try:
                if url.partition("://")[0].lower() in _ANYBODYS:
                    with _Limited(file) as limited:
                        fs.get_file(path, limited)
                else:
                    fs.get_file(path, str(self.path))
            except FileNotFoundError:
                raise
            except Exception as problem:  # each of fsspec's back ends raises its own errors
                reason = str(problem) or type(problem).__name__
                raise OSError(f"can't fetch {url}: {shorten(reason, 300)}") from problem
            file.close()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Remove the copy."""
        self._stack.close()
