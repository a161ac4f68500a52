"""The folder in which a table is in the making: marked as ours, locked, and cleaned up by name."""

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hearaudiomlp.errors import OutputExistsError, RunChangedError
from hearaudiomlp.storage.atomic import UMASK, open_regular, temporary_name, temporary_prefix
from hearaudiomlp.storage.ownership import MARK_FILE, describe_kind, read_sealed, seal
from hearaudiomlp.storage.stopping import changing
from hearaudiomlp.storage.store import LocalStore, Store, is_same

_TEMPORARY = re.compile(r"(?:.*/)?\.[^/]+\.[0-9a-f]{16}\.tmp")


class PartsFolder:
    """A folder that belongs to one run at a time.

    It has a mark file from its first moment on. A folder of that name without one
    isn't ours. What the run may remove in it are files of the names that it writes.

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> parts = PartsFolder(open_store("t.npz")[0], "t.npz.parts", lambda name: True)
        >>> parts.claim()
        >>> parts.remove()
        []
        >>> parts.close()
    """

    def __init__(self, store: Store, name: str, is_part: Callable[[str], bool]) -> None:
        """Take the folder's name; nothing is created yet.

        Args:
            store: where it is.
            name: of the folder.
            is_part: says from its name, relative to the folder, whether a run writes such a file.
        """
        self._store, self._name, self._is_part = store, name, is_part
        self._lock: int | None = None
        self.claimed = False
        """Whether it is there, and is ours."""

    def claim(self) -> None:
        """Create the folder, or take one that is marked; lock it.

        Raises:
            OutputExistsError: there is something of that name that isn't marked as ours.
            RunChangedError: another run has it.
        """
        if isinstance(self._store, LocalStore):
            self._claim(self._store.path(self._name), self._store)
        else:
            self._claim_remote()
        self.claimed = True

    def _claim(self, path: Path, store: LocalStore) -> None:
        for _ in range(100):
            try:
                kind = describe_kind(path)
                if not kind and not path.exists():
                    self._create(path)
                elif kind != "a folder":
                    raise self._not_ours(path, kind or "a file")
                self._lock = self._locked(path)
            except FileNotFoundError:  # another run has just finished
                continue
            if self._lock is None or is_same(path, self._lock):
                break
            os.close(self._lock)
        try:
            self._check_mark(path)
            _remove_abandoned(path)
            if self._lock is not None:
                store.hold(self._name, self._lock)
        except BaseException:
            self.close()
            raise

    def _not_ours(self, path: object, kind: str) -> OutputExistsError:
        return OutputExistsError(
            f"{path} is {kind} that this command didn't create: rename it, or choose another OUT"
        )

    def _create(self, path: Path) -> None:
        """Make the folder with its mark in it, so that none is ever seen without."""
        with temporary_name(path.parent, path.name, MARK_FILE) as temporary:
            try:
                with changing():
                    temporary.mkdir()
                    temporary.chmod(0o777 & ~UMASK)
                    (temporary / MARK_FILE).write_bytes(self._mark())
                    (temporary / MARK_FILE).chmod(0o666 & ~UMASK)
                    temporary.rename(path)
            except OSError as problem:  # another run was quicker
                if problem.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise

    def _mark(self) -> bytes:
        return seal({"parts_of": self._name})

    def _locked(self, path: Path) -> int | None:
        """Open the folder and lock it; the system lets go when this process ends."""
        try:
            import fcntl
        except ImportError:  # not on Windows
            return None
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            table = self._name.removesuffix(".parts")
            raise RunChangedError(f"another run is writing {table} now") from None
        except OSError:
            pass  # a file system without locks
        return lock

    def _check_mark(self, path: Path) -> None:
        try:
            with open_regular(path / MARK_FILE) as file:
                mark = read_sealed(file)
        except OSError:
            mark = None
        if mark is None:
            raise self._not_ours(path, "a folder")

    def _claim_remote(self) -> None:
        mark = f"{self._name}/{MARK_FILE}"
        names = self._store.names(self._name)
        if not names:
            with self._store.writing(mark) as file:
                file.write(self._mark())
            return
        if MARK_FILE in names:
            with self._store.reading(mark) as file:
                if read_sealed(file) is not None:
                    return
        raise self._not_ours(self._name, "a folder")

    def clear(self) -> None:
        """Remove what runs write, but not the mark."""
        for name in self._store.names(self._name):
            if self._is_part(name) or _TEMPORARY.fullmatch(name):
                self._store.remove(f"{self._name}/{name}")

    def clear_temporaries(self) -> None:
        """Remove what a process left that was killed while it wrote a file."""
        for name in self._store.names(self._name):
            if _TEMPORARY.fullmatch(name):
                self._store.remove(f"{self._name}/{name}")

    def remove(self) -> list[str]:
        """Remove the folder; return what is in it that no run wrote, if it has to stay for that.

        Raises:
            OutputExistsError: another folder has taken its place; nothing in that is removed.
        """
        self.clear()
        left = [name for name in self._store.names(self._name) if name != MARK_FILE]
        if not left:
            self._remove_marked()
        return left

    def _remove_marked(self) -> None:
        """Remove the folder with its mark, so that after a kill none is seen without."""
        if not isinstance(self._store, LocalStore):
            self._store.remove(f"{self._name}/{MARK_FILE}")
            self._store.remove_folder(self._name)
            return
        path = self._store.path(self._name)
        self._store.check_held()
        with temporary_name(path.parent, path.name, MARK_FILE) as away:
            with suppress(FileNotFoundError):
                path.rename(away)
                (away / MARK_FILE).unlink(missing_ok=True)
            if not self._store.remove_folder(away.name):  # something has appeared in it
                away.rename(path)

    def close(self) -> None:
        """Release the lock."""
        if isinstance(self._store, LocalStore):
            self._store.release()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _remove_abandoned(path: Path) -> None:
    """Remove folders of a process that was killed before it could rename them to ``path``."""
    prefix = temporary_prefix(path.name)
    with os.scandir(path.parent) as found:
        names = [item.name for item in found if item.name.startswith(prefix)]
    for name in names:
        folder = path.parent / name
        with suppress(OSError):  # another run may have removed its own
            if not _TEMPORARY.fullmatch(name) or not stat.S_ISDIR(folder.lstat().st_mode):
                continue
            if os.listdir(folder) != [MARK_FILE]:  # noqa: PTH208
                continue
            with open_regular(folder / MARK_FILE) as file:
                ours = read_sealed(file) is not None
            if ours:
                (folder / MARK_FILE).unlink()
                folder.rmdir()
