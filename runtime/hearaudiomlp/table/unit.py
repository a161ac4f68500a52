"""One unit of files, embedded and written: the same work on this machine and on a cluster."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from hearaudiomlp.embed import Embedded, Failed, embed_files
from hearaudiomlp.errors import AudioFileChangedError
from hearaudiomlp.model import Model
from hearaudiomlp.npz import as_text
from hearaudiomlp.remote import is_url
from hearaudiomlp.table.formats.base import Format
from hearaudiomlp.table.job import Account, Failure, Job, OnFile, Row
from hearaudiomlp.table.sources import Entry, look
from hearaudiomlp.table.store import Store


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


def do_unit(work: Work, model: Model, on_file: OnFile | Callable[..., None]) -> Account:
    """Embed the files of a unit and write what belongs to it, its account last.

    It may be done twice, even at the same time: the same files come out.

    Raises:
        AudioFileError: a file can't be read, and the run is to stop there.
        AudioFileNotFoundError: likewise.
        DeviceError: the device failed.
        OSError: the files can't be written.
    """
    account = Account([], [])
    paths = [entry.path for entry in work.entries]
    with ExitStack() as stack:
        sink = work.format.sink(work.job, work.store, work.index, stack)
        results = zip(work.entries, embed_files(paths, model), strict=True)
        for number, (entry, found) in enumerate(results, work.first):
            result = _checked(found, entry)
            path = as_text(entry.path)
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
    with work.store.writing(work.job.account_name(work.index)) as file:
        file.write(account.to_json())
    return account
