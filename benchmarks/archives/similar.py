"""Time and peak memory of ``hearaudiomlp similar`` on tables of up to a million rows.

    python benchmarks/archives/similar.py --folder /tmp --rows 1000 1000000 --formats parquet npz

Each table has the shape of kwmlp's scene embeddings (1024 numbers a row), clustered as segments of
recordings are, and is removed afterwards: a million rows take 4 GB of disk. The command searches in
a process of its own, once without the table in the page cache and once with it. Its ten
rows are compared with a brute-force search in numpy, in float64. The figures are of this machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIZE = 1024
PIECE = 1000
QUERY = 4321 % PIECE


def pieces(rows: int) -> Iterator[npt.NDArray[np.float32]]:
    """Make the embeddings, a thousand at a time: a common part, that of a recording, and noise."""
    common = np.random.default_rng(0).standard_normal(SIZE, np.float32)
    for number in range(rows // PIECE):
        rng = np.random.default_rng(1 + number)
        recordings = np.repeat(rng.standard_normal((PIECE // 20, SIZE), np.float32), 20, axis=0)
        yield 3 * common + recordings + 0.5 * rng.standard_normal((PIECE, SIZE), np.float32)


def names(number: int) -> list[str]:
    """Return the paths of a piece."""
    return [f"archive/{(PIECE * number + row) // 20:06}.wav" for row in range(PIECE)]


def write_parquet(path: Path, rows: int) -> None:
    """Write shards of a row group each, as ``embed`` does."""
    import pyarrow as pa
    from pyarrow import parquet

    text = pa.dictionary(pa.int32(), pa.string())
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False), SIZE)
    fields = {"path": pa.string(), "start": pa.float64(), "end": pa.float64()}
    fields |= {"model": text, "checkpoint_sha256": text, "scene_embedding": kind}
    schema = pa.schema(list(fields.items()))
    plain = [name for name in fields if name != "scene_embedding"]
    path.mkdir()
    for number, scenes in enumerate(pieces(rows)):
        starts = 3.0 * (np.arange(PIECE) % 20)
        columns = [
            pa.array(names(number)),
            pa.array(starts),
            pa.array(starts + 3.0),
            pa.array(["kwmlp"] * PIECE).dictionary_encode(),
            pa.array(["0" * 64] * PIECE).dictionary_encode(),
            pa.FixedSizeListArray.from_arrays(pa.array(scenes.reshape(-1)), type=kind),
        ]
        parquet.write_table(
            pa.Table.from_arrays(columns, schema=schema),
            path / f"part-{number:05}.parquet", compression="zstd", use_dictionary=plain,
        )  # fmt: skip


def write_npz(path: Path, rows: int) -> None:
    """Write the arrays of an .npz in pieces."""
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for name, shape, dtype in (
            ("paths", (rows,), "<U18"),
            ("scene_embeddings", (rows, SIZE), "<f4"),
        ):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                header = {"descr": dtype, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(entry, header)  # type: ignore[arg-type]
                for number, scenes in enumerate(pieces(rows)):
                    values = scenes if dtype == "<f4" else np.array(names(number), dtype)
                    entry.write(np.ascontiguousarray(values).data)


def brute_force(rows: int, k: int) -> list[int]:
    """Return the rows nearest to the query, by all cosines in float64."""
    query = next(pieces(PIECE))[QUERY].astype(np.float64)
    cosines = np.concatenate(
        [
            (some @ query) / np.linalg.norm(some, axis=1) / np.linalg.norm(query)
            for some in (scenes.astype(np.float64) for scenes in pieces(rows))
        ]
    )
    return np.argsort(-cosines, kind="stable")[:k].tolist()


# In a small process: the peak of a child counts from the memory of the one that starts it.
MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
output = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE).stdout
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
rows = [one["row"] for one in json.loads(output)["results"]]
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, rows]))
"""


def search(table: Path, k: int) -> tuple[float, float, float, list[int]]:
    """Run the command; return seconds, those of the CPU, peak memory in MB, and the rows."""
    command = [sys.executable, "-m", "hearaudiomlp", "similar", str(QUERY), str(table)]
    command = [sys.executable, "-c", MEASURE, *command, "-k", str(k), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    seconds, cpu, memory, rows = json.loads(done.stdout)
    return seconds, cpu, memory, rows


def forget(folder: Path) -> None:
    """Drop a table from the page cache."""
    os.sync()
    for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="for the tables; the default is that of temporary files")
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=["parquet"], choices=("parquet", "npz"))
    parser.add_argument("-k", type=int, default=10)
    options = parser.parse_args()
    print(
        "| rows | format | table, MB | uncached, s | cached, s | CPU, s | peak memory, MB | equal |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for rows in options.rows:
        expected = brute_force(rows, options.k)
        for form in options.formats:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                table = Path(folder) / f"table.{form}"
                {"parquet": write_parquet, "npz": write_npz}[form](table, rows)
                files = [one for one in [table, *table.rglob("*")] if one.is_file()]
                size = sum(one.stat().st_size for one in files) / 1e6
                forget(table)
                cold, *_ = search(table, options.k)
                seconds, cpu, memory, found = search(table, options.k)
                same = "yes" if found == expected else f"no: {found} for {expected}"
                print(
                    f"| {rows:,} | {form} | {size:,.0f} | {cold:.1f} | {seconds:.1f} | {cpu:.1f} "
                    f"| {memory:.0f} | {same} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
