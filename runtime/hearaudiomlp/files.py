"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a temporary file beside ``path`` that takes its place when all went well.

    If the body raises, Ctrl-C included, the temporary file is removed and ``path`` is as before.

    Raises:
        OSError: the folder can't be written to.
    """
    target = Path(path)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # temporary files are private, results aren't
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
