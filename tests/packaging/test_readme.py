"""What the README promises to leave unchanged, and figures in it that the code knows."""

import re

import numpy as np
import pytest

import hearaudiomlp
from paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

PUBLISHED_SNIPPET = """
```python
import torch
from hearaudiomlp.kwmlp import load_model, get_timestamp_embeddings, get_scene_embeddings # or from hearaudiomlp.audiomlp

model = load_model("checkpoints/kwmlp.pth")

b, ms, sr = 2, 1000, 16000
dummy_input = torch.randn(b, int(sr * ms / 1000))

embeddings, timestamps = get_timestamp_embeddings(dummy_input, model)
scene_embeddings = get_scene_embeddings(dummy_input, model)
```
"""  # noqa: E501 - as it was published


def test_the_published_snippet_is_unchanged() -> None:
    assert PUBLISHED_SNIPPET in README


@pytest.mark.parametrize(("column", "name"), [(1, "kwmlp"), (2, "audiomae")])
def test_sizes_of_the_encoders(column: int, name: str) -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", README, re.MULTILINE))
    cells = {row: values.split("|")[column - 1].strip() for row, values in rows.items()}
    model = hearaudiomlp.load_model(name=name, device="cpu")
    assert cells["parameters"] == f"{int(model.metadata['parameters']):,}"
    macs = int(model.metadata["macs_per_window"]) / 1e6
    assert cells["multiply-accumulates per second of audio"] == f"{macs:.1f} M"
    embeddings = model.embeddings(np.zeros((1, 16000), np.float32))
    for row, found in [("every 10 ms", embeddings[0]), ("of a whole sound", embeddings[2])]:
        assert cells[f"embedding {row}"] == f"{found.shape[-1]} values"


def test_it_is_short() -> None:
    assert len(README.split()) <= 1200


def test_the_files_that_contributors_are_sent_to_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## How to add")[2].partition("## What we look for")[0]
    roots = [ROOT, ROOT / "runtime" / "hearaudiomlp", ROOT / "export" / "hearaudiomlp_export"]
    named = re.findall(r"`([\w./]+(?:/|\.py|\.md|\.toml))`", table)
    assert len(named) > 20
    missing = [
        name
        for name in named
        if not any(root.joinpath(name).exists() for root in roots)
        and not any(any(root.rglob(name)) for root in roots[1:])
    ]
    assert missing == []


def test_the_picture_of_the_architecture_has_all_steps() -> None:
    picture = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    package = ROOT / "runtime" / "hearaudiomlp"
    steps = {init.parent.name for init in package.glob("*/__init__.py")}
    assert set(re.findall(r">(\w+)/<", picture)) == steps
