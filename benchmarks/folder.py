"""A folder of short files: ``hearaudiomlp embed`` next to a plain PyTorch script.

    python benchmarks/folder.py CHECKPOINT [--files 2000] [--rounds 3]

The files are 1 to 3 s of noise, 16-bit WAV at 16 kHz. Each contender decodes them all, computes
timestamp and scene embeddings, and writes them to one file; in turn, in the same rounds. The graph
alone, on as many windows, is what no decoding, pooling and writing could beat. With a thread beside
it that does no more than soundfile.read, and numpy.savez behind it, it shows what the simplest way
of reading and writing costs; one that reads or writes faster than those two can beat that.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from contenders import Contender, torch_contenders
from speed import ALONE, graph_alone, timed

import hearaudiomlp
from hearaudiomlp.cpus import usable_cpus
from hearaudiomlp.embed import Embedded, embed_files
from hearaudiomlp.npz import NpzWriter
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.windows import count_timestamps, count_windows

BARE = "its graph, reading, writing"

SAMPLES = 15_680
"""Samples that make one window."""


def make_files(folder: Path, count: int) -> list[Path]:
    """Write the files; return their paths."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{index:05}.wav" for index in range(count)]
    for path in paths:
        samples = 0.1 * rng.standard_normal(rng.integers(16_000, 48_000))
        soundfile.write(path, samples, 16_000)
    return paths


def run_ours(paths: list[Path], model: hearaudiomlp.Model, out: Path) -> None:
    """Do what ``hearaudiomlp embed`` does."""
    writer = NpzWriter(out, model)
    for file in embed_files(paths, model):
        assert isinstance(file, Embedded)
        writer.add(file)
    writer.write()


def run_plain(paths: list[Path], pipeline: Contender, out: Path) -> None:
    """Do what a plain script would: file by file."""
    frames, scenes = [], []
    for path in paths:
        audio, _ = soundfile.read(path, dtype="float32")
        timestamp_embeddings, scene_embeddings = pipeline(audio[None])
        frames.append(timestamp_embeddings[0])
        scenes.append(scene_embeddings)
    np.savez(out, scene_embeddings=np.concatenate(scenes), frames=np.concatenate(frames))


def run_bare(paths: list[Path], alone: Callable[[], None], frames: int, out: Path) -> None:
    """Read, compute and write as much in the simplest way, whatever belongs to what."""

    def read() -> None:
        for path in paths:
            soundfile.read(path, dtype="float32")

    reader = threading.Thread(target=read)
    reader.start()
    alone()
    reader.join()
    scenes = np.ones((len(paths), ENCODERS["kwmlp"].scene_embedding_size), np.float32)
    size = ENCODERS["kwmlp"].timestamp_embedding_size
    np.savez(out, scene_embeddings=scenes, frames=np.ones((frames, size), np.float32))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = hearaudiomlp.load_model(options.checkpoint, device="cpu")
    plain = torch_contenders(options.checkpoint, usable_cpus())
    names = ["hearaudiomlp", ALONE, BARE, *plain]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_files(folder, options.files)
        lengths = [soundfile.info(path).frames for path in paths]
        total = sum(count_windows(length) for length in lengths)
        frames = sum(count_timestamps(length) for length in lengths)
        noise = 0.1 * np.random.default_rng(1).standard_normal((total, SAMPLES))
        alone = graph_alone(model, noise.astype(np.float32))
        for _ in range(options.rounds):
            start = time.perf_counter()
            run_ours(paths, model, folder / "ours.npz")
            seconds["hearaudiomlp"].append(time.perf_counter() - start)
            seconds[ALONE].append(timed(alone))
            bare = partial(run_bare, paths, alone, frames, folder / "bare.npz")
            seconds[BARE].append(timed(bare))
            for contender, pipeline in plain.items():
                start = time.perf_counter()
                run_plain(paths, pipeline, folder / "plain.npz")
                seconds[contender].append(time.perf_counter() - start)
    base = statistics.median(seconds["hearaudiomlp"])
    print(f"{options.files} files, {options.rounds} rounds\n")
    print("| | seconds, median | smallest - largest | files/s | times ours |")
    print("| --- | ---: | --- | ---: | ---: |")
    for contender, values in seconds.items():
        middle = statistics.median(values)
        spread = f"{min(values):.1f} - {max(values):.1f}"
        rate = options.files / middle
        print(f"| {contender} | {middle:.1f} | {spread} | {rate:.0f} | {middle / base:.2f} |")


if __name__ == "__main__":
    main()
