"""Published checkpoints (``.pth``) read without torch and bound to a packaged graph."""

import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from hearaudiomlp.errors import CheckpointMismatchError, ModelFileError
from hearaudiomlp.statedict import StorageRef, TensorRef, read_pickle

Weights = dict[str, npt.NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]

_MAX_PICKLE = 16 << 20
_MAX_VALUES = 64 << 20
_SHOWN = 6


def _open(data: bytes) -> tuple[zipfile.ZipFile, str]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].count("/") != 1:
        raise ModelFileError("a zip file, but not one that torch.save wrote (it has no data.pkl)")
    folder = pickles[0].removesuffix("data.pkl")
    if (
        f"{folder}byteorder" in archive.namelist()
        and archive.read(f"{folder}byteorder") != b"little"
    ):
        raise ModelFileError("a checkpoint written on a big-endian machine; save it on another one")
    if archive.getinfo(pickles[0]).file_size > _MAX_PICKLE:
        raise ModelFileError("the checkpoint's pickle is far too large for one of these encoders")
    return archive, folder


def _read_storage(
    archive: zipfile.ZipFile, folder: str, storage: StorageRef
) -> npt.NDArray[np.generic]:
    entry = archive.getinfo(f"{folder}data/{storage.key}")
    dtype = np.dtype(storage.dtype)
    if storage.size > _MAX_VALUES or entry.file_size != storage.size * dtype.itemsize:
        raise ModelFileError(
            f"the checkpoint is damaged: {entry.filename} has {entry.file_size:,} bytes, "
            f"not {storage.size:,} numbers of {dtype.itemsize} bytes"
        )
    return np.frombuffer(archive.read(entry), dtype)


def _view(values: npt.NDArray[np.generic], tensor: TensorRef) -> npt.NDArray[np.generic]:
    count = math.prod(tensor.shape)
    reach = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    # Zero strides could ask for far more values than are stored.
    if count > values.size or (count and tensor.offset + reach > values.size):
        raise ModelFileError("the checkpoint is damaged: a tensor reaches out of its storage")
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
    tensors = {str(name): value for name, value in content.items() if isinstance(value, TensorRef)}
    if not tensors:
        raise ModelFileError("the checkpoint holds no dictionary of tensors")
    return tensors


def read_checkpoint(data: bytes) -> Weights:
    """Return the tensors of a checkpoint whose bytes are ``data``, by name.

    The tensors are those under ``model_state_dict`` (as published), under ``state_dict``, or at
    the top. Floating-point tensors become float32; others are left out.

    Raises:
        UnsafeCheckpointError: its pickle asks for anything but tensors in dictionaries.
        ModelFileError: it is damaged, or no torch checkpoint.
    """
    try:
        archive, folder = _open(data)
        with archive:
            tensors = _state_dict(read_pickle(archive.read(f"{folder}data.pkl")))
            storages = {
                ref: _read_storage(archive, folder, ref)
                for ref in {tensor.storage for tensor in tensors.values()}
            }
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as problem:
        raise ModelFileError(
            f"not a torch checkpoint, or one that was cut off ({problem})"
        ) from None
    except (NotImplementedError, RuntimeError, OSError, ValueError) as problem:
        # What zipfile raises for encryption, unknown compression and impossible offsets.
        raise ModelFileError(f"the checkpoint is damaged ({problem})") from None
    weights: Weights = {}
    for name, tensor in tensors.items():
        values = _view(storages[tensor.storage], tensor)
        if values.dtype.kind == "f":
            weights[name] = np.array(values, np.float32, order="C")
    return weights


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def mismatch(weights: Weights, expected: Shapes, name: str) -> CheckpointMismatchError | None:
    """Return the error that tells how ``weights`` differ from what the graph ``name`` expects."""
    missing = tuple(key for key in expected if key not in weights)
    unexpected = tuple(key for key in weights if key not in expected)
    mismatched = tuple(
        key for key in expected if key in weights and weights[key].shape != tuple(expected[key])
    )
    if not (missing or unexpected or mismatched):
        return None
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing ({_some(missing)})")
    if unexpected:
        parts.append(f"{len(unexpected)} unexpected ({_some(unexpected)})")
    if mismatched:
        shapes = (f"{key}: {weights[key].shape}, not {tuple(expected[key])}" for key in mismatched)
        parts.append(f"{len(mismatched)} of another shape ({_some(shapes)})")
    return CheckpointMismatchError(
        f"a checkpoint of another architecture than {name}: tensors " + "; ".join(parts),
        missing=missing,
        unexpected=unexpected,
        mismatched=mismatched,
    )


def identify(weights: Weights, graphs: Mapping[str, Shapes]) -> str:
    """Return the name of the graph that the weights fit.

    Raises:
        CheckpointMismatchError: they fit none; the message compares them with the nearest.
    """
    problems: list[CheckpointMismatchError] = []
    for name, expected in graphs.items():
        problem = mismatch(weights, expected, name)
        if problem is None:
            return name
        problems.append(problem)
    raise min(problems, key=lambda p: len(p.missing) + len(p.unexpected) + len(p.mismatched))
