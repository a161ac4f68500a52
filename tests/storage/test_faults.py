"""Full disks, limits and read-only folders: a message, an exit code, and nothing half written."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults


@pytest.fixture
def embed(recordings, checkpoints) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(out: Path, limit: tuple[int, int] | None = None, *more: str):
        def limits() -> None:
            if limit is not None:
                resource.setrlimit(limit[0], (limit[1], limit[1]))

        model = ["--model", str(checkpoints["audiomae"]), "--device", "cpu", *more]
        command = [sys.executable, "-m", "hearaudiomlp", "embed", str(recordings), "-o", str(out)]
        done = subprocess.run(
            [*command, *model], capture_output=True, text=True, preexec_fn=limits, check=False
        )
        assert "Traceback" not in done.stderr
        assert done.returncode in {0, 1}, done.stderr
        return done

    return run


@pytest.fixture
def expected(embed, tmp_path) -> bytes:
    assert embed(tmp_path / "whole.npz").returncode == 0
    return (tmp_path / "whole.npz").read_bytes()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("only root may mount a tmpfs")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


@pytest.mark.parametrize("size", ["16k", "64k", "128k", "256k"])
def test_a_full_disk(size, embed, expected, small_disk) -> None:
    disk = small_disk(f"size={size}")
    done = embed(disk / "t.npz", None, "--shard-files", "1")
    if done.returncode:
        assert "No space left" in done.stderr
        assert not (disk / "t.npz").exists()
        assert not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        assert embed(disk / "t.npz", None, "--shard-files", "1").returncode == 0
    assert (disk / "t.npz").read_bytes() == expected
    assert not (disk / "t.npz.parts").exists()


def test_a_read_only_disk(embed, small_disk) -> None:
    disk = small_disk("size=1m,ro")
    assert embed(disk / "t.npz").returncode == 1


@pytest.mark.parametrize("size", [0, 1000, 10_000, 40_000])
@pytest.mark.parametrize("ending", ["npz", "npy", "hdf5", "parquet", "jsonl"])
def test_small_files_only(size, ending, embed, tmp_path) -> None:
    out = tmp_path / f"t.{ending}"
    done = embed(out, (resource.RLIMIT_FSIZE, size))
    if done.returncode:
        assert not out.exists()
        assert not list(tmp_path.rglob("*.tmp"))
        assert embed(out).returncode == 0
    assert out.exists()


@pytest.mark.parametrize("count", [8, 12, 16, 24])
def test_few_descriptors(count, embed, tmp_path) -> None:
    done = embed(tmp_path / "t.npz", (resource.RLIMIT_NOFILE, count))
    assert done.returncode == 0 or not (tmp_path / "t.npz").exists()
    assert embed(tmp_path / "t.npz").returncode == 0


@pytest.mark.parametrize("megabytes", [150, 300, 600])
def test_little_memory(megabytes, embed, tmp_path) -> None:
    done = embed(tmp_path / "t.npz", (resource.RLIMIT_AS, megabytes << 20))
    if megabytes < 256:
        assert "needs 256 MB of address space" in done.stderr
    assert done.returncode == 0 or not (tmp_path / "t.npz").exists()
    assert embed(tmp_path / "t.npz").returncode == 0
