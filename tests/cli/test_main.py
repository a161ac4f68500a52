"""What the command imports and sets up, as a process of its own."""

import os
import subprocess
import sys

import pytest

import hearaudiomlp

REPORT = """
import os, sys
sys.argv = ["hearaudiomlp", *sys.argv[1:]]
from hearaudiomlp.cli import process
try:
    process()
finally:
    known = [name for name in ("numpy", "onnxruntime") if name in sys.modules]
    print(known, os.environ.get("OPENBLAS_NUM_THREADS"), file=sys.stderr)
"""


def printed(*arguments: str, **environment: str) -> str:
    """Run the command; return what it knew in the end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        env={
            **{key: value for key, value in os.environ.items() if "OPENBLAS" not in key},
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["embed", "--help"], ["no"], []])
def test_help_needs_no_numpy(arguments) -> None:
    assert printed(*arguments).startswith("[] ")


def test_numpy_starts_no_threads_but_where_it_does_algebra() -> None:
    assert printed("info", "--help").endswith(" 1")
    assert printed("map", "--help").endswith(" None")
    assert printed("info", "--help", OPENBLAS_NUM_THREADS="3").endswith(" 3")


def test_names_of_the_package_are_imported_when_they_are_asked_for() -> None:
    code = "import sys, hearaudiomlp as h; print('numpy' in sys.modules, dir(h)); h.load_model"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert found.startswith("False ")
    for name in hearaudiomlp.__all__:
        assert repr(name) in found
        assert getattr(hearaudiomlp, name)
    with pytest.raises(AttributeError, match="has no attribute 'load_modle'"):
        _ = hearaudiomlp.load_modle
