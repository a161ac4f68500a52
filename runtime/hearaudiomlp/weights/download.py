"""Download a published checkpoint into the cache folder (extra ``[pull]``: pooch).

This is the only place in the package that uses the network, and only when it is asked to.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Any
from urllib.parse import urlsplit

from hearaudiomlp.errors import (
    CacheError,
    DownloadError,
    DownloadTimeoutError,
    MissingPackageError,
    WrongDownloadError,
)
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.weights.locate import cache_folder
from hearaudiomlp.weights.published import PublishedCheckpoint

_CHUNK = 256  # bytes; the sink looks at the clock when so many have come, however long that takes

Progress = Callable[[int, int], None]
"""Called with the bytes that have come and the bytes that there will be."""

STALLED_S = 30.0
"""Seconds without an answer, or without another byte, after which a download is given up."""

SLOWEST = 2_000
"""Bytes per second, on average, that a download has to reach once it has gone on so long."""


def pull(
    checkpoint: PublishedCheckpoint,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    stalled_after: float = STALLED_S,
) -> tuple[Path, bool]:
    """Download a checkpoint, unless it is there already, and check its size and SHA-256.

    The file is put into its place once it is whole, so neither an interrupted download nor two at a
    time leave a damaged one.

    Args:
        checkpoint: one of :data:`hearaudiomlp.weights.published.PUBLISHED`.
        folder: where to; :func:`hearaudiomlp.weights.locate.cache_folder`, where load_model looks
            for it, if not given.
        progress: called as it goes on.
        stalled_after: seconds without an answer or a byte after which to give up.

    Returns:
        Where the file is, and whether it was downloaded now.

    Raises:
        DownloadError: it can't be downloaded: in particular DownloadTimeoutError, where the server
            stalls, and WrongDownloadError, where the file isn't the one that was published.
        CacheError: the folder can't be written to, or is full.
        MissingPackageError: the extra ``[pull]`` isn't installed.
    """
    target = (cache_folder() if folder is None else folder) / f"{checkpoint.name}.pth"
    if _is_there(target, checkpoint):
        return target, False
    downloaders, requests = _packages()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:
            sink = _Sink(file, checkpoint, progress, stalled_after)
            with _told(checkpoint, requests):
                downloaders.HTTPDownloader(
                    timeout=stalled_after,
                    chunk_size=_CHUNK,
                    hooks={"response": _stay_on_the_host},
                )(checkpoint.url, sink, None)
            sink.check()
    except DownloadError:
        raise
    except _Unwritable as problem:
        raise _cache_error(target, problem.reason) from problem
    except OSError as problem:
        raise _cache_error(target, problem) from problem
    return target, True


def _cache_error(target: Path, problem: OSError) -> CacheError:
    return CacheError(
        problem.errno,
        f"{target} can't be written ({problem.strerror}); "
        "HEARAUDIOMLP_CACHE names another folder for downloads",
    )


def _is_there(target: Path, checkpoint: PublishedCheckpoint) -> bool:
    try:
        return hashlib.sha256(target.read_bytes()).hexdigest() == checkpoint.sha256
    except OSError:
        return False


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        import pooch
        import requests
    except ImportError as problem:
        raise MissingPackageError(
            f"downloading needs pooch ({problem}): pip install 'hearaudiomlp[pull]'"
        ) from problem
    return pooch, requests


class _Unwritable(Exception):  # noqa: N818 - no error that anybody sees
    """A write that failed: told apart from the network's errors, which are OSErrors too."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


class _Sink:
    """What is downloaded goes through here: counted, timed, added to the digest, written."""

    def __init__(
        self,
        file: IO[bytes],
        checkpoint: PublishedCheckpoint,
        progress: Progress | None,
        patience: float,
    ) -> None:
        self._file, self._checkpoint, self._progress = file, checkpoint, progress
        self._patience, self._began = patience, time.monotonic()
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._checkpoint.size:
            raise self._wrong(f"it is longer than {self._checkpoint.size:,} bytes")
        passed = time.monotonic() - self._began
        if passed > self._patience and self._size < SLOWEST * passed:
            raise DownloadTimeoutError(
                f"{self._checkpoint.url} comes at {self._size / passed:,.0f} bytes a second; "
                "given up, and nothing was kept"
            )
        self._digest.update(data)
        try:
            self._file.write(data)
        except OSError as problem:
            raise _Unwritable(problem) from problem
        if self._progress is not None:
            self._progress(self._size, self._checkpoint.size)

    def flush(self) -> None:
        """Do nothing: the file is flushed once it is whole."""

    def check(self) -> None:
        """Raise an error if what came isn't what was published."""
        if self._size != self._checkpoint.size:
            raise self._wrong(f"it ended after {self._size:,} of {self._checkpoint.size:,} bytes")
        if self._digest.hexdigest() != self._checkpoint.sha256:
            raise self._wrong(f"its SHA-256 is {self._digest.hexdigest()}")

    def _wrong(self, reason: str) -> WrongDownloadError:
        return WrongDownloadError(
            f"{self._checkpoint.url} isn't the file that was published ({reason}); nothing was kept"
        )


def _stay_on_the_host(response: Any, *_: object, **__: object) -> None:
    """Refuse to be sent to another server, or from https to http."""
    if not response.is_redirect:
        return
    target = urlsplit(response.headers["location"])
    here = urlsplit(response.url)
    if (target.scheme or here.scheme, target.netloc or here.netloc) != (here.scheme, here.netloc):
        raise DownloadError(
            f"{response.url} redirects to {target.scheme or here.scheme}://{target.netloc}, "
            "and another server isn't asked; nothing was kept"
        )


@contextmanager
def _told(checkpoint: PublishedCheckpoint, requests: ModuleType) -> Iterator[None]:
    """Turn the network's errors into ours."""
    host, errors = urlsplit(checkpoint.url).netloc, requests.exceptions
    nothing = "nothing was kept"
    try:
        yield
    except (DownloadError, _Unwritable):
        raise
    except errors.HTTPError as problem:
        answer = problem.response
        raise DownloadError(
            f"{host} answers {answer.status_code} {answer.reason} for {checkpoint.url}; {nothing}"
        ) from problem
    except errors.Timeout as problem:
        raise DownloadTimeoutError(f"{host} doesn't answer; {nothing}") from problem
    except errors.ConnectionError as problem:
        if "timed out" in str(problem):  # as requests puts it when the body stalls
            raise DownloadTimeoutError(f"{host} stopped sending; {nothing}") from problem
        raise DownloadError(
            f"{host} can't be reached: is there a network? ({_reason(problem)}); {nothing}"
        ) from problem
    except errors.ChunkedEncodingError as problem:
        raise DownloadError(
            f"{host} closed the connection in the middle ({_reason(problem)}); {nothing}"
        ) from problem
    except (errors.RequestException, OSError, ValueError) as problem:
        raise DownloadError(f"{checkpoint.url}: {_reason(problem)}; {nothing}") from problem


def _reason(problem: BaseException) -> str:
    """Return the innermost reason: requests and urllib3 wrap it several times."""
    while (inner := problem.__cause__ or problem.__context__) is not None:
        problem = inner
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
