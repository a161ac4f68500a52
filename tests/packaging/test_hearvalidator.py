"""The official, unmodified hear-validator: ``pytest -m hearvalidator``.

It needs torch and tensorflow, 3 GB in all, so it has an environment of its own.
"""

from pathlib import Path

import pytest

from environments import Environment

pytestmark = pytest.mark.hearvalidator


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("validator") / "env"
    return Environment(folder, "torch==2.13.0", "hearvalidator==2021.0.2", ".[cpu,torch]")


@pytest.mark.parametrize(("module", "name"), [("kwmlp", "kwmlp"), ("audiomlp", "audiomae")])
def test_it_says_looks_good(environment: Environment, checkpoints, module: str, name: str) -> None:
    path: Path = checkpoints[name]
    arguments = (f"hearaudiomlp.torch.{module}", "--model", str(path), "--device", "cpu")
    printed = environment.run("-m", "hearvalidator.validate", *arguments)
    assert printed.splitlines()[-1] == "Looks good!", printed
    assert "Received torch Module: TorchModel" in printed
