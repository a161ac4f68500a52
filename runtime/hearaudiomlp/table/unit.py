"""Units of files, embedded and written: the same work on this machine and on a cluster."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

from hearaudiomlp.embed import Embedded, Failed, embed_files
from hearaudiomlp.errors import AudioFileChangedError
from hearaudiomlp.model import Model
from hearaudiomlp.storage.remote import is_url
from hearaudiomlp.storage.store import Store
from hearaudiomlp.table.find import Entry, look
from hearaudiomlp.table.formats.base import Format
from hearaudiomlp.table.job import Account, Failure, Job, OnFile, Row

_FINISHING = 2
"""Units that may wait for the disk."""


@dataclass(frozen=True)
class Work:
    """A unit with all that it takes to do it anywhere but the model. Can be pickled."""

    job: Job
    store: Store
    format: Format
    index: int
    first: int
    """Number of its first file."""

    entries: Sequence[Entry]
    stop_at_failure: bool


def _checked(result: Embedded | Failed, entry: Entry) -> Embedded | Failed:
    """Turn a file that was written to since it was found into a failure."""
    # Asking a server once more for each file would cost a round trip, and what was fetched was one
    # version of it.
    if entry.size < 0 or is_url(entry.path) or look(entry.path) == entry:
        return result
    if isinstance(result, Embedded):
        result.close()
    problem = AudioFileChangedError(f"{entry.path}: has changed since this run began")
    return Failed(entry.path, problem)


def _as_text(path: str) -> str:
    """Write bytes of a path that are no text as backslash escapes."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _embed(
    work: Work, results: Iterator[Embedded | Failed], stack: ExitStack, on_file: OnFile
) -> Account:
    """Take the results of a unit's files and write them; its files are closed by the stack."""
    account = Account([], [])
    sink = work.format.sink(work.job, work.store, work.index, stack)
    own = zip(work.entries, itertools.islice(results, len(work.entries)), strict=True)
    for number, (entry, found) in enumerate(own, work.first):
        result = _checked(found, entry)
        path = _as_text(entry.path)
        if isinstance(result, Failed):
            if work.stop_at_failure:
                raise result.problem
            failure = Failure(number, path, type(result.problem).__name__, str(result.problem))
            account.failed.append(failure)
            on_file(failure)
            continue
        row = Row(
            number,
            path,
            result.duration,
            result.sample_rate,
            result.channels,
            result.n_timestamps,
        )
        sink.add(row, result)
        result.close()
        account.rows.append(row)
        on_file(row)
    return account


def _finish(work: Work, account: Account, files: ExitStack) -> Account:
    """Give a unit's files their names, and write its account last."""
    files.close()
    with work.store.writing(work.job.account_name(work.index)) as file:
        file.write(account.to_json())
    return account


def do_units(units: Iterable[Work], model: Model, on_file: OnFile) -> Iterator[tuple[int, Account]]:
    """Embed the files of units and write what belongs to them.

    The threads that compute don't wait between two units: the files of the next one are decoded
    meanwhile, and another thread waits for the disk. A unit may be done twice, even at the same
    time: the same files come out.

    Returns:
        Number and account of each unit, when it is on disk; in order.

    Raises:
        AudioFileError: a file can't be read, and the run is to stop there.
        AudioFileNotFoundError: likewise.
        DeviceError: the device failed.
        OSError: the files can't be written.
    """
    ahead, units = itertools.tee(units)
    paths = (entry.path for work in ahead for entry in work.entries)
    finishing: deque[tuple[int, Future[Account]]] = deque()

    def finished(allowed: int) -> Iterator[tuple[int, Account]]:
        while finishing and (len(finishing) > allowed or finishing[0][1].done()):
            index, future = finishing.popleft()
            yield index, future.result()

    with ThreadPoolExecutor(1) as finisher, closing(embed_files(paths, model)) as results:
        for work in units:
            with ExitStack() as stack:
                account = _embed(work, results, stack, on_file)
                files = stack.pop_all()
            finishing.append((work.index, finisher.submit(_finish, work, account, files)))
            yield from finished(_FINISHING)
        yield from finished(0)


def do_unit(work: Work, model: Model, on_file: OnFile) -> Account:
    """Do a single unit: see :func:`do_units`."""
    [(_, account)] = do_units([work], model, on_file)
    return account
