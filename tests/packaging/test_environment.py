"""What a user has who installed ``[cpu]`` and nothing else: ``pytest -m environment``."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from environments import ROOT, Environment

pytestmark = pytest.mark.environment


@pytest.fixture(scope="session")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("slim") / "env", ".[cpu]")


@pytest.fixture
def script(slim: Environment, checkpoints) -> Path:
    """A whole run: both encoders loaded, everything computed."""
    path = slim.folder / "whole_run.py"
    path.write_text(f"""
import sys
import numpy as np
import hearaudiomlp
from hearaudiomlp import audiomlp, kwmlp
audio = np.random.default_rng(0).standard_normal((2, 20000), np.float32)
paths = {[str(checkpoints["kwmlp"]), str(checkpoints["audiomae"])]!r}
for module, path in zip((kwmlp, audiomlp), paths):
    model = module.load_model(path)
    embeddings, timestamps = module.get_timestamp_embeddings(audio, model)
    scene = module.get_scene_embeddings(audio, model)
    assert scene.shape == (2, model.scene_embedding_size)
print(*sorted({{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)))
""")
    return path


def test_only_numpy_and_onnxruntime_are_installed(slim: Environment) -> None:
    onnxruntime_needs = {"flatbuffers", "packaging", "protobuf", "sympy", "mpmath", "coloredlogs"}
    found = slim.packages() - onnxruntime_needs - {"humanfriendly"}
    assert found == {"hearaudiomlp", "numpy", "onnxruntime"}


def test_only_numpy_and_onnxruntime_are_imported(slim: Environment, script: Path) -> None:
    modules = set(slim.run(str(script)).split())
    assert modules >= {"numpy", "onnxruntime", "hearaudiomlp"}
    assert not modules & {"torch", "librosa", "scipy", "onnx", "soundfile", "soxr", "numba"}


@pytest.mark.parametrize(
    ("module", "checkpoint"),
    [("hearaudiomlp.kwmlp", "kwmlp.pth"), ("hearaudiomlp.audiomlp", "audiomae.pth")],
)
def test_parity(slim: Environment, shared: Path, module: str, checkpoint: str) -> None:
    comparison = str(shared / "reference" / "compare.py")
    printed = slim.run(comparison, module, str(shared / "checkpoints" / checkpoint))
    assert "76 of 76" in printed


def test_commands_name_the_missing_extra(slim: Environment, checkpoints) -> None:
    def fails(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr
        return done.stderr

    folder, checkpoint = slim.folder / "bin", str(checkpoints["kwmlp"])
    sample = str(ROOT / "samples" / "words.flac")
    printed = fails(
        str(folder / "hearaudiomlp"), "embed", sample, "--model", checkpoint, "-o", "/tmp/x.npz"
    )
    assert "pip install 'hearaudiomlp[audio]'" in printed
    printed = fails(str(folder / "hearaudiomlp-export"), checkpoint, "-o", "/tmp/x.onnx")
    assert "pip install 'hearaudiomlp[cpu,export]'" in printed
    printed = subprocess.run(
        [str(folder / "hearaudiomlp"), "info", checkpoint],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "424,811" in printed


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed")
def test_it_runs_without_any_network(slim: Environment, script: Path) -> None:
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make network namespaces")
    slim.run(str(script), prefix=("unshare", "-rn"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the working tree, so that nothing left by other builds gets in."""
    tree, folder = tmp_path_factory.mktemp("tree") / "tree", tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=left_out)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(tree)]
    subprocess.run(pip, check=True)
    [path] = folder.glob("*.whl")
    return path


def test_wheel_carries_the_weights_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if name.endswith(".pth")
        }
    assert found == {
        f"hearaudiomlp/checkpoints/{name}.pth": hashlib.sha256(
            (ROOT / "checkpoints" / f"{name}.pth").read_bytes()
        ).hexdigest()
        for name in ("kwmlp", "audiomae")
    }


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed")
def test_installed_wheel_works_without_network(wheel: Path, tmp_path: Path) -> None:
    """The README's first command, from a wheel, where no network can be reached."""
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make network namespaces")
    environment = Environment(tmp_path / "env", f"{wheel}[cpu,audio]")
    sample, offline = str(ROOT / "samples" / "words.flac"), ("unshare", "-rn")
    command = ("-m", "hearaudiomlp")
    printed = environment.run(*command, "embed", sample, "-o", "words.npz", prefix=offline)
    assert "words.npz: 1 file, 6.4 s, kwmlp on cpu" in printed
    assert (environment.folder / "words.npz").stat().st_size > 100_000
    printed = environment.run(*command, "keywords", sample, "--labels", prefix=offline)
    assert [line.split("\t")[2] for line in printed.splitlines()] == [
        "marvin", "seven", "happy", "stop",
    ]  # fmt: skip
    printed = environment.run(*command, "info", "--encoder", "audiomae", prefix=offline)
    assert "bundled with this installation" in printed


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_it_never_calls_out(slim: Environment, script: Path) -> None:
    log = slim.folder / "strace.log"
    slim.run(str(script), prefix=("strace", "-f", "-e", "trace=network", "-o", str(log)))
    calls = re.findall(r"(?:connect|sendto|sendmsg|bind)\(.*", log.read_text())
    outside = [call for call in calls if not re.search(r"AF_UNIX|127\.0\.0\.1|::1", call)]
    assert outside == []
    assert "AF_INET" not in log.read_text()


def test_two_builds_of_onnx_runtime_are_reported(slim: Environment, script: Path) -> None:
    [packages] = slim.folder.glob("lib/python*/site-packages")
    other = packages / "onnxruntime_gpu-1.0.0.dist-info"
    other.mkdir()
    try:
        done = subprocess.run([slim.python, script], capture_output=True, text=True, check=False)
    finally:
        other.rmdir()
    assert "MissingPackageError" in done.stderr
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install" in done.stderr


def test_a_commit_gives_the_same_packages_twice() -> None:
    done = subprocess.run(
        ["bash", ROOT / "scripts" / "build", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 2  # the digests of an sdist and a wheel
