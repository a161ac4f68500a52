"""A Dask cluster at an address, and what can be wrong with one."""

import sys
from pathlib import Path

import pytest
import soundfile

from hearaudiomlp.cli import main

distributed = pytest.importorskip("distributed")


@pytest.fixture
def recordings(tmp_path, noise) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(9):
        soundfile.write(folder / f"{number}.wav", noise(9000 + number, seed=number), 16000)
    (folder / "bad.wav").write_text("no sound")
    return folder


@pytest.fixture
def address():
    options = {"dashboard_address": None, "processes": True, "threads_per_worker": 2}
    with distributed.LocalCluster(n_workers=1, **options) as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_at_an_address(address, recordings, checkpoints, tmp_path, capsys) -> None:
    options = [str(recordings), "--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    more = ["--shard-files", "2", "--scheduler", address]
    assert main(["embed", *options, "-o", str(tmp_path / "one.npz"), *more]) == 1
    assert main(["embed", *options, "-o", str(tmp_path / "two.npz")]) == 1
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert "1 of 10 files failed" in capsys.readouterr().err
    # A failure that ends the run is reported as without a cluster.
    stop = ["-o", str(tmp_path / "three.npz"), *more, "--on-error", "stop"]
    assert main(["embed", *options, *stop]) == 1
    assert "bad.wav: not an audio file" in capsys.readouterr().err


def test_workers_that_do_not_see_the_table_are_reported(
    address, recordings, checkpoints, tmp_path, capsys
) -> None:
    pytest.importorskip("fsspec")  # each process has a memory of its own
    options = [str(recordings), "--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    out = ["-o", "memory://unshared/t.npz", "--scheduler", address]
    assert main(["embed", *options, *out]) == 1
    assert "storage that all of them share" in capsys.readouterr().err


def test_a_scheduler_that_goes_away_is_reported(  # noqa: PLR0917 - fixtures
    address, recordings, checkpoints, tmp_path, capsys, monkeypatch
) -> None:
    whole = distributed.Client.submit

    def submit(client, *arguments, **options):
        future = whole(client, *arguments, **options)
        future.cancel()
        return future

    monkeypatch.setattr(distributed.Client, "submit", submit)
    options = [str(recordings), "--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    assert main(["embed", *options, "-o", str(tmp_path / "t.npz"), "--scheduler", address]) == 1
    assert "the scheduler has gone" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["foo://x:1", "x", "tcp://[", "tcp://127.0.0.1:x", "tls://x:1"])
def test_addresses_that_are_none(address, recordings, checkpoints, tmp_path, capsys) -> None:
    options = [str(recordings), "--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    assert main(["embed", *options, "-o", str(tmp_path / "t.npz"), "--scheduler", address]) == 1
    assert f"there is no Dask scheduler at {address}" in capsys.readouterr().err


def test_workers_that_cannot_start_are_reported(
    recordings, checkpoints, tmp_path, capsys, monkeypatch
) -> None:
    def fail(**_) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(distributed, "LocalCluster", fail)
    options = [str(recordings), "--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    assert main(["embed", *options, "-o", str(tmp_path / "t.npz"), "--cluster"]) == 1
    assert "the workers can't be started (Nanny failed" in capsys.readouterr().err


def test_the_extra_is_named(recordings, checkpoints, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.delitem(sys.modules, "hearaudiomlp.table.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    options = [str(recordings), "--model", str(checkpoints["audiomae"]), "--device", "cpu"]
    assert main(["embed", *options, "-o", str(tmp_path / "t.npz"), "--cluster"]) == 1
    assert "pip install 'hearaudiomlp[dask]'" in capsys.readouterr().err
