"""Checkpoints that are damaged, foreign or hostile, and those that people really save."""

import hashlib
import io
import os
import pickle
import random
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

import hearaudiomlp
from hearaudiomlp import HearAudioMLPError, load_model
from hearaudiomlp.errors import (
    CheckpointMismatchError,
    ModelFileError,
    UnsafeCheckpointError,
)
from hearaudiomlp.weights.checkpoint import read_checkpoint
from hearaudiomlp.weights.model_file import packaged_graph
from hearaudiomlp.weights.published import PUBLISHED
from hearaudiomlp.weights.unpickler import read_pickle


def save_pickle(path: Path, pickled: bytes) -> Path:
    """Write a checkpoint whose pickle is ``pickled``, as torch.save lays its files out."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return path


class Payload:
    """Pickles to a call of any function."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("hidden", [False, True])
def test_hostile_checkpoint_is_refused_and_nothing_in_it_is_run(
    tmp_path: Path, checkpoints, protocol: int, hidden: bool
) -> None:
    victim = tmp_path / "created"
    payload = Payload(os.system, f"touch {victim}")
    content = {"model_state_dict": {"weight": payload}} if hidden else payload
    path = save_pickle(tmp_path / "hostile.pth", pickle.dumps(content, protocol=protocol))
    with pytest.raises(UnsafeCheckpointError, match="refused and nothing in it was run"):
        load_model(path)
    assert not victim.exists()
    pickle.loads(pickle.dumps(payload))  # the payload is a working one
    assert victim.exists()


@pytest.mark.parametrize(
    "payload",
    [
        Payload(eval, "1"),
        Payload(np.zeros, 3),
        Payload(torch.nn.Linear, 1, 1),
        Payload(getattr, "", "join"),
        torch.nn.Linear(1, 1),
        Path("x"),
        {1, 2},
        bytearray(b"x"),
    ],
    ids=["eval", "numpy", "class", "getattr", "module", "path", "set", "bytearray"],
)
def test_only_tensors_in_dictionaries_are_let_through(tmp_path: Path, payload: object) -> None:
    path = save_pickle(tmp_path / "odd.pth", pickle.dumps({"state_dict": payload}, protocol=2))
    with pytest.raises(UnsafeCheckpointError):
        load_model(path)


def test_real_torch_checkpoint_with_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(UnsafeCheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        load_model(tmp_path / "module.pth")


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02}",
        b"\x80\x02t.",  # tuple without a mark
        b"\x80\x02h\x05.",  # memo that was never put
        b"\x80\x02K\x01Q.",  # persistent id that is a number
        b"\x80\x02]K\x01K\x02s.",  # item set in a list
        b"\x80\x02(K\x01K\x02R.",  # call of a number
        b"\x80\x02}}K\x01s.",  # dictionary as a key
        b"\x80\x02ccollections\nOrderedDict\n(t(K\x01tR.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.",
        b"\x80\x02ctorch\nFloatStorage\n.",
        b"no pickle at all",
        b"\xff" * 100,
        b"\x80\x02" + b"(" * 1000 + b".",
    ],
)
def test_damaged_pickles(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(ModelFileError):
        load_model(save_pickle(tmp_path / "damaged.pth", pickled))


def test_a_pickle_that_doubles_itself_is_harmless() -> None:
    """A tuple of two of itself, a hundred times over: small in the file, endless when unfolded."""
    doubling = b"\x80\x02)" + b"".join(
        b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(100)
    )
    assert isinstance(read_pickle(doubling + b"."), tuple)
    with pytest.raises(ModelFileError):
        read_pickle(b"\x80\x02}" + doubling[2:] + b"K\x01s.")  # as a key, whose hash would unfold


@pytest.mark.parametrize("seed", range(50))
def test_every_truncated_checkpoint_is_our_error(tmp_path: Path, checkpoints, seed: int) -> None:
    data = checkpoints["audiomae"].read_bytes()
    cut = random.Random(seed).randrange(len(data))
    path = tmp_path / "cut.pth"
    path.write_bytes(data[:cut])
    with pytest.raises(HearAudioMLPError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelFileError, match=r"torch\.save"):
        load_model(tmp_path / "a.zip")


def test_mismatch_names_the_tensors(tmp_path: Path, checkpoints) -> None:
    state = torch.load(checkpoints["kwmlp"], weights_only=True)["model_state_dict"]
    del state["layers.3.fn.norm.bias"]
    state["extra"] = torch.zeros(3)
    state["to_logits.2.weight"] = torch.zeros(12, 64)
    torch.save({"model_state_dict": state}, tmp_path / "other.pth")
    with pytest.raises(CheckpointMismatchError) as caught:
        load_model(tmp_path / "other.pth")
    assert caught.value.missing == ("layers.3.fn.norm.bias",)
    assert caught.value.unexpected == ("extra",)
    assert caught.value.mismatched == ("to_logits.2.weight",)
    for part in ("layers.3.fn.norm.bias", "extra", "to_logits.2.weight: (12, 64), not (35, 64)"):
        assert part in str(caught.value)


@pytest.mark.parametrize("wrap", ["model_state_dict", "state_dict", None, "training", "protocol 4"])
def test_ways_in_which_people_save_checkpoints(tmp_path, checkpoints, wrap: str | None) -> None:
    state = torch.load(checkpoints["audiomae"], weights_only=True)["model_state_dict"]
    content: object = {wrap: state} if wrap in ("model_state_dict", "state_dict") else state
    if wrap == "training":
        parameters = {key: torch.nn.Parameter(value) for key, value in state.items()}
        optimizer = torch.optim.AdamW(list(parameters.values()))
        content = {
            "epoch": 3, "loss": 0.5, "model_state_dict": parameters, "seed": 2**40,
            "optimizer": optimizer.state_dict(), "best": None, "done": True,
            "random": torch.get_rng_state(), "shape": torch.Size([2, 3]),
        }  # fmt: skip
    protocol = 4 if wrap == "protocol 4" else 2
    torch.save(content, tmp_path / "saved.pth", pickle_protocol=protocol)
    audio = np.zeros((1, 16000), np.float32)
    np.testing.assert_array_equal(
        load_model(tmp_path / "saved.pth").scene_embeddings(audio),
        load_model(checkpoints["audiomae"]).scene_embeddings(audio),
    )


def test_tensors_are_read_as_torch_reads_them() -> None:
    base = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    tensors = {
        "transposed": base.T,
        "sliced": base[1:, ::2],
        "expanded": torch.ones(1, dtype=torch.float16).expand(1, 1),
        "half": base.half(),
        "bfloat16": torch.tensor([1.5, -3e5, 1e-30], dtype=torch.bfloat16),
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 5),
    }
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    buffer = io.BytesIO()
    torch.save(tensors | {"counter": torch.tensor(7)}, buffer)
    name, found = read_checkpoint(buffer.getvalue(), {"this one": shapes})
    assert name == "this one"
    assert found.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert found[key].dtype == np.float32
        np.testing.assert_array_equal(found[key], tensor.float().numpy())


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "match"),
    [
        ((1,), (10**30,), 0, "strides is no list of sizes"),
        ((0, 10**30), (1, 1), 0, "shape is no list of sizes"),
        ((0, 2**62, 8), (1, 1, 1), 0, "damaged"),
        ((1,) * 40, (1,) * 40, 0, "40 dimensions"),
        ((1,) * 100, (1,) * 100, 0, "shape is no list of sizes"),
        ((5,), (1,), 0, "out of its storage"),
        ((2, 2), (3, 1), 0, "out of its storage"),
        ((2, 2), (2, 1), 1, "out of its storage"),
    ],
)
def test_shapes_that_do_not_fit_their_storage(
    tmp_path: Path, shape, strides, offset, match
) -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(4)}, buffer)

    class Rebuilt:
        def __init__(self, storage: "Storage") -> None:
            self.storage = storage

        def __reduce__(self):
            arguments = (self.storage, offset, shape, strides, False, {})
            return torch._utils._rebuild_tensor_v2, arguments

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            if isinstance(obj, Storage):
                return ("storage", torch.FloatStorage, "0", "cpu", 4)
            return None

    pickled = io.BytesIO()
    Pickler(pickled, protocol=2).dump({"w": Rebuilt(Storage())})
    path = tmp_path / "odd.pth"
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled.getvalue() if name.endswith("data.pkl") else old.read(name))
    with pytest.raises(ModelFileError, match=match):
        read_checkpoint(path.read_bytes(), {"this one": {"w": shape}})


def test_deep_nesting_is_read_in_no_time() -> None:
    count = 100_000  # with a search through the whole stack this would take hours
    pickled = b"\x80\x02" + b"N" * count + b"(t" * count + b"."
    assert read_pickle(pickled) == ()


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02ctorch\nSize\nq\0(" + b"K\0" * 1_000 + b"t\x85q\1h\0h\1R.",
        b"\x80\x02}(" + b"".join(b"M%bN" % bytes(divmod(n, 256)) for n in range(20_000)) + b"u.",
        pickle.dumps({2**61 - 1 << 3: None}, protocol=2),
        pickle.dumps({0.5: None}, protocol=2),
    ],
    ids=["shape", "numbers", "large number", "fraction"],
)  # fmt: skip
def test_pickles_that_would_take_minutes_if_they_were_larger(pickled: bytes) -> None:
    """Tuples that are looked through again and again, and keys whose hashes can be chosen."""
    with pytest.raises(ModelFileError):
        read_pickle(pickled)


def test_keys_of_an_optimizer_and_a_scheduler() -> None:
    content = {"state": dict.fromkeys(range(5_000)), "milestones": {30: 1, 2**40: 1}, None: True}
    assert read_pickle(pickle.dumps(content, protocol=2)) == content


def rewritten(old: Path, new: Path, replace: dict[str, bytes], compression: int) -> Path:
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, replace.get(name.partition("/")[2], source.read(name)))
    return new


@pytest.mark.parametrize("member", ["byteorder", "data.pkl", "data/3"])
def test_members_that_would_unfold_to_gigabytes_are_not_unfolded(
    tmp_path: Path, checkpoints, member: str
) -> None:
    bomb = {member: bytes(65 << 20)}
    path = rewritten(checkpoints["audiomae"], tmp_path / "b.pth", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2 << 20
    with pytest.raises(ModelFileError, match="far more than it should"):
        load_model(path)


def test_many_storages_that_would_add_up_to_gigabytes_are_not_read(tmp_path: Path) -> None:
    large = torch.zeros(1 << 20)  # each tensor is a small part of a large storage of its own
    content = {f"w{index}": large.clone()[:4] for index in range(20)}
    torch.save(content, tmp_path / "views.pth")
    shapes = dict.fromkeys(content, (4,))
    with pytest.raises(ModelFileError, match="far more numbers than they have"):
        read_checkpoint((tmp_path / "views.pth").read_bytes(), {"this one": shapes})


def test_compressed_checkpoints(tmp_path: Path, checkpoints) -> None:
    old = checkpoints["audiomae"]
    assert load_model(rewritten(old, tmp_path / "a.pth", {}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ModelFileError, match="in a way that torch doesn't use"):
        load_model(rewritten(old, tmp_path / "b.pth", {}, zipfile.ZIP_LZMA))


def lying(path: Path, member: str, content: bytes, declared: int) -> None:
    """Append a deflated member that inflates to ``content`` and declares fewer bytes."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        entry = archive.getinfo(member)
        entry.file_size, entry.CRC = declared, zlib.crc32(content[:declared])


def test_a_member_is_inflated_no_further_than_it_declares(tmp_path: Path, checkpoints) -> None:
    with zipfile.ZipFile(checkpoints["audiomae"]) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        data = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "lying.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name in data.keys() - {f"{folder}/byteorder"}:
            archive.writestr(name, data[name])
    lying(path, f"{folder}/byteorder", b"little" + bytes(256 << 20), len("little"))
    content = path.read_bytes()
    shapes = {"audiomae": packaged_graph("audiomae")[1].external}
    tracemalloc.start()
    try:
        read_checkpoint(content, shapes)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_of_many_members_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "many.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_001):
            archive.writestr(f"a/{number:0200d}", b"")
    with pytest.raises(ModelFileError, match="far more members"):
        load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path, checkpoints) -> None:
    path = tmp_path / "twice.pth"
    path.write_bytes(checkpoints["audiomae"].read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"other")
    with pytest.raises(ModelFileError, match="two members of one name"):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -3e38])
def test_weights_that_are_no_numbers_are_the_fault_of_the_file(
    tmp_path: Path, checkpoints, value: float
) -> None:
    state = torch.load(checkpoints["audiomae"], weights_only=True)["model_state_dict"]
    state["bottleneck.0.weight"] = state["bottleneck.0.weight"].double()
    state["bottleneck.0.weight"][3, 5] = value
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(ModelFileError, match=r"bottleneck\.0\.weight has NaN, infinity"):
        load_model(tmp_path / "nan.pth")


@pytest.mark.parametrize(
    "pickled",
    [
        pickle.dumps({"\x1b]0;" + "x" * 100_000: 1}, protocol=2),
        pickle.dumps({"model_state_dict": {"\x1b[31m": 1}}, protocol=2),
        b"\x80\x02cos\n" + b"\x01" * 100_000 + b"\n.",
        b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b"Q.",
        b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        # Tuples of two of themselves, instead of a name, of an argument, of a key.
        *(
            b"\x80\x04)q\0" + b"".join(
                b"h" + bytes([i, 0x68, i, 0x86, 0x71, i + 1]) for i in range(60)
            ) + end
            for end in (b"N\x93.", b"(tR.", b"Q.", b"}h\x3cNs.", b".")
        ),
    ],
    ids=["key", "escape", "global", "integer", "digits", "name", "call", "reference", "k", "top"],
)  # fmt: skip
def test_errors_are_short_and_printable(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(ModelFileError) as caught:
        load_model(save_pickle(tmp_path / "x.pth", pickled))
    message = str(caught.value).removeprefix(str(tmp_path))
    assert len(message) < 1000
    assert message.isprintable()


def test_names_of_tensors_are_shown_short(tmp_path: Path) -> None:
    torch.save({"\x1b[31m" + "a" * 900: torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointMismatchError) as caught:
        load_model(tmp_path / "x.pth")
    assert "\\x1b[31maaa" in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_values_of_a_foreign_checkpoint_are_not_read(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pth"
    torch.save({"state_dict": {"large": torch.full((100, 100), 7.0)}}, foreign)
    data, values = foreign.read_bytes(), np.full(100 * 100, 7.0, np.float32).tobytes()
    assert values in data
    foreign.write_bytes(data.replace(values, bytes(len(values))))  # reading them would fail
    with pytest.raises(CheckpointMismatchError):
        load_model(foreign)


def test_checkpoint_in_the_old_format_is_recognized(tmp_path: Path, checkpoints) -> None:
    state = torch.load(checkpoints["audiomae"], weights_only=True)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelFileError, match=r"torch before 1\.6"):
        load_model(tmp_path / "old.pth")


def test_checkpoint_of_dataparallel_is_recognized(tmp_path: Path, checkpoints) -> None:
    state = torch.load(checkpoints["audiomae"], weights_only=True)["model_state_dict"]
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "p.pth")
    with pytest.raises(CheckpointMismatchError, match="DataParallel"):
        load_model(tmp_path / "p.pth")


def test_storage_that_is_shorter_than_its_tensor(tmp_path: Path, checkpoints) -> None:
    with (
        zipfile.ZipFile(checkpoints["audiomae"]) as old,
        zipfile.ZipFile(tmp_path / "short.pth", "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[:-4] if name.endswith("/data/3") else data)
    with pytest.raises(ModelFileError, match="252 bytes, not 64 numbers of 4 each"):
        load_model(tmp_path / "short.pth")


def test_published_checkpoints_are_recognized(shared: Path) -> None:
    model = hearaudiomlp.load_model(shared / "checkpoints" / "audiomae.pth")
    assert model.metadata["licence"] == "CC BY-SA 4.0"
    assert "ID56/HEAR-2021-Audio-MLP" in model.metadata["source"]


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_pins_are_those_of_the_published_files(shared: Path, name: str) -> None:
    data = (shared / "checkpoints" / f"{name}.pth").read_bytes()
    pin = PUBLISHED[name]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (pin.size, pin.sha256)
    assert pin.url.endswith(f"/checkpoints/{name}.pth")
