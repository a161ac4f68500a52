"""The faces for tools that accept nothing but torch.nn.Module."""

import importlib
import pickle
import sys

import pytest
import torch

from hearaudiomlp.errors import MissingPackageError

MODULES = {"kwmlp": "kwmlp", "audiomae": "audiomlp"}


@pytest.mark.parametrize("name", list(MODULES))
def test_modules_follow_the_hear_api(checkpoints, name: str, noise) -> None:
    module = importlib.import_module(f"hearaudiomlp.torch.{MODULES[name]}")
    plain = importlib.import_module(f"hearaudiomlp.{MODULES[name]}")
    model = module.load_model(str(checkpoints[name])).eval().to("cpu")
    assert isinstance(model, torch.nn.Module)
    sizes = (model.sample_rate, model.timestamp_embedding_size, model.scene_embedding_size)
    assert all(type(size) is int for size in sizes)
    audio = torch.from_numpy(noise(2, 20_000))
    embeddings, timestamps = module.get_timestamp_embeddings(audio, model)
    scene = module.get_scene_embeddings(audio, model)
    expected = plain.load_model(checkpoints[name])
    assert torch.equal(embeddings, plain.get_timestamp_embeddings(audio, expected)[0])
    assert torch.equal(timestamps, plain.get_timestamp_embeddings(audio, expected)[1])
    assert torch.equal(scene, plain.get_scene_embeddings(audio, expected))
    assert torch.equal(model(audio), scene)
    assert f"{name} on cpu" in repr(model)


def test_either_face_goes_with_either_model(checkpoints, noise) -> None:
    from hearaudiomlp import kwmlp
    from hearaudiomlp.torch import kwmlp as torch_kwmlp

    audio = torch.from_numpy(noise(1, 20_000))
    plain = kwmlp.load_model(checkpoints["kwmlp"])
    wrapped = torch_kwmlp.load_model(checkpoints["kwmlp"])
    assert torch.equal(
        kwmlp.get_scene_embeddings(audio, wrapped), torch_kwmlp.get_scene_embeddings(audio, plain)
    )


def test_load_model_can_be_sent_to_a_worker(checkpoints) -> None:
    from hearaudiomlp import kwmlp

    load_model = pickle.loads(pickle.dumps(kwmlp.load_model))
    assert load_model(checkpoints["kwmlp"], threads=1).name == "kwmlp"


def test_without_torch_the_error_names_the_extra(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("hearaudiomlp.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hearaudiomlp\[torch\]'"):
        importlib.import_module("hearaudiomlp.torch.kwmlp")
