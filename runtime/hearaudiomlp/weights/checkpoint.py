"""Published checkpoints (``.pth``) read without torch and bound to a packaged graph."""

import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import CheckpointMismatchError, ModelFileError
from hearaudiomlp.weights.onnx_check import IMPLAUSIBLE, find_implausible
from hearaudiomlp.weights.unpickler import BFLOAT16, StorageRef, TensorRef, read_pickle

Weights = dict[str, npt.NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]
_Values = npt.NDArray[np.generic]

_MAX_PICKLE = 4 << 20  # the published ones have 60 and 30 kB
_MAX_MEMBERS = 20_000  # and the files have 160 and 90 members
_MAX_DIMENSIONS = 32  # of a tensor: NumPy 1.26 crashes on far more
_LARGE = 4 << 20  # bytes of a file whose members are counted before it is opened
_MAX_VALUES = 16 << 20  # of all tensors together; the larger encoder has 0.4 million
_SHOWN = 6
_ENTRY = b"PK\x01\x02"  # what a member's entry in a zip file's directory begins with


def _open(data: bytes) -> tuple[zipfile.ZipFile, str]:
    # zipfile makes an object of each member: of a small file, that is no more than 50 MB.
    if len(data) > _LARGE and data.count(_ENTRY) > _MAX_MEMBERS:
        raise ModelFileError("a zip file of far more members than a checkpoint has")
    archive = zipfile.ZipFile(io.BytesIO(data))
    if len(set(archive.namelist())) != len(archive.namelist()):
        raise ModelFileError("a zip file with two members of one name")
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].count("/") != 1:
        raise ModelFileError("a zip file, but not one that torch.save wrote (it has no data.pkl)")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist():
        order = _read(archive, f"{folder}byteorder", len("little"))
        if order != b"little":
            raise ModelFileError(
                "a checkpoint of a big-endian machine: save it again on a little-endian one"
            )
    return archive, folder


def _read(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """Read a member, unless it is larger than any that belongs to one of these encoders."""
    entry = archive.getinfo(name)
    if entry.file_size > largest:
        raise ModelFileError(
            f"{shorten(name)} has {entry.file_size:,} bytes, far more than it should"
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelFileError(f"{shorten(name)} is compressed in a way that torch doesn't use")
    with archive.open(entry) as member:
        # With a size, zipfile inflates that much. Without one it inflates all that there is, and
        # cuts that to the size that the directory declares.
        data = member.read(entry.file_size + 1)
    if len(data) != entry.file_size:
        raise ModelFileError(
            f"{shorten(name)} has {len(data):,} bytes, not the {entry.file_size:,} that it declares"
        )
    return data


def _read_storage(archive: zipfile.ZipFile, folder: str, storage: StorageRef) -> _Values:
    name = f"{folder}data/{storage.key}"
    dtype = np.dtype("<u2" if storage.dtype == BFLOAT16 else storage.dtype)
    data = _read(archive, name, storage.size * dtype.itemsize)
    if len(data) != storage.size * dtype.itemsize:
        raise ModelFileError(
            f"{shorten(name)} has {len(data):,} bytes, not {shorten(storage.size)} numbers of "
            f"{dtype.itemsize} each"
        )
    values = np.frombuffer(data, dtype)
    if storage.dtype == BFLOAT16:  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values


def _view(values: _Values, tensor: TensorRef) -> _Values:
    if len(tensor.shape) > _MAX_DIMENSIONS:
        raise ModelFileError(f"a tensor has {len(tensor.shape):,} dimensions")
    count = math.prod(tensor.shape)
    reach = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    # Zero strides could ask for far more values than are stored.
    if count > values.size or (count and tensor.offset + reach > values.size):
        raise ModelFileError("a tensor reaches out of its storage")
    steps = tuple(step * values.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, steps, writeable=False
    )


def _state_dict(content: object) -> dict[str, TensorRef]:
    for key in ("model_state_dict", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise ModelFileError("the checkpoint holds no dictionary of tensors")
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, TensorRef) and value.storage.is_floating
    }
    if not tensors:
        raise ModelFileError("the checkpoint holds no dictionary of tensors")
    return tensors


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(shorten(name, 150) for name in listed[:_SHOWN]) + more


def _mismatch(found: Shapes, expected: Shapes, name: str) -> CheckpointMismatchError | None:
    """Return the error that lists how tensors differ from those that ``name`` expects."""
    missing = tuple(key for key in expected if key not in found)
    unexpected = tuple(key for key in found if key not in expected)
    mismatched = tuple(key for key in expected if found.get(key, expected[key]) != expected[key])
    if not (missing or unexpected or mismatched):
        return None
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing ({_some(missing)})")
    if unexpected:
        parts.append(f"{len(unexpected)} unexpected ({_some(unexpected)})")
    if mismatched:
        shapes = (f"{key}: {found[key]}, not {expected[key]}" for key in mismatched)
        parts.append(f"{len(mismatched)} of another shape ({_some(shapes)})")
    hint = ""
    if found and all(key.startswith("module.") for key in found):
        hint = "; it was saved from DataParallel: save model.module.state_dict() instead"
    return CheckpointMismatchError(
        f"a checkpoint of another architecture than {name}: tensors {'; '.join(parts)}{hint}",
        missing=missing,
        unexpected=unexpected,
        mismatched=mismatched,
    )


def _identify(found: Shapes, graphs: Mapping[str, Shapes], wanted: str | None) -> str:
    """Return the encoder whose tensors were found; raise the nearest mismatch if there is none."""
    problems: dict[str, CheckpointMismatchError] = {}
    fitting = None
    for name in sorted(graphs, key=lambda name: name != wanted):
        problem = _mismatch(found, graphs[name], name)
        if problem is None:
            fitting = name
            break
        problems[name] = problem
    if fitting is not None and wanted in (None, fitting):
        return fitting
    candidates = [problem for name, problem in problems.items() if wanted in (None, name)]
    nearest = min(candidates, key=lambda p: len(p.missing) + len(p.unexpected) + len(p.mismatched))
    if fitting is not None:
        nearest.args = (f"a checkpoint of {fitting}, not of {wanted}: {nearest}",)
    raise nearest


def _read_tensors(
    data: bytes, graphs: Mapping[str, Shapes], name: str | None
) -> tuple[str, Weights]:
    archive, folder = _open(data)
    with archive:
        tensors = _state_dict(read_pickle(_read(archive, f"{folder}data.pkl", _MAX_PICKLE)))
        name = _identify({key: tensor.shape for key, tensor in tensors.items()}, graphs, name)
        needed = {tensors[key].storage for key in graphs[name]}
        if sum(storage.size for storage in needed) > _MAX_VALUES:
            raise ModelFileError("its tensors are views of far more numbers than they have")
        storages = {storage: _read_storage(archive, folder, storage) for storage in needed}
    weights: Weights = {}
    with np.errstate(over="ignore"):  # doubles that float32 can't hold are refused as infinite
        for key in graphs[name]:
            values = _view(storages[tensors[key].storage], tensors[key])
            weights[key] = np.array(values, np.float32, order="C")
    if (odd := find_implausible(weights)) is not None:
        raise ModelFileError(f"the tensor {odd} has {IMPLAUSIBLE} in it")
    return name, weights


def read_checkpoint(
    data: bytes, graphs: Mapping[str, Shapes], name: str | None = None
) -> tuple[str, Weights]:
    """Read the checkpoint whose bytes are ``data``.

    The tensors are those under ``model_state_dict`` (as published), under ``state_dict``, or at
    the top. Names and shapes are compared before any values are read.

    Args:
        data: the file's content.
        graphs: the tensors that each encoder expects: name to shape.
        name: the encoder, where only that one will do.

    Returns:
        The encoder that the tensors are of, and the tensors by name, as float32.

    Raises:
        CheckpointMismatchError: the tensors are of another architecture.
        UnsafeCheckpointError: its pickle asks for anything but tensors in dictionaries.
        ModelFileError: it is damaged, no torch checkpoint, or has NaN, infinity or absurdly large
            numbers in its weights.

    Examples:
        >>> from pathlib import Path
        >>> from hearaudiomlp.weights import locate, model_file
        >>> graphs = {"kwmlp": model_file.packaged_graph("kwmlp")[1].external}
        >>> name, weights = read_checkpoint(Path(locate.bundled("kwmlp")).read_bytes(), graphs)
        >>> name, weights["to_logits.2.weight"].shape
        ('kwmlp', (35, 64))
    """
    try:
        return _read_tensors(data, graphs, name)
    except ModelFileError as problem:
        if type(problem) is ModelFileError:
            problem.args = (f"the checkpoint can't be read: {problem}",)
        raise
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as problem:
        raise ModelFileError(
            f"not a torch checkpoint, or one that was cut off ({shorten(problem, 200)})"
        ) from None
    except (NotImplementedError, RuntimeError, OSError, ValueError, OverflowError) as problem:
        # What zipfile and numpy raise for encryption, impossible offsets and impossible shapes.
        raise ModelFileError(f"the checkpoint is damaged ({shorten(problem, 200)})") from None
