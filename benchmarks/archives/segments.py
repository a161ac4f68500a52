"""``hearaudiomlp embed --segment``: peak memory on one hour and ten, and a run that is killed.

    python benchmarks/archives/segments.py [--hours 1 10] [--endings wav flac] [--segment 10]
        [--format parquet] [--kills 0.05 0.5 0.9] [--model CHECKPOINT]

Recordings are the speech of ``samples/words.flac``, repeated. Some rows of the longest are compared
with the embeddings of the cut-out segments, bit by bit. Then a run on it is killed (SIGKILL) at
some fractions of the time that it takes, and resumed; its table has to have the bytes of the one
that nobody disturbed, and nothing else may be left in its folder or that of temporary files.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import soundfile

import hearaudiomlp
from hearaudiomlp.spec import SAMPLE_RATE

SAMPLES = Path(__file__).parents[2] / "samples"


def write_speech(path: Path, hours: int) -> None:
    """Write a recording of speech, minute by minute; each minute is shifted by another amount."""
    speech = hearaudiomlp.read_audio(SAMPLES / "words.flac").samples
    minute = np.resize(speech, 60 * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for number in range(60 * hours):
            file.write(np.roll(minute, 997 * number))


def command(source: Path, out: Path, options: argparse.Namespace) -> list[str]:
    """Return the command that embeds segments of a recording."""
    words = [sys.executable, "-m", "hearaudiomlp", "embed", str(source), "-o", str(out)]
    words += ["--segment", str(options.segment)]
    return [*words, *(["--model", options.model] if options.model else [])]


def run(words: list[str]) -> tuple[float, float, float]:
    """Run a command; return wall seconds, CPU seconds and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - start, cpu, usage.ru_maxrss / 1000


def compare_rows(recording: Path, table: Path, options: argparse.Namespace) -> str:
    """Compare some rows of a Parquet table with the embeddings of the cut-out segments."""
    rows = pyarrow.parquet.read_table(table)
    model = hearaudiomlp.load_model(options.model)
    chosen = sorted({0, len(rows) - 1, *random.Random(0).sample(range(len(rows)), 30)})
    equal = 0
    for number in chosen:
        row = rows.slice(number, 1).to_pylist()[0]
        start, stop = (round(SAMPLE_RATE * row[name]) for name in ("start", "end"))
        samples, _ = soundfile.read(recording, stop - start, start, dtype="float32")
        scene = model.embeddings(samples[None]).scene_embeddings[0]
        equal += np.array_equal(scene, np.array(row["scene_embedding"], np.float32))
    return f"{equal} of {len(chosen)} rows equal those of the cut-out segments to the bit"


def digest(table: Path) -> str:
    """Return the SHA-256 of a table, which may be a folder."""
    files = sorted(table.iterdir()) if table.is_dir() else [table]
    found = hashlib.sha256()
    for one in files:
        found.update(hashlib.sha256(one.read_bytes()).digest())
    return found.hexdigest()


def kill(recording: Path, whole: Path, wall: float, options: argparse.Namespace) -> str:
    """Kill and resume a run, and compare its table with that of an undisturbed one."""
    folder = recording.parent / "killed"
    temporary = recording.parent / "temporary"
    for one in (folder, temporary):
        one.mkdir()
    out = folder / whole.name
    words = command(recording, out, options)
    environment = os.environ | {"TMPDIR": str(temporary)}
    kills = 0
    for fraction in options.kills:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)
        try:
            process.wait(timeout=fraction * wall)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.wait()
    subprocess.run(words, stdout=subprocess.DEVNULL, env=environment, check=True)
    left = {one.name for one in (*folder.iterdir(), *temporary.iterdir())}
    left -= {out.name, f"{out.name}.report.json"}
    equal = "the same bytes" if digest(out) == digest(whole) else "OTHER BYTES"
    return f"killed {kills} times and resumed: {equal}; left behind: {sorted(left) or 'nothing'}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--endings", nargs="+", default=["wav", "flac"])
    parser.add_argument("--segment", type=float, default=10)
    parser.add_argument("--format", default="parquet", help="ending of the table")
    parser.add_argument("--kills", nargs="*", type=float, default=[0.05, 0.5, 0.9])
    parser.add_argument("--model")
    options = parser.parse_args()
    print("| hours | format | rows | seconds | CPU seconds | peak memory, MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    notes = []
    with tempfile.TemporaryDirectory() as name:
        for ending in options.endings:
            for hours in options.hours:
                recording = Path(name) / f"{hours}h.{ending}"
                table = Path(name) / f"{hours}h-{ending}.{options.format}"
                write_speech(recording, hours)
                wall, cpu, memory = run(command(recording, table, options))
                rows = round(3600 * hours / options.segment)
                print(
                    f"| {hours} | {ending} | {rows:,} | {wall:.0f} | {cpu:.0f} | {memory:.0f} |",
                    flush=True,
                )
                if options.format == "parquet":
                    notes.append(f"{recording.name}: {compare_rows(recording, table, options)}")
                if hours != options.hours[-1] or ending != options.endings[-1]:
                    recording.unlink()
        if options.kills:
            notes.append(f"{recording.name}: {kill(recording, table, wall, options)}")
    print("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
