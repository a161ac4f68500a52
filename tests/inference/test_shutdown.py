"""Threads and finalizers that compute while Python ends."""

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import threading, time
import numpy as np
import hearaudiomlp
model = hearaudiomlp.load_model({path!r}, threads=2)
sound = np.zeros((1, 200_000), np.float32)
"""
DAEMONS = """
def compute():
    while True:
        model.scene_embeddings(sound)
for _ in range(4):
    threading.Thread(target=compute, daemon=True).start()
time.sleep(0.3)
print("the end")
"""
LOADING = """
def load():
    while True:
        hearaudiomlp.load_model({path!r})
for _ in range(4):
    threading.Thread(target=load, daemon=True).start()
time.sleep(0.3)
print("the end")
"""
FINALIZER = """
class Last:
    def __init__(self):
        self.model, self.sound = model, sound
    def __del__(self):  # the first use of the model, when nothing can be imported any more
        print("the end", self.model.embeddings(self.sound).scene_embeddings.shape)
        print(self.model.keyword_logits(self.sound[:, :16_000]).shape)
last = Last()
"""
AT_EXIT = """
import atexit
atexit.register(lambda: print("the end", model.scene_embeddings(sound).shape))
"""
FORKED = """
import os
thread = threading.Thread(target=lambda: [model.scene_embeddings(sound) for _ in range(20)])
thread.start()
time.sleep(0.05)
child = os.fork()
if not child:
    raise SystemExit(0)  # nothing that its parent computes holds it up
assert os.waitpid(child, 0)[1] == 0
thread.join()
print("the end")
"""


@pytest.mark.parametrize(
    "code", [DAEMONS, LOADING, FINALIZER, AT_EXIT, FORKED], ids=lambda code: code.split()[1]
)
def test_the_end_of_python_is_no_abort(checkpoints: dict[str, Path], code: str) -> None:
    whole = (BEGIN + code).format(path=str(checkpoints["kwmlp"]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", whole],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the end")
