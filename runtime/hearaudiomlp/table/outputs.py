"""What a run writes outside its parts folder: each file is checked, recorded and then renamed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO

from hearaudiomlp.errors import OutputExistsError
from hearaudiomlp.storage.atomic import FileRecord
from hearaudiomlp.storage.ownership import (
    MARK_FILE,
    has_mark,
    not_ours,
    read_sealed,
    refuse_links_and_devices,
    seal,
)
from hearaudiomlp.storage.store import LocalStore, Store
from hearaudiomlp.table.job import is_part
from hearaudiomlp.table.records import Records, read_records


class Outputs:
    """The files and folders of a table.

    Sizes and digests of what is there are compared with those on record: in the report of the run
    that made the table, and in the parts folder, where they are written before a file gets its name
    (so a run that is stopped right after that recognizes the file).

    Examples:
        >>> from hearaudiomlp.storage.store import open_store
        >>> store, name = open_store("new.txt")
        >>> outputs = Outputs(store, "new.txt.parts", {name: "file"})
        >>> outputs.check()  # nothing has this name yet
    """

    def __init__(
        self,
        store: Store,
        parts: str,
        kinds: Mapping[str, str],
        *,
        overwrite: bool = False,
        inputs: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """Refuse links, devices and pipes at once.

        Args:
            store: where the table is.
            parts: name of the parts folder.
            kinds: ``file`` or ``folder`` for each name that is going to be written.
            overwrite: whether ordinary files that aren't ours may be replaced.
            inputs: gives the files that are read. They are never replaced, not even if they are
                marked as ours, like model files.

        Raises:
            OutputExistsError: one of the names is a link, a device or a pipe.
        """
        self._store, self._parts = store, parts
        self._kinds = kinds
        self._overwrite, self._inputs = overwrite, inputs
        self._known: dict[str, set[FileRecord]] = {}
        self._noted: Records = {}  # by this run, before and after it was stopped
        self.written: Records = {}
        """What this run has written, with sizes and digests."""

        for name in self._kinds:
            if isinstance(store, LocalStore):
                refuse_links_and_devices(store.path(name))

    @property
    def _own_records(self) -> str:
        return f"{self._parts}/outputs.json"

    @property
    def _earlier(self) -> str:
        """Where a folder that is replaced is, empty but for its mark, before it is removed."""
        return f"{self._parts}/earlier"

    def know(self, records: Records) -> None:
        """Take the records of an earlier run: what matches them is ours."""
        for name, record in records.items():
            self._known.setdefault(name, set()).add(record)

    def resume(self) -> None:
        """Take the records of this run from before it was stopped."""
        if self._store.kind(self._own_records) == "file":
            with suppress(ValueError), self._store.reading(self._own_records) as file:
                self._noted = read_records(read_sealed(file))  # unless it was damaged
            self.know(self._noted)

    def path(self, name: str) -> object:
        """Return how a person finds an output."""
        return self._store.path(name) if isinstance(self._store, LocalStore) else name

    def check(self) -> None:
        """Refuse to continue where something that isn't ours has the name of an output.

        Raises:
            OutputExistsError: it has, and may not be replaced.
        """
        for name in self._kinds:
            self._check(name)

    def _check(self, name: str) -> None:
        kind = self._store.kind(name)
        if kind and kind != self._kinds[name]:
            raise OutputExistsError(
                f"{self.path(name)} is a {kind}, and would become a {self._kinds[name]}: "
                "remove it first"
            )
        if kind == "folder":
            self._check_folder(name)
        elif kind:
            self._check_file(name)

    def _check_file(self, name: str) -> None:
        self._store.refuse_inputs(name, self._inputs())
        if name in self._known:
            if self._store.matches(name, self._known[name]):
                return
            problem = OutputExistsError(
                f"{self.path(name)} has changed since this command wrote it: "
                "--overwrite replaces it"
            )
        else:
            with self._store.reading(name) as file:
                if has_mark(file):
                    return
            problem = not_ours(self.path(name))
        if not self._overwrite:
            raise problem

    def _check_folder(self, name: str) -> None:
        """A folder is ours if its mark lists everything in it."""
        listed = self._listed(name)
        if listed is None:
            raise OutputExistsError(
                f"{self.path(name)} is a folder that this command didn't create: "
                "rename it, or choose another OUT"
            )
        for inside in self._names_of(name, listed):
            same = self._store.matches(f"{name}/{inside}", [listed[inside]])
            if not same and not self._overwrite:
                raise OutputExistsError(
                    f"{self.path(f'{name}/{inside}')} has changed since this command wrote it: "
                    "--overwrite replaces it"
                )

    def _names_of(self, folder: str, listed: Collection[str]) -> list[str]:
        """Return the names of what is in a folder, but for its mark, all of which are listed."""
        names = [name for name in self._store.names(folder) if name != MARK_FILE]
        for name in names:
            if name not in listed:
                raise OutputExistsError(
                    f"{self.path(folder)} has a file that this command didn't write: {name}; "
                    "move it away, or choose another OUT"
                )
        return names

    def _listed(self, folder: str) -> Records | None:
        """Return what the mark of a folder lists; None, if it has no mark."""
        name = f"{folder}/{MARK_FILE}"
        if self._store.kind(name) != "file":
            return None
        with self._store.reading(name) as file:
            try:
                return read_records((read_sealed(file) or {}).get("files"))
            except ValueError:
                return None

    def is_as_written(self, records: Records) -> bool:
        """Whether everything on record exists and is unchanged."""
        return records.keys() <= self._kinds.keys() and all(
            self._is_folder_as_written(name, record)
            if self._store.kind(name) == "folder"
            else self._is_file_as_written(name, record)
            for name, record in records.items()
        )

    def _is_file_as_written(self, name: str, record: FileRecord) -> bool:
        try:
            return self._store.kind(name) == "file" and self._store.matches(name, [record])
        except OSError:  # its name is too long, or goes through a file
            return False

    def _is_folder_as_written(self, name: str, record: FileRecord) -> bool:
        listed = self._listed(name)
        return (
            listed is not None
            and self._store.matches(f"{name}/{MARK_FILE}", [record])
            and all(self._is_file_as_written(f"{name}/{file}", listed[file]) for file in listed)
        )

    def is_in_place(self, name: str) -> bool:
        """Whether a folder was put in place by this run, before it was stopped."""
        mark = f"{name}/{MARK_FILE}"
        if name not in self._noted or self._store.kind(mark) != "file":
            return False
        return self._store.matches(mark, [self._noted[name]])

    def folders_in_place(self) -> list[str]:
        """Return the folders that were put in place by this run, before it was stopped."""
        folders = [name for name, kind in self._kinds.items() if kind == "folder"]
        return [name for name in folders if self.is_in_place(name)]

    def records(self, folder: str) -> Records:
        """Return sizes and digests of all files of a folder."""
        names = self._store.names(folder)
        return {name: self._store.record(f"{folder}/{name}") for name in names}

    def clear_folder(self, folder: str) -> None:
        """Remove a folder of the parts folder.

        Raises:
            OutputExistsError: a file is in it that no run writes; that stays.
        """
        paths = [f"{folder}/{name}" for name in self._store.names(folder)]
        for path in paths:
            if not is_part(path.removeprefix(f"{self._parts}/")):
                raise OutputExistsError(
                    f"{self.path(path)} isn't a file that this command wrote: move it away"
                )
        for path in paths:
            self._store.remove(path)
        self._store.remove_folder(folder)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file that gets its name once it is complete, if the name is still free or ours."""

        def before(record: FileRecord) -> None:
            self._check(name)
            self._note(name, record)

        with self._store.writing(name, folder=self._parts, before=before) as file:
            yield file

    def _note(self, name: str, record: FileRecord) -> None:
        self.written[name] = record
        self._noted[name] = record
        self.know({name: record})
        with self._store.writing(self._own_records) as file:
            file.write(seal(self._noted))

    def move_folder(self, made: str, name: str, records: Records) -> None:
        """Mark a folder of the parts folder, and replace an earlier one with it.

        May be called again after a crash, when the folder has been moved already.

        Args:
            made: name of the folder.
            name: that it gets.
            records: of what has been written to it, by the names in it.
        """
        if not self._store.names(made):
            if not self.is_in_place(name):
                raise OSError(f"{made} is gone: give the same command again")
            self.written[name] = self._noted[name]
            return
        for missing in sorted(records.keys() - {*self._store.names(made)}):
            if not self.is_in_place(name):
                raise OSError(f"{made}/{missing} is gone: give the same command again")
            self._store.move(f"{name}/{missing}", f"{made}/{missing}")
        new = f"{made}/{MARK_FILE}"
        with self._store.writing(new, before=lambda record: self._note(name, record)) as file:
            file.write(seal({"files": records}))
        self._check(name)
        if self._store.kind(name):
            # Comparing took time, in which something may have appeared; that stays.
            for inside in self._names_of(name, self._listed(name) or ()):
                self._store.remove(f"{name}/{inside}")
            self._names_of(name, ())
            self._remove_earlier()
            # With its mark: without one a folder is nobody's, should the run be killed here.
            self._store.move(name, self._earlier)
        self._store.move(made, name)
        self._remove_earlier()

    def _remove_earlier(self) -> None:
        self._store.remove(f"{self._earlier}/{MARK_FILE}")
        self._store.remove_folder(self._earlier)
