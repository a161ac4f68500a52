"""Blocks and threads."""

import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp.inference import cpus
from hearaudiomlp.inference.thread_pool import ThreadPool, _Round, split


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


def test_many_callers_share_one_team() -> None:
    team, done = ThreadPool(3), []
    callers = [threading.Thread(target=team.run, args=(done.append, 50)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
    assert sorted(done) == sorted(list(range(50)) * 8)


def test_a_container_quota_limits_the_threads(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cpus, "_CGROUP", tmp_path)
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert cpus.usable_cpus() == 64
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cpus.usable_cpus() == 2
    (tmp_path / "cpu.max").write_text("20000 100000\n")
    assert cpus.usable_cpus() == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cpus.usable_cpus() == 64


def test_helpers_that_come_too_late_do_no_harm() -> None:
    begun, go = threading.Event(), threading.Event()

    def task(_: int) -> None:
        begun.set()
        assert go.wait(10)

    work = _Round(task, 1)
    helper, waiter = (threading.Thread(target=call) for call in (work.work, work.finish))
    helper.start()
    assert begun.wait(10)
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive()  # the helper isn't done
    go.set()
    for thread in (helper, waiter):
        thread.join(10)
        assert not thread.is_alive()
    for _ in range(3):
        work.work()


def test_the_process_ends_when_helpers_are_out_of_their_blocks() -> None:
    """Ctrl-C may leave a round, and its model, while a helper is at work."""
    code = """
import threading, time
from hearaudiomlp.inference.thread_pool import Team, _Round
begun = threading.Event()
def task(number):
    begun.set()
    time.sleep(0.3)
    print("out", flush=True)
team = Team(2)
team._start_helpers(1)
team._rounds.put(_Round(task, 1))
begun.wait()
del team
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "out\n"
