"""The self-test's stored figures, and what doctor makes of installations that don't work."""

import json
from importlib import metadata

import numpy as np
import onnxruntime
import pytest

from hearaudiomlp import selftest
from hearaudiomlp.cli import main
from hearaudiomlp.errors import DeviceError, MissingPackageError
from hearaudiomlp.inference import ort
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp_export.verify.selftest import figures


@pytest.mark.parametrize("name", ENCODERS)
def test_the_stored_figures_are_those_of_the_float64_network(name) -> None:
    stored = json.loads(selftest.FIGURES.read_bytes())[name]
    np.testing.assert_allclose(stored, figures(name), atol=1e-8)
    assert np.std(stored) > 0.05  # or the figures could not distinguish networks


@pytest.mark.parametrize("name", ENCODERS)
def test_the_self_test_passes_here(name) -> None:
    found = selftest.check(name, device="cpu")
    assert found.passed
    assert found.error < 1e-5
    assert found.milliseconds > 0


def test_wrong_arithmetic_is_found(monkeypatch) -> None:
    made = selftest.weights("kwmlp")
    key = "layers.11.fn.fn.sgu.proj.bias"
    monkeypatch.setattr(selftest, "weights", lambda name: made | {key: made[key] * 1.01})
    assert not selftest.check("kwmlp", device="cpu").passed


def test_doctor_finds_no_problems(capsys) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("no problems found\n")
    assert f"onnxruntime  {onnxruntime.__version__}" in printed
    assert "kwmlp ok: error" in printed
    assert "audiomae ok: error" in printed
    assert "usable of" in printed
    assert len(printed.splitlines()) <= 24  # one screen


def test_doctor_counts_the_problems(capsys, monkeypatch) -> None:
    def check(name, **options):
        raise DeviceError("the processor is on fire")

    monkeypatch.setattr(selftest, "check", check)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "! CPU        can't be used: the processor is on fire" in printed
    assert printed.endswith("1 problem, marked with !\n")


def test_doctor_names_the_extras_that_lack_a_package(capsys, monkeypatch) -> None:
    version = metadata.version

    def version_but_of(name):
        if name in ("soxr", "scikit-learn"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", version_but_of)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [found] = [line for line in lines if line.startswith(13 * " " + "not installed: ")]
    lacking = {"audio", "media", "live", "fit", "plot", "sklearn"}
    assert lacking <= {*found.partition(": ")[2].split(", ")}
    assert not any("soxr" in line for line in lines)


def test_doctor_names_two_builds_of_onnx_runtime(capsys, monkeypatch) -> None:
    def conflict():
        raise MissingPackageError("onnxruntime and onnxruntime-gpu are both installed")

    monkeypatch.setattr(ort, "onnxruntime", conflict)
    assert main(["doctor"]) == 1
    assert "! onnxruntime onnxruntime and onnxruntime-gpu are both" in capsys.readouterr().out
