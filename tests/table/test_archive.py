"""A whole archive: mixed and broken files, kills, a cluster that loses a worker.

The small archive is in the default run, the one of 5,000 files in ``pytest -m archive``.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from archives import Recording, make_archive
from hearaudiomlp import Model, load_model
from hearaudiomlp.cli import main
from hearaudiomlp.table.find import Skipped, find
from hearaudiomlp.table.formats import find_format
from hearaudiomlp.table.listing import Listing
from hearaudiomlp.table.run import Run

pq = pytest.importorskip("pyarrow.parquet")

SMALL, LARGE = 200, 5000


@pytest.fixture(
    scope="module", params=[SMALL, pytest.param(LARGE, marks=pytest.mark.archive)], ids=str
)
def archive(request, tmp_path_factory) -> tuple[Path, list[Recording]]:
    folder = tmp_path_factory.mktemp("archive") / "recordings"
    return folder, make_archive(folder, request.param)


@pytest.fixture(scope="module")
def weights(checkpoints) -> Path:
    """Random weights, or others that HEARAUDIOMLP_ARCHIVE_MODEL names."""
    return Path(os.environ.get("HEARAUDIOMLP_ARCHIVE_MODEL") or checkpoints["kwmlp"])


@pytest.fixture(scope="module")
def model(weights) -> Model:
    return load_model(weights, device="cpu")


def command(folder: Path, weights: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "hearaudiomlp", "embed", str(folder), "--model", str(weights),
        "-o", str(out), "--device", "cpu", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def table(archive, weights, tmp_path_factory) -> Path:
    """The table of a run that nothing disturbed."""
    folder, recordings = archive
    out = tmp_path_factory.mktemp("table") / "archive.parquet"
    done = subprocess.run(
        command(folder, weights, out, "--kind", "both"), capture_output=True, text=True, check=False
    )
    broken = sum(recording.fails is not None for recording in recordings)
    assert done.returncode == 1, done.stderr
    assert f"{broken:,} of {len(recordings):,} files failed" in done.stderr
    assert ".md 1" in done.stderr
    print(done.stderr, done.stdout)
    return out


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a table and of its report, by name."""
    files = [path for path in out.parent.rglob("*") if path.is_file()]
    return {str(path.relative_to(out.parent)): path.read_bytes() for path in files}


def reference(model: Model, path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != 16000 and len(mono):
        mono = soxr.resample(mono, rate, 16000, quality="HQ")
    return model.scene_embeddings(mono[None].astype(np.float32))[0]


def test_the_table_and_the_report_are_right(archive, table, model) -> None:
    _, recordings = archive
    files = pq.read_table(table)
    good = [(n, r) for n, r in enumerate(recordings) if r.fails is None]
    assert files["file"].to_pylist() == [number for number, _ in good]
    assert files["path"].to_pylist() == [str(recording.path) for _, recording in good]
    assert files["sample_rate"].to_pylist() == [recording.rate for _, recording in good]
    assert files["channels"].to_pylist() == [recording.channels for _, recording in good]
    np.testing.assert_allclose(files["duration"], [r.frames / r.rate for _, r in good], atol=0.1)
    scenes = np.stack(files["scene_embedding"].to_numpy())
    assert np.isfinite(scenes).all()
    for row in np.random.default_rng(1).choice(len(good), 40, replace=False):
        expected = reference(model, good[row][1].path)
        np.testing.assert_allclose(scenes[row], expected, atol=1e-3)
    report = json.loads((table.parent / f"{table.name}.report.json").read_text())
    failed = {failure["path"]: failure["problem"] for failure in report["failed"]}
    assert set(failed) == {str(r.path) for r in recordings if r.fails is not None}
    for recording in recordings:
        if recording.fails is not None:
            assert re.search(recording.fails, failed[str(recording.path)])
    assert (report["files"], report["embedded"]) == (len(recordings), len(good))


def test_the_timestamps_are_those_of_the_files(archive, table, model) -> None:
    files = pq.read_table(table)
    counts = dict(zip(files["file"].to_pylist(), files["n_timestamps"].to_pylist(), strict=True))
    frames = pq.read_table(table.parent / "archive.timestamps.parquet")
    owners = frames["file"].to_numpy()
    assert dict(zip(*map(list, np.unique(owners, return_counts=True)), strict=True)) == {
        number: count for number, count in counts.items() if count
    }
    starts = np.concatenate([[0], np.cumsum(list(counts.values()))])
    for row, number in list(enumerate(counts))[:20]:
        times = frames["timestamp"].to_numpy()[starts[row] : starts[row + 1]]
        np.testing.assert_array_equal(times, 10 * np.arange(1, counts[number] + 1))


def test_two_runs_write_the_same_bytes(archive, weights, table, tmp_path) -> None:
    folder, _ = archive
    out = tmp_path / "archive.parquet"
    arguments = ["--kind", "both", "--threads", "1"]
    assert main(command(folder, weights, out, *arguments)[3:]) == 1
    assert contents(out) == contents(table)


def test_a_complete_run_has_nothing_to_do(archive, weights, table, capsys, monkeypatch) -> None:
    folder, _ = archive
    monkeypatch.setattr(Model, "encode", None)
    before = contents(table)
    assert main(command(folder, weights, table, "--kind", "both")[3:]) == 1
    assert "nothing has changed" in capsys.readouterr().out
    assert contents(table) == before


def test_killed_at_random_and_run_again_it_gives_the_same_table(
    archive, weights, table, tmp_path
) -> None:
    folder, recordings = archive
    out = tmp_path / "archive.parquet"
    rng = np.random.default_rng(len(recordings))
    kills = 10 if len(recordings) == LARGE else 3
    parts = tmp_path / "archive.parquet.parts"
    shards = []
    for _ in range(kills):
        running = subprocess.Popen(
            command(folder, weights, out, "--kind", "both"), stderr=subprocess.DEVNULL
        )
        until = len(list(parts.glob("0*.json"))) + rng.integers(0, 3 if kills == 10 else 2)
        while len(list(parts.glob("0*.json"))) < until:
            if running.poll() is not None:
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.6 if kills == 10 else 0.2))
        running.send_signal(signal.SIGKILL)
        running.wait()
        finished = out.exists()
        if finished:  # a quick machine was done first
            assert kills < 10 or len(shards) >= 5
            break
        shards.append(len(list(parts.glob("0*.json"))))
    assert shards, "it was done before it was killed once"
    print("units done at each kill:", shards)
    done = subprocess.run(
        command(folder, weights, out, "--kind", "both"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    if shards[-1] and not finished:
        assert "were done before" in done.stderr
    assert contents(out) == contents(table)


def test_a_cluster_that_loses_a_worker_gives_the_same_table(
    archive, model, table, tmp_path
) -> None:
    pytest.importorskip("distributed")
    from hearaudiomlp.table.cluster import cluster, on_cluster

    folder, recordings = archive
    listing = Listing(find([str(folder)], Skipped()))
    killed = False
    form = find_format("parquet")
    out = tmp_path / "archive.parquet"
    with Run(str(out), listing, model, format=form) as run, cluster(model, workers=2) as client:
        pids = list(client.run(os.getpid).values())
        assert len(pids) == 2
        start = time.monotonic()
        for _ in run.work(on_cluster(client)):
            if not killed:
                killed = True
                os.kill(pids[0], signal.SIGKILL)
        print(f"{len(run.shards)} units in {time.monotonic() - start:.1f} s, one worker killed")
        report = run.finish()
    assert report.files == len(recordings)
    assert contents(out) == contents(table)
