"""``hearaudiomlp listen`` on a recording in real time: when each word appears, and the CPU's share.

    python benchmarks/live/latency.py CHECKPOINT [--seconds 600] [--threshold P] [--json OUT.json]
    python benchmarks/live/latency.py CHECKPOINT --sink NAME --microphone NAME

The recording is that of ``recording.py``. It goes to the command's standard input in pieces of
20 ms, each when it would have been captured; with ``--sink`` it is played into that sink of
PulseAudio, and the command listens to ``--microphone``, a capture device that hears the sink. The
share of the CPU is the process's user and system time, start included, over the audio's length.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from recording import Spoken, make

from hearaudiomlp.keywords import THRESHOLD
from hearaudiomlp.spec import SAMPLE_RATE

_PIECE_S = 0.02
_LIMIT_S = 1.5


@dataclass
class Appearance:
    """A word that was printed."""

    word: str
    start: float
    seconds: float
    """Since the first sample was sent."""


def _read(lines: IO[str], start: list[float], found: list[Appearance]) -> None:
    for line in lines:
        now = time.monotonic()
        hit = json.loads(line)
        found.append(Appearance(hit["word"], hit["start"], now - start[0]))


def _feed(pipe: IO[bytes], samples: np.ndarray, start: list[float]) -> None:
    size = round(_PIECE_S * SAMPLE_RATE)
    start[0] = time.monotonic()
    for at in range(0, len(samples), size):
        end = min(at + size, len(samples)) / SAMPLE_RATE  # captured only then
        time.sleep(max(0.0, start[0] + end - time.monotonic()))
        pipe.write(samples[at : at + size].tobytes())
        pipe.flush()


def _measure(
    options: argparse.Namespace, samples: np.ndarray
) -> tuple[list[Appearance], float, float]:
    """Return what appeared, and the CPU seconds at the start and in all."""
    command = [sys.executable, "-m", "hearaudiomlp", "listen", "--model", options.checkpoint]
    command += ["--json", "--threshold", str(options.threshold)]
    live = ["--microphone", options.microphone] if options.sink else ["--stdin"]
    listening = subprocess.Popen(
        [*command, *live], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
    )
    assert listening.stdin is not None
    assert listening.stdout is not None
    found: list[Appearance] = []
    start = [0.0]
    lines = open(listening.stdout.fileno(), encoding="utf-8", closefd=False)  # noqa: SIM115
    reader = threading.Thread(target=_read, args=(lines, start, found))
    time.sleep(3)  # loaded by then
    idle = _cpu_seconds(listening.pid)
    reader.start()
    if options.sink:
        player = ["pacat", "--playback", "--raw", "--format=s16le", f"--rate={SAMPLE_RATE}"]
        player += ["--channels=1", "--latency-msec=40", f"--device={options.sink}"]
        playing = subprocess.Popen(player, stdin=subprocess.PIPE)
        assert playing.stdin is not None
        _feed(playing.stdin, samples, start)
        playing.stdin.close()
        playing.wait()
        time.sleep(2)
        listening.send_signal(2)
    else:
        _feed(listening.stdin, samples, start)
        listening.stdin.close()
    _, _, usage = os.wait4(listening.pid, 0)
    reader.join()
    return found, idle, usage.ru_utime + usage.ru_stime


def _cpu_seconds(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _latencies(spoken: list[Spoken], found: list[Appearance]) -> list[tuple[float, float]]:
    """Return seconds from each word's beginning and end to its appearance, where it appeared."""
    latencies = []
    for one in spoken:
        near = (a for a in found if a.word == one.word and abs(a.start - one.start) < 1.0)
        first = next(near, None)
        if first is not None:
            latencies.append((first.seconds - one.start, first.seconds - one.end))
    return latencies


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--sink")
    parser.add_argument("--microphone", default="pulse")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    recording, spoken = make()
    samples = (32767 * recording[: round(options.seconds * SAMPLE_RATE)]).astype("<i2")
    spoken = [one for one in spoken if one.end < options.seconds]
    found, idle, busy = _measure(options, samples)
    latencies = _latencies(spoken, found)
    ends = [end for _, end in latencies]
    starts = [start for start, _ in latencies]
    result = {
        "checkpoint": Path(options.checkpoint).name,
        "input": options.microphone if options.sink else "standard input",
        "audio_s": options.seconds,
        "threshold": options.threshold,
        "words_spoken": len(spoken),
        "words_heard": len(latencies),
        "after_end_median_s": round(statistics.median(ends), 3),
        "after_end_largest_s": round(max(ends), 3),
        "after_start_median_s": round(statistics.median(starts), 3),
        "after_start_largest_s": round(max(starts), 3),
        "later_than_1.5_s_after_end": sum(end > _LIMIT_S for end in ends),
        "cpu_s_to_load": round(idle, 2),
        "cpu_share_percent": round(100 * busy / options.seconds, 2),
        "cpu_share_without_loading_percent": round(100 * (busy - idle) / options.seconds, 2),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
