"""Where a table is written: a folder of this machine, or one behind a URL.

Both give a file its name when it is whole, and not before.
"""

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.storage.remote import filesystem, is_url, local_path


class Store(Protocol):
    """A folder; names are relative to it, with ``/`` between folders. Can be pickled."""

    def writing(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Give a file that gets its name when the body ends without an error."""

    def reading(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Give a file to read from."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; none, if there is no such folder."""

    def move(self, old: str, new: str) -> None:
        """Put a folder in the place of another one, if there is one; it may stay where it was."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it, if it is there."""

    def remove_leftovers(self, name: str) -> None:
        """Remove what a process left that was killed while it wrote a file or a folder."""


class LocalStore:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        """Take an existing folder."""
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return self._folder / name

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Write to a temporary file beside it, which then takes its name."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            yield file

    def reading(self, name: str) -> IO[bytes]:
        """Open a file."""
        return self.path(name).open("rb")

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        return self.path(name).exists()

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name."""
        return self.path(name).is_dir()

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        try:
            return sorted(os.listdir(self.path(folder)))  # noqa: PTH208
        except FileNotFoundError:
            return []

    def move(self, old: str, new: str) -> None:
        """Move a folder to the place of another one."""
        self.remove(new)
        self.path(old).rename(self.path(new))

    def remove(self, name: str) -> None:
        """Remove a file or folder."""
        path = self.path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def remove_leftovers(self, name: str) -> None:
        """Remove what a process left that was killed while it wrote a file or a folder."""
        path = self.path(name)
        beside = path.parent.glob(f".{glob.escape(path.name)}.*.tmp")
        for left in (*beside, *path.rglob(".*.tmp")):
            left.unlink(missing_ok=True)


class RemoteStore:
    """A folder behind a URL: files are written here first, and uploaded whole."""

    def __init__(self, url: str) -> None:
        """Take a URL that fsspec knows."""
        self._url = url.rstrip("/")

    def _at(self, name: str) -> tuple[Any, str]:
        return filesystem(f"{self._url}/{name}")

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Write to a temporary file of this machine, which is then uploaded."""
        with tempfile.NamedTemporaryFile() as file:
            yield file
            file.flush()
            fs, path = self._at(name)
            fs.makedirs(fs._parent(path), exist_ok=True)
            fs.put_file(file.name, path)

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Download a file and open it."""
        with tempfile.NamedTemporaryFile() as file:
            fs, path = self._at(name)
            fs.get_file(path, file.name)
            with Path(file.name).open("rb") as copy:
                yield copy

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        fs, path = self._at(name)
        fs.invalidate_cache()
        return bool(fs.exists(path))

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name."""
        fs, path = self._at(name)
        fs.invalidate_cache()
        return bool(fs.isdir(path))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        fs, path = self._at(folder)
        fs.invalidate_cache()
        try:
            return sorted(found.rstrip("/").rpartition("/")[2] for found in fs.ls(path, False))
        except FileNotFoundError:
            return []

    def move(self, old: str, new: str) -> None:
        """Copy the files of a folder to the place of another one.

        Object stores move file by file. The old folder stays, so that a copy that was interrupted
        can be made again.
        """
        self.remove(new)
        for name in self.names(old):
            fs, path = self._at(f"{old}/{name}")
            target = self._at(f"{new}/{name}")[1]
            fs.makedirs(fs._parent(target), exist_ok=True)
            fs.copy(path, target)

    def remove(self, name: str) -> None:
        """Remove a file or folder."""
        fs, path = self._at(name)
        fs.invalidate_cache()
        if fs.exists(path):
            fs.rm(path, recursive=True)

    def remove_leftovers(self, name: str) -> None:
        """Nothing half written is ever uploaded."""


def open_store(path: str) -> tuple[Store, str]:
    """Return the folder that ``path`` is in, and its name there.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if is_url(path):
        folder, _, name = path.rstrip("/").rpartition("/")
        return RemoteStore(folder), name
    whole = Path(local_path(path))
    if not whole.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {whole.parent} to write to")
    return LocalStore(whole.parent.absolute()), whole.name
