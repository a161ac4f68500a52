"""Recordings to fit to, and a model fitted to them."""

from pathlib import Path

import pytest

import hearaudiomlp
from hearaudiomlp.fitting.run import Fitted
from own_sounds import write_calls


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_calls(tmp_path_factory.mktemp("calls") / "calls", 4)


@pytest.fixture(scope="session")
def fitted(calls: Path) -> Fitted:
    return hearaudiomlp.fit(calls, calls.parent / "calls.onnx", threads=1)
