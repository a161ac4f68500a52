"""Parity with the published system, through the comparison that came with the reference arrays."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hearaudiomlp.kwmlp import load_model
from hearaudiomlp_export.export import export
from hearaudiomlp_export.networks.published import PublishedSystem

MODULES = {"kwmlp": "hearaudiomlp.kwmlp", "audiomae": "hearaudiomlp.audiomlp"}


@pytest.fixture(scope="session")
def exported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: folder / f"{name}.onnx" for name in MODULES}
    for name, path in paths.items():
        assert export(str(shared / "checkpoints" / f"{name}.pth"), path)
    return paths


def compare(shared: Path, module: str, model: Path, kind: str) -> str:
    command = [sys.executable, str(shared / "reference" / "compare.py"), module, str(model)]
    done = subprocess.run(
        [*command, "--input", kind],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("name", list(MODULES))
def test_checkpoint_agrees_with_the_published_system(shared: Path, name: str, kind: str) -> None:
    model = shared / "checkpoints" / f"{name}.pth"
    assert "76 of 76" in compare(shared, MODULES[name], model, kind)


@pytest.mark.parametrize("name", list(MODULES))
def test_exported_model_agrees_with_the_published_system(
    shared: Path, exported: dict[str, Path], name: str
) -> None:
    assert "76 of 76" in compare(shared, MODULES[name], exported[name], "numpy")


@pytest.mark.parametrize("name", list(MODULES))
def test_torch_modules_agree_with_the_published_system(shared: Path, name: str) -> None:
    module = MODULES[name].replace("hearaudiomlp.", "hearaudiomlp.torch.")
    model = shared / "checkpoints" / f"{name}.pth"
    assert "76 of 76" in compare(shared, module, model, "torch")


@pytest.mark.parametrize("name", list(MODULES))
def test_pytorch_form_gives_the_published_arrays(shared: Path, name: str) -> None:
    system = PublishedSystem(shared / "checkpoints" / f"{name}.pth")
    with np.load(shared / "reference" / "reference.npz") as store, torch.inference_mode():
        for case in json.loads(str(store["meta"]))["cases"]:
            found = system(torch.from_numpy(store[f"in/{case}"]))
            for output, array in found._asdict().items():
                expected = store[f"out/{name}/{case}/{output}"]
                assert array.numpy().shape == expected.shape
                # Ten times closer than compare.py asks for: the same sums in the same order.
                allowed = 1.5e-5 * max(1.0, float(np.abs(expected).max(initial=0.0)))
                assert np.abs(array.numpy() - expected).max(initial=0.0) <= allowed, (case, output)
    if name == "kwmlp":
        stored = np.load(shared / "reference" / "keywords.npz")
        with torch.inference_mode():
            logits = system.keyword_logits(torch.from_numpy(stored["windows"]))
        np.testing.assert_allclose(logits.numpy(), stored["logits"], rtol=0, atol=1e-4)


def test_keyword_logits_agree_with_the_published_system(shared: Path) -> None:
    stored = np.load(shared / "reference" / "keywords.npz")
    model = load_model(shared / "checkpoints" / "kwmlp.pth")
    logits = model.keyword_logits(stored["windows"])
    np.testing.assert_allclose(logits, stored["logits"], rtol=0, atol=1e-3)
    np.testing.assert_array_equal(logits.argmax(axis=1), stored["logits"].argmax(axis=1))


def test_snippet_of_the_readme_runs_as_it_stands(shared: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [snippet] = re.findall(r"```python\n(import torch\n.*?)```", readme, re.DOTALL)
    shapes = "print(*map(tuple, (embeddings.shape, timestamps.shape, scene_embeddings.shape)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{snippet}\n{shapes}"],
        capture_output=True, text=True, check=False, cwd=shared,
    )  # fmt: skip
    assert done.stdout == "(2, 100, 64) (2, 100) (2, 1024)\n", done.stderr
