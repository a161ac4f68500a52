"""Examples in docstrings and pages run as tests; CI fails on a skip that it does not expect."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import soundfile
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

import hearaudiomlp
from hearaudiomlp import errors

ROOT = Path(__file__).resolve().parent
_unexpected: list[str] = []
_folders: dict[Path, Path] = {}


def _run_commands(example: Example) -> None:
    """Run a block of `hearaudiomlp` commands; other commands (pip, git, npm) are for readers."""
    commands = re.sub(r"\\\n\s*", " ", example.parsed).strip()
    if not all(line.startswith(("hearaudiomlp ", "#")) for line in commands.splitlines()):
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="sh", evaluator=_run_commands),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md"],
    fixtures=["example_folder"],
).pytest()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Look for examples in the package only: what tests import or run needn't be importable."""
    helper = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if helper and ROOT / "tests" in collection_path.parents else None


@pytest.fixture
def example_folder(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Work in a folder like a clone's, the same for all examples of a page or of a module.

    It has the repository's `samples`, `checkpoints` and `onnx_models`, and `recordings`, a folder
    with a few sound files.
    """
    source = request.node.path
    if source not in _folders:
        folder = _folders[source] = tmp_path_factory.mktemp("example")
        shutil.copytree(ROOT / "samples", folder / "samples")
        for name in ("checkpoints", "onnx_models"):  # which no example writes to
            (folder / name).symlink_to(ROOT / name, target_is_directory=True)
        samples, rate = soundfile.read(ROOT / "samples" / "sentence.flac", dtype="float32")
        for number, name in enumerate(["a/one.wav", "a/two.flac", "b/three.wav"], 1):
            path = folder / "recordings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples[: number * rate // 2], rate)
    monkeypatch.chdir(_folders[source])
    return _folders[source]


@pytest.fixture(autouse=True)
def _forget_warnings() -> None:
    """Let every test and example see the warnings that a process sees once."""
    errors.warned.clear()


@pytest.fixture(autouse=True)
def _docstring_folder(request: pytest.FixtureRequest) -> None:
    """Run docstring examples in such a folder, too, with the imports of their readers."""
    if isinstance(request.node, pytest.DoctestItem):
        if ".ffmpeg." in request.node.name:
            pytest.importorskip("av")
        request.getfixturevalue("example_folder")
        namespace = request.getfixturevalue("doctest_namespace")
        namespace.update(hearaudiomlp=hearaudiomlp, np=numpy)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("expected_skips", "reasons to skip a test in CI (patterns)", "linelist")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _unexpected.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    expected = session.config.getini("expected_skips")
    _unexpected[:] = [
        skip for skip in _unexpected if not re.search("|".join(expected) or "$^", skip)
    ]
    if _unexpected and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _unexpected and os.environ.get("CI"):
        terminalreporter.section("skips that CI doesn't expect (expected_skips in pyproject.toml)")
        terminalreporter.write("\n".join(_unexpected) + "\n")
