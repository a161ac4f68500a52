"""What is fuzzed: each target takes bytes, and may raise nothing but the package's own errors.

``python tests/fuzz/run.py TARGET`` fuzzes one with atheris; the test suite replays the kept corpus
and some thousand mutations of it.
"""

import contextlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hearaudiomlp import HearAudioMLPError
from hearaudiomlp._text import printable
from hearaudiomlp.audio.decoders import examine
from hearaudiomlp.errors import EmbeddingFileError, ModelFileError, TaskFolderError
from hearaudiomlp.table.find import Skipped, find
from hearaudiomlp.table.formats.heareval import HearevalTask
from hearaudiomlp.table.scenes import read_embeddings
from hearaudiomlp.weights.checkpoint import read_checkpoint
from hearaudiomlp.weights.metadata import read_labels
from hearaudiomlp.weights.model_file import packaged_graph, read_model_file
from hearaudiomlp.weights.onnx_check import check_graph
from hearaudiomlp.weights.onnx_file import summarize
from hearaudiomlp.weights.unpickler import read_pickle

Target = Callable[[bytes], None]

SHAPES = {"a": {"w": (2, 3), "b": (3,)}, "b": {"w": (2, 2), "c": (1,)}}
_FOLDER = Path(tempfile.mkdtemp(prefix="hearaudiomlp-fuzz-", dir=os.environ.get("FUZZ_SCRATCH")))


def _check_message(problem: BaseException) -> None:
    text = str(problem)
    assert len(text) < 3000, len(text)
    assert printable(text) == text, text


def pickled(data: bytes) -> None:
    """The pickle in a checkpoint."""
    try:
        read_pickle(data)
    except ModelFileError as problem:
        _check_message(problem)


def checkpoint(data: bytes) -> None:
    """A checkpoint: an archive with a pickle and tensors."""
    try:
        name, weights = read_checkpoint(data, SHAPES)
    except ModelFileError as problem:
        _check_message(problem)
        return
    for key, values in weights.items():
        assert values.shape == SHAPES[name][key]
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def zipped(data: bytes) -> None:
    """A pickle inside an archive that is whole."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/data/0", bytes(24))
        archive.writestr("a/data/1", bytes(12))
    checkpoint(buffer.getvalue())


def onnx(data: bytes) -> None:
    """An ONNX file, as far as ONNX Runtime."""
    for step in (read_model_file, _summarize_and_check):
        try:
            step(data)
        except ModelFileError as problem:
            _check_message(problem)


def _summarize_and_check(data: bytes) -> None:
    summary = summarize(data)
    for name in ("kwmlp", "audiomae"):
        check_graph(summary, packaged_graph(name)[1])


def metadata(data: bytes) -> None:
    """The labels in a model's metadata."""
    text = data.decode(errors="surrogateescape")
    for kind in ("own", "speech_commands"):
        card = {"model": "kwmlp", "labels_kind": kind, "keyword_labels": text}
        try:
            labels = read_labels(card)
        except ValueError as problem:
            _check_message(ModelFileError(printable(problem)))
        else:
            assert all(isinstance(one, str) and printable(one) == one for one in labels)


def audio(data: bytes) -> None:
    """The headers of a recording."""
    with contextlib.suppress(HearAudioMLPError, OSError):
        examine(io.BytesIO(data))


def table(data: bytes) -> None:
    """A table of embeddings, .npz."""
    path = _FOLDER / "t.npz"
    path.write_bytes(data)
    try:
        paths, scenes = read_embeddings(path)
    except EmbeddingFileError as problem:
        _check_message(problem)
    else:
        assert scenes.shape[0] == len(paths)
        assert scenes.dtype == np.float32


def arrays(data: bytes) -> None:
    """The arrays in a table that is whole otherwise."""
    half = len(data) // 2
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("paths.npy", data[:half])
        archive.writestr("scene_embeddings.npy", data[half:])
    table(buffer.getvalue())


def listing(data: bytes) -> None:
    """A list of files."""
    if b"://" in data or b"*" in data or b"/" in data:
        return  # what is elsewhere is left alone
    path = _FOLDER / "l.txt"
    path.write_bytes(data)
    with contextlib.suppress(HearAudioMLPError):
        list(find([str(path)], Skipped()))


def task(data: bytes) -> None:
    """A HEAR task's JSON."""
    folder = _FOLDER / "task"
    for split in ("train", "valid", "test"):
        (folder / "16000" / split).mkdir(parents=True, exist_ok=True)
    (folder / "labelvocabulary.csv").write_text("idx,label\n0,a\n")
    half = data.find(b"\0")
    (folder / "task_metadata.json").write_bytes(data[: max(half, 0)])
    for split in ("train", "valid", "test"):
        (folder / f"{split}.json").write_bytes(data[half + 1 :])
    try:
        found = HearevalTask(folder)
    except TaskFolderError:
        return
    inside = folder.resolve()
    for path in found.paths:
        assert inside in Path(os.path.normpath(path)).parents


TARGETS: dict[str, Target] = {
    one.__name__: one
    for one in (
        pickled, checkpoint, zipped, onnx, metadata, audio, table, arrays, listing, task,
    )
}  # fmt: skip


def seeds() -> dict[str, list[bytes]]:
    """Make small well-formed inputs, from which the corpus starts."""
    torch_like = (
        b"\x80\x02}(X\x10\x00\x00\x00model_state_dict}("
        b"X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
        b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00(K\x02K\x03t(K\x03K\x01t"
        b"\x89ccollections\nOrderedDict\n)RtR"
        b"X\x01\x00\x00\x00bctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
        b"HalfStorage\nX\x01\x00\x00\x001X\x03\x00\x00\x00cpuK\x06tQK\x01(K\x03t(K\x01t"
        b"\x89ccollections\nOrderedDict\n)RtRuu."
    )
    whole = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("a/data.pkl", torch_like)
            archive.writestr("a/byteorder", "little")
            archive.writestr("a/data/0", bytes(24))
            archive.writestr("a/data/1", bytes(12))
        whole.append(buffer.getvalue())
    npz, paths, scenes = io.BytesIO(), io.BytesIO(), io.BytesIO()
    values = np.ones((2, 3), np.float32)
    np.savez(npz, paths=["a", "b"], scene_embeddings=values)
    np.save(paths, np.array(["a", "b"]))
    np.save(scenes, values)
    kind = {"splits": ["train"], "embedding_type": "scene", "split_mode": "trainvaltest"}
    events = kind | {"embedding_type": "event"}
    event = {"a.wav": [{"label": "x", "start": 0.0, "end": 20.5}]}
    return {
        "pickled": [torch_like],
        "zipped": [torch_like],
        "checkpoint": whole,
        "onnx": [_small_onnx()],
        "metadata": [b'["yes", "no"]', b'["\\u202e", 1]', b"[[[]]]", b"null"],
        "audio": _recordings(),
        "table": [npz.getvalue()],
        "arrays": [paths.getvalue() + scenes.getvalue()],
        "listing": [b"a.wav\nb.wav\r\n", b"a\0b\0", "a.wav\n".encode("utf-16"), b"\xff\xfe\n[\n"],
        "task": [
            json.dumps(kind).encode() + b"\0" + json.dumps({"a.wav": ["x"]}).encode(),
            json.dumps(events).encode() + b"\0" + json.dumps(event).encode(),
        ],
    }


def _recordings() -> list[bytes]:
    try:
        import soundfile
    except ImportError:
        return [b"RIFF\x24\0\0\0WAVE"]
    found = []
    sound = 0.5 * np.sin(np.arange(400) / 9)
    for kind, subtype in (
        ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("W64", None),
        ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("AIFF", None),
        ("AU", None), ("CAF", None),
    ):  # fmt: skip
        buffer = io.BytesIO()
        soundfile.write(buffer, sound, 16000, format=kind, subtype=subtype)
        found.append(buffer.getvalue()[:4000])
    found.append(b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42\0\0\0\x10moov\0\0\0\x08mvhd\0\0\0\x08mdat")
    found.append(b"\x1aE\xdf\xa3\x84B\x82\x81\x00\x18S\x80g\x88\x16T\xaek\x80\0\0\0")
    found.append(b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel" + bytes(40))
    found.append(b"#!AMR\n" + b"\x3c" + bytes(31))
    return found


def _small_onnx() -> bytes:
    """A graph of audiomae's signature and metadata that fits into a kilobyte or two."""

    def field(number: int, value: int | bytes | str) -> bytes:
        if isinstance(value, int):
            return _varint(number << 3) + _varint(value)
        data = value.encode() if isinstance(value, str) else value
        return _varint(number << 3 | 2) + _varint(len(data)) + data

    def info(name: str, *shape: int | str) -> bytes:
        dims = b"".join(
            field(1, field(1, size) if isinstance(size, int) else field(2, size)) for size in shape
        )
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    def node(operator: str, inputs: str, output: str) -> bytes:
        names = b"".join(field(1, name) for name in inputs.split())
        return names + field(2, output) + field(4, operator)

    def tensor(name: str, values: np.ndarray) -> bytes:
        dims = b"".join(field(1, size) for size in values.shape)
        kind = 7 if values.dtype == np.int64 else 1
        return dims + field(2, kind) + field(8, name) + field(9, values.tobytes())

    numbers = {"start": [0], "end": [784], "axis": [1], "step": [1], "shape": [-1, 98, 8]}
    graph = b"".join(
        (
            field(1, node("Slice", "windows start end axis step", "s")),
            field(1, node("Add", "s bias", "t") + field(5, field(1, "axis") + field(3, 1))),
            field(1, node("Reshape", "t shape", "frame_embeddings")),
            field(2, "g"),
            field(5, tensor("bias", np.ones(1, np.float32))),
            *(field(5, tensor(name, np.array(value))) for name, value in numbers.items()),
            field(11, info("windows", "n", 16000)),
            field(12, info("frame_embeddings", "n", 98, 8)),
        )
    )
    card = {
        "hearaudiomlp_format": "1", "model": "audiomae", "sample_rate": "16000", "hop": "160",
        "timestamp_embedding_size": "8", "scene_embedding_size": "1584", "scene_steps": "198",
        "keyword_labels": "[]", "parameters": "1", "macs_per_window": "1", "licence": "x",
        "encoder_macs_per_window": "1", "checkpoint_sha256": "0", "source": "x",
        "hearaudiomlp_version": "0",
    }  # fmt: skip
    entries = b"".join(field(14, field(1, key) + field(2, value)) for key, value in card.items())
    return field(1, 10) + field(7, graph) + field(8, field(1, "") + field(2, 20)) + entries


def _varint(value: int) -> bytes:
    low = bytes([value & 127 | (128 if value > 127 else 0)])
    return low + _varint(value >> 7) if value > 127 else low
