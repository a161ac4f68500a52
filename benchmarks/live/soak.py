"""Whether memory, descriptors and threads stay level: hours of ``listen``, ``embed``, and loads.

    python benchmarks/live/soak.py listen --minutes 60 [--fast]
    python benchmarks/live/soak.py embed --minutes 60 [--pause 1]
    python benchmarks/live/soak.py loads --count 10000

``listen`` feeds the command's standard input with ``samples/words.flac`` again and again, in real
time or, with ``--fast``, as fast as it reads. ``embed`` runs the command in this process on
``samples`` and an unreadable file until the time is over, pausing after each run, and compares each
table with the first. ``loads`` loads both encoders from checkpoints and model files, embeds a
second and drops the model. A row is what the process had at that moment; the last line compares
the largest memory after the first tenth with the largest at the end.
"""

import argparse
import contextlib
import gc
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import psutil

import hearaudiomlp
from hearaudiomlp import cli
from hearaudiomlp.spec import SAMPLE_RATE

_ROOT = Path(__file__).resolve().parents[2]
_PIECE_S = 0.1


@dataclass
class Watch:
    """What a process holds, looked at from time to time."""

    process: psutil.Process
    of: str
    """What is counted beside it."""
    every: float
    """Share of the whole after which a row is printed."""
    rows: list[tuple[float, float, int, int]] = field(default_factory=list)
    """Share of the whole, MB, descriptors and threads."""
    _start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Print the head of the table."""
        print(f"| minutes | {self.of} | memory, MB | descriptors | threads | CPU |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)

    def look(self, share: float, done: str) -> None:
        """Note a row; print it if the last one printed is long enough ago."""
        memory = self.process.memory_info().rss / 1e6
        row = (share, memory, self.process.num_fds(), self.process.num_threads())
        self.rows.append(row)
        if len(self.rows) > 1 and share // self.every == self.rows[-2][0] // self.every:
            return
        elapsed = time.monotonic() - self._start
        used = self.process.cpu_times()
        cpu = (used.user + used.system) / max(elapsed, 1e-9)
        print(
            f"| {elapsed / 60:.1f} | {done} | {memory:.1f} | {row[2]} | {row[3]} | {cpu:.1%} |",
            flush=True,
        )

    def verdict(self) -> str:
        """Compare the end with the time just after the start."""
        early = [row for row in self.rows if 0.05 <= row[0] <= 0.15] or self.rows[:1]
        late = [row for row in self.rows if row[0] >= 0.9]
        parts = [
            f"{name} {max(row[at] for row in early):.{digits}f} -> "
            f"{max(row[at] for row in late):.{digits}f}"
            for at, name, digits in ((1, "memory, MB", 1), (2, "descriptors", 0), (3, "threads", 0))
        ]
        return "largest at 5-15 % and at 90-100 % of the time: " + "; ".join(parts)


def _pieces() -> Iterator[bytes]:
    """Yield the sample recording's pieces without end, as 16-bit PCM at 16 kHz."""
    samples = hearaudiomlp.read_audio(_ROOT / "samples" / "words.flac").samples
    pcm = (32767 * samples.ravel().clip(-1, 1)).astype("<i2")
    size = round(_PIECE_S * SAMPLE_RATE)
    for number in count():
        yield np.take(pcm, range(number * size, (number + 1) * size), mode="wrap").tobytes()


def listen(minutes: float, *, fast: bool) -> str:
    """Feed the command; return the verdict."""
    command = [sys.executable, "-m", "hearaudiomlp", "listen", "--stdin", "--json"]
    listening = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert listening.stdin is not None
    assert listening.stdout is not None
    words: list[str] = []
    output = listening.stdout
    reader = threading.Thread(
        target=lambda: words.extend(json.loads(line)["word"] for line in output)
    )
    reader.start()
    watch = Watch(psutil.Process(listening.pid), "minutes of audio, words", 1 / 12)
    total = round(60 * minutes / _PIECE_S)
    start = time.monotonic()
    for number, piece in zip(range(total), _pieces(), strict=False):
        if not fast:
            due = start + (number + 1) * _PIECE_S
            time.sleep(max(0.0, due - time.monotonic()))
        listening.stdin.write(piece)
        listening.stdin.flush()
        if number % max(1, total // 120) == 0 or number == total - 1:
            minute = (number + 1) * _PIECE_S / 60
            watch.look((number + 1) / total, f"{minute:.0f}, {len(words):,}")
    listening.stdin.close()
    reader.join()
    return f"exit code {listening.wait()}, {len(words):,} words; {watch.verdict()}"


def embed(minutes: float, pause: float) -> str:
    """Run the command in this process again and again; return the verdict."""
    first = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for sample in (_ROOT / "samples").glob("*.flac"):
            shutil.copy(sample, folder / "in")
        (folder / "in" / "broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
        watch = Watch(psutil.Process(), "tables", 1 / 12)
        start = time.monotonic()
        for number in count(1):
            table = folder / "out" / "table.npz"
            table.parent.mkdir()
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                options = ["-o", str(table), "--kind", "both", "--threads", "2"]
                code = cli.main(["embed", str(folder / "in"), *options])
            digest = hashlib.sha256(table.read_bytes()).hexdigest()
            first = first or (code, digest, sorted(p.name for p in table.parent.iterdir()))
            if (code, digest, sorted(p.name for p in table.parent.iterdir())) != first:
                raise SystemExit(f"run {number} differs: {code}, {[*table.parent.iterdir()]}")
            shutil.rmtree(table.parent)
            share = (time.monotonic() - start) / (60 * minutes)
            watch.look(min(share, 1), f"{number:,}")
            if share >= 1:
                return f"{number:,} equal tables, exit code {code} each; {watch.verdict()}"
            time.sleep(pause)
    raise AssertionError


def loads(number: int) -> str:
    """Load, use and drop models; return the verdict."""
    files = [
        _ROOT / folder / name
        for folder, name in (
            ("checkpoints", "kwmlp.pth"),
            ("onnx_models", "kwmlp.onnx"),
            ("checkpoints", "audiomae.pth"),
            ("onnx_models", "audiomae-pipeline.onnx"),
        )
    ]
    second = (0.1 * np.random.default_rng(0).standard_normal((1, SAMPLE_RATE))).astype(np.float32)
    watch = Watch(psutil.Process(), "loads", 1 / 10)
    for done in range(number):
        model = hearaudiomlp.load_model(files[done % len(files)], device="cpu", threads=2)
        model.embeddings(second)
        del model
        if (done + 1) % max(1, number // 100) == 0:
            gc.collect()
            watch.look((done + 1) / number, f"{done + 1:,}")
    return watch.verdict()


def main() -> None:
    """Print a table and one line of result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("listen", "embed", "loads"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--fast", action="store_true", help="listen: not in real time")
    parser.add_argument("--pause", type=float, default=1.0, help="embed: seconds between runs")
    parser.add_argument("--count", type=int, default=10_000, help="loads")
    options = parser.parse_args()
    if options.what == "listen":
        result = listen(options.minutes, fast=options.fast)
    elif options.what == "embed":
        result = embed(options.minutes, options.pause)
    else:
        result = loads(options.count)
    print(f"\n{result}")


if __name__ == "__main__":
    main()
