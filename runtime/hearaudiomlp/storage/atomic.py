"""Files that are there whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def _umask() -> int:
    # It can only be read by setting it, for all threads: so once, when this is imported.
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


_UMASK = _umask()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a temporary file beside ``path`` that takes its place when all went well.

    If the body raises, Ctrl-C included, the temporary file is removed and ``path`` is as before.

    Raises:
        OSError: the folder can't be written to.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:  # HDF5 reads what it wrote
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name and no content
        temporary.chmod(0o666 & ~_UMASK)  # temporary files are private, results aren't
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
