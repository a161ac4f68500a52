"""Download a published checkpoint into the cache folder (extra ``[pull]``: pooch).

This is the only module in the package that uses the network, and only when a user asks for it.
"""

import io
import itertools
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import (
    CacheError,
    DownloadError,
    DownloadTimeoutError,
    WrongDownloadError,
    needs_extra,
    warn_once,
)
from hearaudiomlp.storage.atomic import open_regular, replacing, temporary_name
from hearaudiomlp.storage.stopping import changing
from hearaudiomlp.weights.locate import cache_folder
from hearaudiomlp.weights.published import PublishedCheckpoint

_CHUNK = 256  # bytes; a slow server's are counted as they come
_REDIRECTS = 5
_OVERHEAD = 1 << 20  # bytes of an answer besides the file and as many for what divides it

Progress = Callable[[int, int], None]
"""Called with the bytes that have come and the bytes that there will be."""

STALLED_S = 30.0
"""Seconds without an answer, or without another byte, after which a download is given up."""

SLOWEST = 2_000
"""Bytes per second, on average from the start, below which a download is given up after that."""


def pull(
    checkpoint: PublishedCheckpoint,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    stalled_after: float = STALLED_S,
) -> tuple[Path, bool]:
    """Download a checkpoint unless it exists already, and check its size and SHA-256.

    The file is put into its place once it is whole, so neither an interrupted download nor two at a
    time leave a damaged one. Another file in its place gets another name. Only the server that the
    checkpoint names is asked. It gets at most ``stalled_after`` seconds, or as long as
    :data:`SLOWEST` bytes a second take if that is more.

    Args:
        checkpoint: one of :data:`hearaudiomlp.weights.published.PUBLISHED`.
        folder: where to; :func:`hearaudiomlp.weights.locate.cache_folder`, where load_model looks
            for it, if not given.
        progress: called while data comes, from another thread.
        stalled_after: seconds without an answer or a byte after which to give up.

    Returns:
        Where the file is, and whether it was downloaded now.

    Raises:
        DownloadError: it can't be downloaded: in particular DownloadTimeoutError, where the server
            stalls, and WrongDownloadError, where the file isn't the one that was published.
        CacheError: the folder can't be written to, is full, or has something else than an ordinary
            file in the file's place.
        MissingPackageError: the extra ``[pull]`` isn't installed.

    Example:
        >>> from hearaudiomlp.weights.published import PUBLISHED
        >>> path, new = pull(PUBLISHED["kwmlp"])  # doctest: +SKIP
        >>> path.name  # doctest: +SKIP
        'kwmlp.pth'
    """
    target = (cache_folder() if folder is None else folder) / f"{checkpoint.name}.pth"
    pooch, requests = _packages()
    try:
        if _is_there(target, checkpoint, pooch):
            return target, False
        target.parent.mkdir(parents=True, exist_ok=True)
        # A folder of its own, so that an abandoned download leaves nothing in the cache.
        with temporary_name(target.parent, target.name) as scratch:
            scratch.mkdir(0o700)
            download = _Download(checkpoint, progress, stalled_after, pooch, requests)
            content = download.run(scratch)
            aside = _Aside(target, content)
            with replacing(target, before=lambda _: aside.move()) as file:
                file.write(content)
    except (DownloadError, CacheError):
        raise
    except OSError as problem:
        raise CacheError(
            problem.errno,
            f"{target} can't be written ({problem.strerror}); "
            "HEARAUDIOMLP_CACHE names another folder for downloads",
        ) from problem
    if aside.path is not None:
        message = f"{target} wasn't the published checkpoint: it is {aside.path.name} now"
        warn_once(message, message, UserWarning)
    return target, True


class _Aside:
    """What has the file's name gets another one, unless it is the beginning of the file itself.

    The folder may be any, ``HEARAUDIOMLP_CACHE=.`` for example, and hold a model of the user's.
    """

    path: Path | None = None
    """Where it is now, if there was anything."""

    def __init__(self, target: Path, content: bytes) -> None:
        self._target, self._content = target, content

    def move(self) -> None:
        """Move it, without replacing anything else."""
        names = (self._target.with_name(f"{self._target.name}.{n}") for n in itertools.count(1))
        with changing():
            if self._is_another():
                self.path = next(name for name in names if not os.path.lexists(name))
                self._target.rename(self.path)

    def _is_another(self) -> bool:
        try:
            with open_regular(self._target) as file:
                return not self._content.startswith(file.read(len(self._content) + 1))
        except FileNotFoundError:
            return False
        except OSError:  # a link, or one that may not be read
            return True


def _is_there(target: Path, checkpoint: PublishedCheckpoint, pooch: ModuleType) -> bool:
    try:
        status = target.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(status.st_mode) and target.is_file():
        status = target.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CacheError(
            None,
            f"{target} can't be written (it is no ordinary file): remove it, or set "
            "HEARAUDIOMLP_CACHE to another folder",
        )
    if status.st_size != checkpoint.size:
        return False
    return bool(pooch.file_hash(str(target)) == checkpoint.sha256)


def _packages() -> tuple[ModuleType, ModuleType]:
    with needs_extra("pull", "downloading needs pooch"):
        import pooch
        import requests
    return pooch, requests


class _Unwritable(Exception):  # noqa: N818 - internal
    """A failed write, as opposed to the network's errors, which are OSErrors too."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


class _Download:
    """One download, on a thread of its own: pooch's, with limits of size, time and servers.

    A server that sends a header byte by byte keeps a read alive for ever, so the time is kept by
    the caller's thread, which shuts the connection.
    """

    def __init__(
        self,
        checkpoint: PublishedCheckpoint,
        progress: Progress | None,
        patience: float,
        pooch: ModuleType,
        requests: ModuleType,
    ) -> None:
        self._checkpoint, self._progress, self._patience = checkpoint, progress, patience
        self._pooch, self._requests = pooch, requests
        self._size = 0
        self._sockets: list[Any] = []
        self._failure: BaseException | None = None
        self._given_up = False
        self._ended = threading.Event()

    def run(self, scratch: Path) -> bytes:
        """Download into a folder; return what came, which is what was published."""
        worker = threading.Thread(target=self._retrieve, args=(scratch,), daemon=True)
        began = newest = time.monotonic()
        before = 0
        try:
            worker.start()
            # Not join: interrupted, Python 3.11's takes a running thread for ended (bpo-45274).
            while not self._ended.wait(0.1):
                now = time.monotonic()
                passed = now - began
                if self._size != before:
                    before, newest = self._size, now
                # A read that gets nothing ends by itself, with an error of its own. One that gets
                # what is no part of the file doesn't.
                limit = 1.5 * self._patience
                if (passed > limit and self._size < SLOWEST * passed) or now - newest > limit:
                    raise self._too_slow(passed)
        finally:
            self._given_up = True
            for socket in self._sockets:
                with suppress(OSError, ValueError):
                    socket.shutdown(2)  # both ways; a read that waits returns
            self._ended.wait(1.0)  # or it would write into the folder while that is removed
        if self._failure is not None:
            raise self._failure
        return (scratch / self._checkpoint.name).read_bytes()

    def _retrieve(self, scratch: Path) -> None:
        logger = self._pooch.get_logger()  # it writes every download to standard error
        level = logger.level
        logger.setLevel(logging.WARNING)
        name, pin = self._checkpoint.name, f"sha256:{self._checkpoint.sha256}"
        try:
            if self._given_up:  # pooch would make the folder again
                return
            with _translated(self._checkpoint, self._requests):
                self._pooch.retrieve(self._checkpoint.url, pin, name, scratch, downloader=self)
        except BaseException as problem:  # for the caller's thread
            self._failure = problem
        finally:
            logger.setLevel(level)
            self._ended.set()

    def __call__(self, url: str, output_file: str, _: object) -> None:
        """Download, as pooch has its downloaders do."""
        with self._session() as session, self._answer(session, url) as answer:
            answer.raise_for_status()
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise self._wrong("it is compressed")
            chunks = answer.iter_content(_CHUNK)
            content = b"".join(self._counted(chunks, ends=answer.raw.chunked))
        if self._size != self._checkpoint.size:
            raise self._wrong(f"it ended after {self._size:,} of {self._checkpoint.size:,} bytes")
        try:
            Path(output_file).write_bytes(content)
        except OSError as problem:
            raise _Unwritable(problem) from problem
        found = self._pooch.file_hash(output_file)
        if found != self._checkpoint.sha256:  # pooch compares too, and says less
            raise self._wrong(f"its SHA-256 is {found}")

    def _answer(self, session: Any, url: str) -> Any:
        """Ask, and follow redirects on the same server; nothing of their bodies is read."""
        asked = {"timeout": self._patience, "headers": {"Accept-Encoding": "identity"}}
        for _ in range(1 + _REDIRECTS):
            answer = session.get(url, stream=True, **asked)
            if not answer.is_redirect:
                return answer
            answer.close()
            url = _on_the_host(answer)
        raise DownloadError(f"{shorten(url)}: more than {_REDIRECTS} redirects; nothing was kept")

    def _counted(self, chunks: Iterator[bytes], ends: bool) -> Iterator[bytes]:
        """Yield what comes. Chunks of HTTP say where they end, but trailers may follow for ever."""
        for data in chunks:
            self._size += len(data)
            if self._given_up:
                raise DownloadError("given up")
            if self._size > self._checkpoint.size:
                raise self._wrong(f"it is longer than {self._checkpoint.size:,} bytes")
            if self._progress is not None:
                self._progress(self._size, self._checkpoint.size)
            yield data
            if ends and self._size == self._checkpoint.size:
                return

    def _session(self) -> Any:
        """Return a session whose connections can be shut from another thread."""
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

        largest = 2 * self._checkpoint.size + _OVERHEAD
        session = self._requests.Session()
        session.get_redirect_target = lambda _: None  # it would read a redirect's whole body
        session.auth = lambda request: request  # nothing of ~/.netrc, whose default is anybody's
        for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool)):
            adapter = self._requests.adapters.HTTPAdapter()
            adapter.poolmanager.pool_classes_by_scheme = {
                scheme: _watched(pool, self._opened, largest)
            }
            session.mount(f"{scheme}://", adapter)
        return session

    def _opened(self, socket: Any) -> None:
        self._sockets.append(socket)
        if self._given_up:  # after those that were open had been shut
            raise DownloadError("given up")

    def _wrong(self, reason: str) -> WrongDownloadError:
        return WrongDownloadError(
            f"{self._checkpoint.url} isn't the file that was published ({reason}); nothing was kept"
        )

    def _too_slow(self, passed: float) -> DownloadTimeoutError:
        return DownloadTimeoutError(
            f"{self._checkpoint.url} comes at {self._size / passed:,.0f} bytes a second; "
            "given up, and nothing was kept"
        )


def _watched(pool: Any, opened: Callable[[Any], None], largest: int) -> Any:
    """Return a class of connection pools that reports its sockets and limits their answers."""

    def connect(self: Any) -> None:
        pool.ConnectionCls.connect(self)
        opened(self.sock)

    class Response(pool.ConnectionCls.response_class):  # type: ignore[misc]
        fp: Any

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.fp = io.BufferedReader(_Limited(self.fp.detach(), largest))

    attributes = {"connect": connect, "response_class": Response}
    connection = type("Connection", (pool.ConnectionCls,), attributes)
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Limited(io.RawIOBase):
    """A connection from which so many bytes are read: urllib3 reads lines between chunks whole."""

    def __init__(self, connection: io.RawIOBase, left: int) -> None:
        self._connection, self._left = connection, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._connection.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise ValueError("far more came than the file has")
        return count

    def close(self) -> None:
        self._connection.close()
        super().close()


def _on_the_host(response: Any) -> str:
    """Return where a redirect leads, unless it is another server, or http instead of https."""
    url: str = urljoin(response.url, response.headers["location"])
    target, here = urlsplit(url), urlsplit(response.url)
    if (target.scheme, target.netloc) != (here.scheme, here.netloc):
        raise DownloadError(
            f"{shorten(response.url)} redirects to "
            f"{shorten(target.scheme)}://{shorten(target.netloc)}, "
            "and another server isn't asked; nothing was kept"
        )
    return url


@contextmanager
def _translated(checkpoint: PublishedCheckpoint, requests: ModuleType) -> Iterator[None]:
    """Turn the network's errors into ours."""
    host, errors = urlsplit(checkpoint.url).netloc, requests.exceptions
    nothing = "nothing was kept"
    try:
        yield
    except DownloadError:
        raise
    except _Unwritable as problem:
        raise problem.reason from problem
    except errors.HTTPError as problem:
        answer = problem.response
        raise DownloadError(
            f"{host} answers {answer.status_code} {shorten(answer.reason)} for {checkpoint.url}; "
            f"{nothing}"
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
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return shorten(text, 200)
