"""Model files in general, exported ones in particular: damaged, foreign, missing."""

import os
import random
from pathlib import Path

import numpy as np
import onnx
import pytest

from hearaudiomlp import HearAudioMLPError, load_model
from hearaudiomlp.errors import (
    CheckpointMismatchError,
    ModelFileError,
    ModelNotFoundError,
    OptionError,
)
from hearaudiomlp_export.export import export


@pytest.fixture(scope="module")
def exported(checkpoints: dict[str, Path], tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "audiomae.onnx"
    assert export(str(checkpoints["audiomae"]), path)
    return path


@pytest.mark.parametrize("seed", range(50))
def test_every_truncated_export_is_our_error(tmp_path: Path, exported: Path, seed: int) -> None:
    data = exported.read_bytes()
    cut = random.Random(seed).randrange(len(data))
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[:cut])
    with pytest.raises(HearAudioMLPError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_exports_cut_inside_the_metadata_are_our_error(tmp_path: Path, exported: Path) -> None:
    data = exported.read_bytes()
    path = tmp_path / "cut.onnx"
    for cut in range(len(data) - 1500, len(data)):  # ONNX Runtime itself would load some of these
        path.write_bytes(data[:cut])
        with pytest.raises(ModelFileError):
            load_model(path)


@pytest.mark.parametrize("kind", ["checkpoint", "export"])
@pytest.mark.parametrize("seed", range(25))
def test_flipped_bytes_never_raise_anything_else(
    tmp_path: Path, checkpoints, exported: Path, kind: str, seed: int
) -> None:
    rng = random.Random(seed)
    data = bytearray((checkpoints["audiomae"] if kind == "checkpoint" else exported).read_bytes())
    # Half of the damage goes where the structure is, not into the weights.
    region = range(len(data)) if seed % 2 else range(max(0, len(data) - 9000), len(data))
    for _ in range(8):
        data[rng.choice(region)] = rng.randrange(256)
    path = tmp_path / "flipped"
    path.write_bytes(data)
    try:
        model = load_model(path)
        model.scene_embeddings(np.zeros((1, 16000), np.float32))
    except HearAudioMLPError:
        pass


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no\.pth"):
        load_model(tmp_path / "no.pth")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "no.pth")
    with pytest.raises(ModelFileError, match="directory"):
        load_model(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_only_ordinary_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "link.pth").symlink_to("pipe.pth")
    for path in (tmp_path / "pipe.pth", tmp_path / "link.pth", "/dev/zero", "/dev/null"):
        with pytest.raises(ModelFileError, match="not an ordinary file"):
            load_model(path)


def test_a_model_that_is_replaced_while_it_is_read(tmp_path, monkeypatch, exported) -> None:
    """One half could be of the one and the other half of the other: ONNX has no checksum."""
    path, data, looked = tmp_path / "x.onnx", exported.read_bytes(), []
    path.write_bytes(data)

    def fstat(descriptor: int, fstat=os.fstat) -> os.stat_result:
        if looked:
            path.write_bytes(data[::-1])
            os.utime(path, (1, 1))
        looked.append(fstat(descriptor))
        return looked[-1]

    monkeypatch.setattr("hearaudiomlp.weights.locate.os.fstat", fstat)
    with pytest.raises(ModelFileError, match="has changed while it was read"):
        load_model(path)
    assert len(looked) == 2


def test_a_file_of_no_model_s_size_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.pth"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(40 << 30)
    with pytest.raises(ModelFileError, match="42,949,672,960 bytes, more than"):
        load_model(path)


@pytest.mark.parametrize("path", [3, "a\0b", object(), np.zeros(3)])
def test_paths_that_are_none(path: object) -> None:
    with pytest.raises(OptionError, match="no path"):
        load_model(path)


@pytest.mark.parametrize("name", ["resnet", "", [], {}, np.zeros(2)])
def test_names_that_are_none(name: object) -> None:
    with pytest.raises(OptionError, match="name is one of"):
        load_model(name=name)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(100), b"RIFF", b"{}"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "file")


def test_foreign_onnx_file(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "other", value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ModelFileError, match="hearaudiomlp-export didn't write"):
        load_model(tmp_path / "other.onnx")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hearaudiomlp_format", "99", "format is 99"),
        ("scene_steps", "many", "metadata is damaged"),
        ("scene_steps", "16", "scene steps: 16, not 198"),
        ("scene_embedding_size", "3", "scene size"),
        ("timestamp_embedding_size", "7", "embedding size: 7"),
        ("macs_per_window", "many", "metadata is damaged"),
        ("model", "kwmlp", "labels other than the encoder"),
        ("model", "resnet", "metadata is damaged"),
        ("keyword_labels", '["yes"]', "labels other than the encoder"),
        ("keyword_labels", "{", "metadata is damaged"),
        ("sample_rate", "8000", "sample rate: 8000"),
    ],
)
def test_metadata_that_cannot_be_meant(
    tmp_path: Path, exported: Path, key: str, value: str, message: str
) -> None:
    model = onnx.load(exported)
    for entry in model.metadata_props:
        entry.value = value if entry.key == key else entry.value
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path / "odd.onnx")


def test_module_refuses_the_other_encoder(checkpoints, exported: Path) -> None:
    from hearaudiomlp import kwmlp

    with pytest.raises(CheckpointMismatchError, match="a checkpoint of audiomae, not of kwmlp"):
        kwmlp.load_model(checkpoints["audiomae"])
    with pytest.raises(ModelFileError, match="a model of audiomae, not of kwmlp"):
        kwmlp.load_model(exported)
