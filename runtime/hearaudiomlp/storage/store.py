"""Where a table is written: a folder of this machine, or one behind a URL.

In both, a file gets its name once it is complete. Neither follows a link below its folder,
and neither removes anything but what it is given by name.
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from hearaudiomlp.errors import OptionError, OutputExistsError
from hearaudiomlp.storage.atomic import (
    FileRecord,
    create,
    open_regular,
    record_of,
    replacing,
    temporary_name,
)
from hearaudiomlp.storage.ownership import describe_kind, refuse_inputs
from hearaudiomlp.storage.remote import filesystem, is_url, local_path

BeforeRename = Callable[[FileRecord], None]
"""Gets size and SHA-256 of a file that is about to get its name; it may raise to prevent that."""


class Store(Protocol):
    """A folder; names are relative to it, with ``/`` between folders. Can be pickled."""

    def writing(
        self,
        name: str,
        *,
        folder: str | None = None,
        before: BeforeRename | None = None,
        durable: bool = True,
    ) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a file that gets its name when the body ends without an error.

        Until then it is in ``folder``, or else in the folder that it is for. One that isn't durable
        may be damaged by a power cut: it has to be compared with its record.
        """

    def reading(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open an ordinary file for reading."""

    def record(self, name: str) -> FileRecord:
        """Return size and SHA-256 of a file; without the SHA-256, where that has to be fetched."""

    def matches(self, name: str, records: Collection[FileRecord]) -> bool:
        """Whether a file is one of those on record; only one of the same size is read."""

    def refuse_inputs(self, name: str, inputs: Iterable[str]) -> None:
        """Raise an OutputExistsError if a file is one of those that are being read."""

    def kind(self, name: str) -> str:
        """Return ``file``, ``folder``, another kind, or nothing where there is nothing."""

    def names(self, folder: str) -> list[str]:
        """Return the names of what is in a folder and in the folders inside; files alone."""

    def move(self, old: str, new: str) -> None:
        """Rename a folder or file to a free name. A store may leave the old one, too."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def remove_folder(self, name: str) -> bool:
        """Remove a folder and the folders inside if no file is in them; return whether it went."""


class LocalStore:
    """A folder of this machine.

    Examples:
        >>> store = LocalStore(Path())
        >>> with store.writing("words.txt") as file:
        ...     _ = file.write(b"marvin")
        >>> store.kind("words.txt"), store.record("words.txt")[0]
        ('file', 6)
    """

    def __init__(self, folder: Path) -> None:
        """Take an existing folder."""
        self._folder = folder
        self._held: tuple[Path, int] | None = None

    def __reduce__(self) -> tuple[type["LocalStore"], tuple[Path]]:
        """Leave out what is open: it belongs to this process."""
        return LocalStore, (self._folder,)

    def hold(self, name: str, descriptor: int) -> None:
        """From now on, use nothing below a folder of this one unless it is the one that is open."""
        self._held = (self.path(name), descriptor)

    def release(self) -> None:
        """End that."""
        self._held = None

    def check_held(self) -> None:
        """Refuse a folder that has taken the place of the one that is held.

        Raises:
            OutputExistsError: it has.
        """
        if self._held is not None and not is_same(*self._held) and describe_kind(self._held[0]):
            raise OutputExistsError(
                f"{self._held[0]} isn't the folder that this command made: it was replaced "
                "meanwhile, and stays as it is"
            )

    def path(self, name: str) -> Path:
        """Return where a file is.

        Raises:
            OutputExistsError: one of the folders on the way is a link, or has replaced the one
                that is held.
        """
        path = self._folder
        parts = PurePosixPath(name).parts
        assert ".." not in parts
        for part in parts[:-1]:
            path /= part
            if path.is_symlink():
                raise OutputExistsError(f"{path} is a symbolic link, and isn't followed: remove it")
            if self._held is not None and path == self._held[0]:
                self.check_held()
        return path / parts[-1] if parts else path

    @contextmanager
    def writing(
        self,
        name: str,
        *,
        folder: str | None = None,
        before: BeforeRename | None = None,
        durable: bool = True,
    ) -> Iterator[IO[bytes]]:
        """Write to a temporary file, which then takes its name."""
        path = self.path(name)
        self._make_folders(name)
        inside = None if folder is None else self.path(f"{folder}/x").parent

        def check() -> None:
            self.path(name)

        with replacing(path, folder=inside, check=check, before=before, durable=durable) as file:
            yield file

    def _make_folders(self, name: str) -> None:
        # The first one isn't made: that of the parts has to be ours, and made as such.
        for parent in reversed(PurePosixPath(name).parents[:-2]):
            self.path(f"{parent}/x").parent.mkdir(exist_ok=True)

    def reading(self, name: str) -> IO[bytes]:
        """Open an ordinary file."""
        return open_regular(self.path(name))

    def record(self, name: str) -> FileRecord:
        """Return size and SHA-256 of a file."""
        with self.reading(name) as file:
            return record_of(file)

    def matches(self, name: str, records: Collection[FileRecord]) -> bool:
        """Whether a file is one of those on record."""
        with self.reading(name) as file:
            size = os.fstat(file.fileno()).st_size
            return any(size == one for one, _ in records) and record_of(file) in records

    def refuse_inputs(self, name: str, inputs: Iterable[str]) -> None:
        """Refuse to replace a file that is being read."""
        refuse_inputs(self.path(name), inputs)

    def kind(self, name: str) -> str:
        """Return what there is."""
        path = self.path(name)
        kind = describe_kind(path)
        return kind.rpartition(" ")[2] if kind else "file" if path.exists() else ""

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder; links are files."""
        top = self.path(f"{folder}/x").parent
        if not top.is_dir():
            return []
        found = (entry.path for entry in _walk(top) if not entry.is_dir(follow_symlinks=False))
        return sorted(Path(path).relative_to(top).as_posix() for path in found)

    def move(self, old: str, new: str) -> None:
        """Rename a folder or a file."""
        if self.kind(new):
            raise OutputExistsError(f"{self.path(new)} has appeared: move it away")
        self.path(old).rename(self.path(new))

    def remove(self, name: str) -> None:
        """Remove a file, or a link."""
        self.path(name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> bool:
        """Remove a folder, if there is nothing but empty folders in it."""
        path = self.path(name)
        try:
            folders = [one.path for one in _walk(path) if one.is_dir(follow_symlinks=False)]
            for folder in reversed(folders):
                Path(folder).rmdir()
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError as problem:
            if problem.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                return False
            raise
        return True


def _walk(top: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all that is below a folder, each before what is in it; links aren't followed.

    A folder that can't be read is an error, where os.walk would leave out what is in it; and there
    may be more of them in one another than Python makes calls.
    """
    waiting = [str(top)]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            entries = list(found)
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def is_same(path: Path, descriptor: int) -> bool:
    """Whether a path is what is open.

    Examples:
        >>> with open("samples/words.flac", "rb") as file:
        ...     is_same(Path("samples/words.flac"), file.fileno())
        True
    """
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    with (
        temporary_name(Path(tempfile.gettempdir()), "hearaudiomlp") as path,
        create(path) as file,
    ):
        yield file


def _protocol(url: str) -> str:
    return url.partition("://")[0].lower() if is_url(url) else ""


class _RemoteStore:
    """A folder behind a URL: files are written here first, and uploaded whole."""

    def __init__(self, url: str) -> None:
        """Take a URL that fsspec knows."""
        self._url = url.rstrip("/")

    def _at(self, name: str) -> tuple[Any, str]:
        fs, path = filesystem(f"{self._url}/{name}")
        fs.invalidate_cache()
        return fs, path

    @contextmanager
    def writing(
        self,
        name: str,
        *,
        folder: str | None = None,  # noqa: ARG002 - nothing half written is ever uploaded
        before: BeforeRename | None = None,
        durable: bool = True,  # noqa: ARG002 - that is the server's part
    ) -> Iterator[IO[bytes]]:
        """Write to a temporary file of this machine, which is then uploaded."""
        with _temporary_file() as file:
            yield file
            file.flush()
            if before is not None:
                file.seek(0)
                before((record_of(file)[0], ""))
            fs, path = self._at(name)
            fs.makedirs(fs._parent(path), exist_ok=True)
            fs.put_file(file.name, path)

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Download a file and open it."""
        with _temporary_file() as file:
            fs, path = self._at(name)
            fs.get_file(path, file.name)
            with Path(file.name).open("rb") as copy:  # it may be another file now
                yield copy

    def record(self, name: str) -> FileRecord:
        """Return the size of a file."""
        fs, path = self._at(name)
        return (int(fs.size(path)), "")

    def matches(self, name: str, records: Collection[FileRecord]) -> bool:
        """Whether a file has the size of one of those on record."""
        return self.record(name) in records

    def refuse_inputs(self, name: str, inputs: Iterable[str]) -> None:
        """Refuse to replace a file that is being read."""
        own, protocol = self._at(name), _protocol(self._url)
        for url in inputs:
            if _protocol(url) != protocol:
                continue
            try:
                fs, path = filesystem(url)
            except OptionError:  # it isn't read either
                continue
            if (fs._fs_token, path) == (own[0]._fs_token, own[1]):
                raise OutputExistsError(f"{url} is an input of this command: name another file")

    def kind(self, name: str) -> str:
        """Return what there is."""
        fs, path = self._at(name)
        if not fs.exists(path):
            return ""
        return "folder" if fs.isdir(path) else "file"

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder."""
        fs, path = self._at(folder)
        try:
            found = fs.find(path)
        except FileNotFoundError:
            return []
        start = len(path.rstrip("/")) + 1
        return sorted(name[start:] for name in found if len(name) > start)

    def move(self, old: str, new: str) -> None:
        """Copy the files of a folder, or a file.

        Object stores move file by file. What is old stays, so that a copy that was interrupted
        can be made again.
        """
        inside = [f"/{name}" for name in self.names(old)] if self.kind(old) == "folder" else [""]
        for name in inside:
            fs, path = self._at(f"{old}{name}")
            target = self._at(f"{new}{name}")[1]
            fs.makedirs(fs._parent(target), exist_ok=True)
            fs.copy(path, target)

    def remove(self, name: str) -> None:
        """Remove a file."""
        fs, path = self._at(name)
        if fs.exists(path):
            fs.rm_file(path)

    def remove_folder(self, name: str) -> bool:
        """Remove a folder, where folders exist at all."""
        if self.names(name):
            return False
        fs, path = self._at(name)
        if fs.exists(path):
            fs.rm(path, recursive=True)  # it has no files
        return True


def open_store(path: str) -> tuple[Store, str]:
    """Return the folder that ``path`` is in, and its name there.

    Raises:
        FileNotFoundError: there is no such folder.

    Examples:
        >>> store, name = open_store("samples/table.npz")
        >>> name, store.kind("words.flac")
        ('table.npz', 'file')
    """
    if is_url(path):
        folder, _, name = path.rstrip("/").rpartition("/")
        return _RemoteStore(folder), name
    whole = Path(local_path(path))
    if not whole.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {whole.parent} to write to")
    if whole.name in {"", ".."}:
        raise OutputExistsError(f"{path} is a folder: name a file")
    return LocalStore(whole.parent.absolute()), whole.name
