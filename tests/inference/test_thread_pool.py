"""Blocks and threads."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp.inference import thread_pool
from hearaudiomlp.inference.thread_pool import ThreadPool, split, usable_cpus


@given(count=st.integers(1, 500), threads=st.integers(1, 9), block=st.integers(1, 40))
def test_blocks_cover_everything_once_in_order(count: int, threads: int, block: int) -> None:
    blocks = split(count, threads, block)
    assert [i for start, stop in blocks for i in range(start, stop)] == list(range(count))
    assert max(stop - start for start, stop in blocks) <= block
    assert len(blocks) >= min(count, threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_every_task_runs_once(threads: int, count: int) -> None:
    done: list[int] = []
    ThreadPool(threads).run(done.append, count)
    assert sorted(done) == list(range(count))


def test_two_threads_work_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def task(_: int) -> None:
        meeting.wait()  # a single thread would wait for ever

    ThreadPool(2).run(task, 2)


def test_only_the_first_clip_of_a_process_does_without_threads() -> None:
    code = """
import sys
from threading import current_thread
from hearaudiomlp.inference.thread_pool import ThreadPool
pool, found = ThreadPool(2), []
pool.run(lambda _: found.append(current_thread().name), 2)
assert found == ["MainThread"] * 2
assert "concurrent.futures" not in sys.modules
pool.run(found.append, 2)
assert "concurrent.futures" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_error_is_raised_and_stops_the_rest() -> None:
    begun: list[int] = []

    def task(number: int) -> None:
        begun.append(number)
        time.sleep(0.001)
        if number == 3:
            raise ZeroDivisionError(number)

    with pytest.raises(ZeroDivisionError):
        ThreadPool(2).run(task, 1000)
    assert len(begun) < 20


def test_many_callers_share_one_pool() -> None:
    pool, done = ThreadPool(3), []
    callers = [threading.Thread(target=pool.run, args=(done.append, 50)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
    assert sorted(done) == sorted(list(range(50)) * 8)


def test_a_container_quota_limits_the_threads(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(thread_pool, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert usable_cpus() == 64
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert usable_cpus() == 2
    (tmp_path / "cpu.max").write_text("20000 100000\n")
    assert usable_cpus() == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cpus() == 64


def test_a_caller_does_not_wait_for_workers_that_are_busy_elsewhere() -> None:
    pool, go, done = ThreadPool(2), threading.Event(), []
    busy = [pool.submit(go.wait, 30) for _ in range(2)]
    pool.run(done.append, 5)
    assert done == [0, 1, 2, 3, 4]
    go.set()
    assert all(future.result() for future in busy)


def test_a_caller_waits_for_the_others_after_an_error() -> None:
    meeting, done = threading.Barrier(2, timeout=10), []

    def task(number: int) -> None:
        meeting.wait()
        if number == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(ZeroDivisionError):
        ThreadPool(2).run(task, 2)
    assert done == [1]


def test_errors_leave_no_cycles() -> None:
    meeting = threading.Barrier(2, timeout=10)

    class Kept:
        pass

    def task(number: int) -> None:
        kept.append(weakref.ref(mine := Kept()))
        meeting.wait()
        raise ZeroDivisionError(mine)

    pool, kept = ThreadPool(2), []
    gc.disable()
    try:
        for _ in range(3):
            with contextlib.suppress(ZeroDivisionError):
                pool.run(task, 2)
        pool.run(lambda _: meeting.wait(), 2)  # its workers release the last task
        assert [ref() for ref in kept] == [None] * 6
    finally:
        gc.enable()


def test_a_pool_that_is_no_more_ends_its_threads() -> None:
    """Counts its own threads only: those of pools before it may end at the same moment."""
    pool = ThreadPool(3)
    worker = pool.submit(threading.current_thread).result()
    assert worker is not threading.current_thread()
    assert worker.is_alive()
    del pool
    worker.join(10)
    assert not worker.is_alive()


def test_the_process_ends_when_workers_are_out_of_their_blocks() -> None:
    """Ctrl-C may leave a call, and its model, while a worker is in the middle of a block."""
    code = """
import threading, time
from hearaudiomlp.inference.thread_pool import ThreadPool
begun = threading.Event()
def task():
    begun.set()
    time.sleep(0.3)
    print("out", flush=True)
pool = ThreadPool(2)
pool.submit(task)
begun.wait()
del pool
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "out\n"
