"""Files that are there whole or not at all."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hearaudiomlp.storage.stopping import changing, noted

FileRecord = tuple[int, str]
"""Size in bytes and SHA-256 of a file."""


def _umask() -> int:
    # It can only be read by setting it, for all threads: so once, when this is imported.
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


UMASK = _umask() & 0o077
"""Of this process, when it started: what it wrote it can read, whatever that says."""


def temporary_prefix(target: str) -> str:
    """Return how the names of temporary files for a file begin.

    The target's name is cut, by bytes, so that theirs is no longer than a name may be.

    Examples:
        >>> temporary_prefix("words.txt")
        '.words.txt.'
    """
    whole = os.fsencode(target)[:100].decode(errors="ignore")  # no half letters, where UTF-8 is
    return f".{os.fsdecode(whole.encode())}."


@contextmanager
def temporary_name(
    folder: Path, target: str, only: str | None = None, *, ending: str = ".tmp"
) -> Iterator[Path]:
    """Return a name for a temporary file or folder, which is removed at the end if it exists.

    Args:
        folder: where it is going to be.
        target: what it is for.
        only: name of the one file that is removed with a folder; all are, if not given.
        ending: of the name.

    Examples:
        >>> with temporary_name(Path(), "words.txt") as path:
        ...     _ = path.write_text("marvin")
        >>> path.exists()
        False
    """
    path = folder / f"{temporary_prefix(target)}{secrets.token_hex(8)}{ending}"
    with noted(path, only):
        yield path


@contextmanager
def replacing(
    path: str | os.PathLike[str],
    *,
    folder: Path | None = None,
    check: Callable[[], None] | None = None,
    before: Callable[[FileRecord], None] | None = None,
    durable: bool = True,
) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` unless there is an error.

    If the body raises, Ctrl-C included, the temporary file is removed and ``path`` is as before.

    Args:
        path: the file. If it is a link, the link is replaced, not what it points to.
        folder: where the temporary file is, on the same disk; beside ``path``, if not given.
        check: called at the beginning and again before the file is replaced; it raises where that
            isn't allowed, as :func:`hearaudiomlp.storage.ownership.check_output` does.
        before: called with size and SHA-256 before the file is replaced.
        durable: whether it has to be whole even after a power cut; otherwise the reader has to
            compare it with its record.

    Raises:
        OSError: the folder can't be written to.

    Examples:
        >>> with replacing("words.txt") as file:
        ...     _ = file.write(b"marvin seven")
        >>> Path("words.txt").read_text()
        'marvin seven'
    """
    target = Path(path)
    if check is not None:
        check()
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    with temporary_name(folder or target.parent, target.name) as temporary:
        # Temporary files are private, results aren't.
        with create(temporary) as file:
            yield file
            file.flush()
            record = _record_and_sync(file, record=before is not None, sync=durable)
        temporary.chmod(0o666 & ~UMASK)
        if before is not None:
            before(record)
        if check is not None:
            check()
        with changing():
            temporary.replace(target)


def create(temporary: Path) -> IO[bytes]:
    """Create a file that only its owner may read, unless the process is about to exit.

    Examples:
        >>> with temporary_name(Path(), "words.txt") as path, create(path) as file:
        ...     file.write(b"marvin")
        6
    """
    with changing():
        return open(temporary, "x+b", opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _record_and_sync(file: IO[bytes], *, record: bool, sync: bool) -> FileRecord:
    """Flush to disk, or a power cut could leave the name without the content; hash meanwhile."""
    file.seek(0)
    if not record:
        if sync:
            os.fsync(file.fileno())
        return (0, "")
    if not sync:
        return record_of(file)
    with ThreadPoolExecutor(1) as thread:
        synced = thread.submit(os.fsync, file.fileno())
        found = record_of(file)
        synced.result()
    return found


def record_of(file: IO[bytes]) -> FileRecord:
    """Return size and SHA-256 of the rest of a file.

    Examples:
        >>> _ = Path("abc.txt").write_bytes(b"abc")
        >>> with open("abc.txt", "rb") as file:
        ...     size, sha256 = record_of(file)
        >>> size, sha256[:8]
        (3, 'ba7816bf')
    """
    start = file.tell()
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return (file.tell() - start, digest)


def open_regular(path: Path) -> IO[bytes]:
    """Open an ordinary file to read from; a pipe or device isn't waited for.

    Raises:
        OSError: it isn't there, or is a link, a folder, a pipe or a device.

    Examples:
        >>> with open_regular(Path("samples/words.flac")) as file:
        ...     file.read(4)
        b'fLaC'
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    return os.fdopen(descriptor, "rb")
