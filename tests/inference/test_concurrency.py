"""One model in many threads, in other processes, after a fork; blocks of any size."""

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp import Model, Spotter, Stream


def test_many_threads_use_one_model(model, noise) -> None:
    sounds = [noise(1, 8_000 + 997 * i, seed=i) for i in range(24)]
    expected = [model.scene_embeddings(sound) for sound in sounds]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(model.scene_embeddings, sounds))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pickled_model_computes_the_same(model, noise) -> None:
    audio = noise(1, 20_000)
    again = pickle.loads(pickle.dumps(model))
    assert (again.name, again.device, again.threads) == (model.name, model.device, model.threads)
    assert again.metadata == model.metadata
    np.testing.assert_array_equal(again.scene_embeddings(audio), model.scene_embeddings(audio))


def test_deep_copy(model, noise) -> None:
    audio = noise(1, 20_000)
    np.testing.assert_array_equal(
        copy.deepcopy(model).scene_embeddings(audio), model.scene_embeddings(audio)
    )


def embed_elsewhere(model: Model, audio: np.ndarray) -> tuple[int, np.ndarray]:
    return os.getpid(), model.scene_embeddings(audio)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_worker_processes(model, noise, method: str) -> None:
    audio = noise(1, 20_000)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pid, found = pool.submit(embed_elsewhere, model, audio).result(timeout=60)
    assert pid != os.getpid()
    np.testing.assert_array_equal(found, model.scene_embeddings(audio))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_after_a_fork_in_the_middle_of_work(kwmlp, noise) -> None:
    """The child has the model from memory, while other threads of the parent are computing."""
    audio = noise(2, 40_000)
    expected = kwmlp.scene_embeddings(audio)
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            kwmlp.scene_embeddings(audio)

    threads = [threading.Thread(target=keep_busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                same = np.array_equal(kwmlp.scene_embeddings(audio), expected)
                os._exit(0 if same else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    np.testing.assert_array_equal(kwmlp.scene_embeddings(audio), expected)


def test_threads_that_outlive_the_main_thread_go_on(checkpoints) -> None:
    """Python starts no new threads then; a server's own thread still has to get its answers."""
    code = f"""
import threading, time
import numpy as np
import hearaudiomlp
model = hearaudiomlp.load_model({str(checkpoints["audiomae"])!r}, threads=2)
def serve():
    threading.main_thread().join()
    time.sleep(0.2)
    print(model.scene_embeddings(np.zeros((1, 50_000), np.float32)).shape)
threading.Thread(target=serve).start()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "(1, 1584)\n", done.stderr


@settings(deadline=None, max_examples=40)
@given(data=st.data(), n=st.integers(1, 17))
def test_a_window_does_not_depend_on_its_block(model, data: st.DataObject, n: int) -> None:
    """Blocks are scheduled freely, so a window has to give the same bits in every one."""
    windows = 0.1 * np.random.default_rng(1).standard_normal((17, 16000)).astype(np.float32)
    alone = _alone(model, windows)
    chosen = data.draw(st.lists(st.integers(0, 16), min_size=n, max_size=n))
    together = model.encode(windows[chosen])
    for output, values in together.items():
        np.testing.assert_array_equal(values, alone[output][chosen])


_cache: dict[str, dict[str, np.ndarray]] = {}


def _alone(model: Model, windows: np.ndarray) -> dict[str, np.ndarray]:
    if model.name not in _cache:
        results = [model.encode(window[None]) for window in windows]
        _cache[model.name] = {
            output: np.concatenate([result[output] for result in results]) for output in results[0]
        }
    return _cache[model.name]


def test_the_sounds_of_a_batch_do_not_touch_each_other(model, noise) -> None:
    audio = noise(5, 33_000)
    together = model.embeddings(audio)
    for row in range(5):
        alone = model.embeddings(audio[row : row + 1])
        for field in ("timestamp_embeddings", "scene_embeddings"):
            np.testing.assert_array_equal(getattr(together, field)[row], getattr(alone, field)[0])


@pytest.mark.parametrize("kind", [Spotter, Stream])
def test_threads_that_push_to_one_sound_take_turns(kwmlp, kind, monkeypatch) -> None:
    computing, go, encode = threading.Event(), threading.Event(), kwmlp.encode

    def slowly(*arguments):
        computing.set()
        go.wait()
        return encode(*arguments)

    monkeypatch.setattr(kwmlp, "encode", slowly)
    live = kind(kwmlp)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(live.push, np.full(16_000, 0.1, np.float32))
        computing.wait()
        second = pool.submit(live.push, np.full(100, 0.1, np.float32))  # completes no window
        try:
            with pytest.raises(TimeoutError):
                second.result(0.2)
        finally:
            go.set()
        first.result(), second.result()
    assert live.n_samples == 16_100


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_while_another_thread_has_its_turn(kwmlp) -> None:
    spotter = Spotter(kwmlp)
    taken, done = threading.Event(), threading.Event()

    def take() -> None:
        with spotter._turns:
            taken.set()
            done.wait()

    thread = threading.Thread(target=take)
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends it if it waits
        os._exit(len(spotter.push(np.zeros(100, np.float32))))
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert status == 0
