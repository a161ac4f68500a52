"""Shards computed by the workers of a Dask cluster (extra ``[dask]``).

Each worker process has one model, which its threads share, each computing on itself alone. A few
shards more than there are threads are handed out at a time, so that neither the scheduler nor this
process collects work. Shards are written where they belong by the worker that did them; doing one
again, because its worker died, writes the same files once more.
"""

import logging
import multiprocessing.util
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import (
    ClusterError,
    DeviceError,
    HearAudioMLPError,
    needs_extra,
)
from hearaudiomlp.inference.thread_pool import usable_cpus
from hearaudiomlp.model import Model
from hearaudiomlp.storage.atomic import temporary_name
from hearaudiomlp.storage.ownership import MARK_FILE
from hearaudiomlp.storage.stopping import blocking, changing, start_tracker, stop, when_stopped
from hearaudiomlp.table.job import OnFile, ShardManifest, read_rows
from hearaudiomlp.table.run import Workers
from hearaudiomlp.table.unit import ShardTask, embed_shards

with needs_extra("dask", "a cluster needs Dask's distributed"):
    import dask
    import distributed

_PLUGIN = "hearaudiomlp"
_AHEAD = 2
"""Shards submitted for each thread: one that is computed and one that waits."""

_RETRIES = 3

_PATIENCE = 5.0
"""Seconds that a worker has to remove its temporary files."""


class _ModelPlugin(distributed.WorkerPlugin):  # type: ignore[misc]
    """Loads the model in every worker process, as soon as it joins."""

    name = _PLUGIN
    idempotent = False

    def __init__(self, model: Model, *, local: bool) -> None:
        """Take the model for the workers; it is sent as a pickle."""
        self._local = local
        self._device = model.device.partition(":")[0]
        self._model = model.with_threads(1)

    def setup(self, worker: Any) -> None:
        """Keep the model with the worker; it opened its session when it was unpickled."""
        worker.hearaudiomlp_model = self._model
        if self._local and threading.current_thread() is threading.main_thread():
            # A terminal's signals go to its whole group; the process started by hand ends this one.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, _stop)
            if hasattr(os, "setpgid"):  # not on Windows
                os.setpgid(0, 0)
        device = self._model.device.partition(":")[0]
        if device != self._device:
            raise DeviceError(
                f"the worker {worker.address} computes on {device} and this run on {self._device}: "
                "give --device"
            )

    def teardown(self, worker: Any) -> None:
        """Drop the model."""
        worker.hearaudiomlp_model = None


def _stop(number: int, _: FrameType | None) -> None:
    try:
        stop()
    finally:
        os._exit(128 + number)


def _do_on_worker(task: ShardTask) -> ShardManifest:
    worker: Any = distributed.get_worker()
    if task.store.kind(f"{task.spec.parts}/{MARK_FILE}") != "file":
        raise ClusterError(
            f"the worker {worker.address} doesn't see {task.spec.parts} where this process wrote "
            "it: the table has to be on storage that all of them share, or a URL"
        )
    [(_, manifest)] = embed_shards([task], worker.hearaudiomlp_model, lambda _: None)
    return manifest


@contextmanager
def cluster(
    model: Model, scheduler: str | None = None, workers: int | None = None
) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine, and give its workers the model.

    Args:
        model: what computes.
        scheduler: address of a scheduler; without it, processes of this machine do the work.
        workers: number of these processes; all usable CPUs, if not given.

    Returns:
        The client.

    Raises:
        ClusterError: the scheduler can't be reached.
        MissingPackageError: the extra ``[dask]`` isn't installed.

    Examples:
        >>> from hearaudiomlp.table.cluster import cluster, on_cluster
        >>> with cluster(model, workers=8) as client:  # doctest: +SKIP
        ...     for shard, manifest in run.work(on_cluster(client)):
        ...         print(f"shard {shard.index}: {manifest.embedded} files")
    """
    local = None
    with ExitStack() as stack:
        try:
            if scheduler is None:
                stack.enter_context(_scratch())
                stack.enter_context(when_stopped(lambda: _end_workers(local)))
                local = distributed.LocalCluster(
                    n_workers=workers or usable_cpus(),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=50,
                    loop=stack.enter_context(_loop()),
                )
            client = distributed.Client(local or scheduler, timeout="30s")
        except Exception as problem:  # each kind of address has errors of its own
            reason = shorten(problem, 300)
            if scheduler is None:
                raise ClusterError(f"the workers can't be started ({reason})") from problem
            raise ClusterError(f"there is no Dask scheduler at {scheduler} ({reason})") from problem
        try:
            client.register_plugin(_ModelPlugin(model, local=local is not None), name=_PLUGIN)
            yield client
        finally:
            client.close()
            if local is not None:
                local.close()


@contextmanager
def _scratch() -> Iterator[None]:
    """Have Dask put what is its own into a folder that goes with the cluster.

    It would be left in the folder for temporary files, also after a run that nothing has stopped.
    """
    with temporary_name(Path(tempfile.gettempdir()), "hearaudiomlp") as folder:

        def remove() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        with when_stopped(remove), dask.config.set(temporary_directory=str(folder)):
            try:
                with changing():
                    folder.mkdir(0o700)
                yield
            finally:
                remove()


@contextmanager
def _loop() -> Iterator[Any]:
    """Return the loop of a cluster on this machine, whose thread starts the workers."""
    start_tracker()
    runner = distributed.utils.LoopRunner()
    with blocking(signal.SIGINT):
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


def _end_workers(local: Any) -> None:
    """End the processes of a cluster on this machine; they remove their temporary files."""
    logging.disable()  # Dask would report each of them, with a traceback
    for nanny in local.workers.values() if local is not None else ():
        nanny.status = distributed.Status.closing  # it would start another worker
    # Those of semaphores, which would be reported as lost.
    multiprocessing.util._run_finalizers()  # type: ignore[attr-defined]
    end = time.monotonic() + _PATIENCE
    # Another thread may just be starting some.
    while (processes := multiprocessing.active_children()) and time.monotonic() < end:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))


def on_cluster(client: Any) -> Workers:
    """Return workers that are those of a cluster.

    Examples:
        >>> from hearaudiomlp.table.cluster import cluster, on_cluster
        >>> with cluster(model, "tcp://scheduler:8786") as client:  # doctest: +SKIP
        ...     manifests = list(run.work(on_cluster(client)))
    """

    def task(shards: Iterable[ShardTask], on_file: OnFile) -> Iterator[tuple[int, ShardManifest]]:
        waiting = iter(shards)
        tasks: dict[Any, ShardTask] = {}
        results = distributed.as_completed()

        def hand_out() -> None:
            allowed = _AHEAD * max(1, sum(client.nthreads().values()))
            while len(tasks) < allowed:
                shard = next(waiting, None)
                if shard is None:
                    return
                future = client.submit(_do_on_worker, shard, pure=False, retries=_RETRIES)
                tasks[future] = shard
                results.add(future)

        hand_out()
        for future in results:
            shard = tasks.pop(future)
            try:
                manifest = future.result()
            except HearAudioMLPError:
                raise
            except distributed.KilledWorker as problem:
                raise ClusterError(
                    f"shard {shard.index} was given up, because the workers that had it died: "
                    f"{problem}"
                ) from problem
            except CancelledError as problem:
                raise ClusterError(
                    f"shard {shard.index} was given up: the scheduler has gone, or cancelled it"
                ) from problem
            rows = chain.from_iterable(read_rows(shard.store, shard.spec, shard.index))
            for result in chain(rows, manifest.failed):
                on_file(result)
            yield shard.index, manifest
            hand_out()

    return task
