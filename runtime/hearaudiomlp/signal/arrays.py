"""Convert arrays of any framework to float32 numpy, and results back to the caller's kind.

Objects with nothing but DLPack or ``__array__`` can be read but not created, so their results are
numpy arrays. No framework is imported here: if the caller has a tensor of one, it is in
``sys.modules``.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._types import Floats
from hearaudiomlp.errors import AudioTypeError, AudioValueError, ModelFileError, warn_once

ToCaller = Callable[[Floats], Any]

LOUD = 10.0
"""Absolute value above which audio is probably unscaled PCM; full scale is 1."""


def _as_is(array: Floats) -> Any:
    return array


def _from_torch(torch: Any, tensor: Any) -> tuple[npt.NDArray[Any], ToCaller]:
    device = tensor.device
    try:
        plain = tensor.detach().resolve_neg().resolve_conj()
        if plain.is_floating_point():
            plain = plain.to(torch.float32)  # numpy has no bfloat16
        array = plain.cpu().numpy()
    except (TypeError, RuntimeError) as problem:  # sparse, quantized, nested, meta ...
        raise AudioTypeError(f"this torch tensor has no plain values: {problem}") from problem
    return array, lambda result: torch.from_numpy(result).to(device)


def _from_tensorflow(tensorflow: Any, tensor: Any) -> tuple[npt.NDArray[Any], ToCaller]:
    if tensor.dtype.is_floating:
        tensor = tensorflow.cast(tensor, tensorflow.float32)

    def to_caller(array: Floats) -> Any:
        with tensorflow.device(tensor.device):
            return tensorflow.convert_to_tensor(array)

    return tensor.numpy(), to_caller


def _from_array_api(audio: Any) -> tuple[npt.NDArray[Any], ToCaller]:
    """Convert arrays that follow the array API standard: JAX, CuPy and others."""
    namespace = audio.__array_namespace__()
    try:
        array = np.asarray(audio)
    except TypeError:  # they leave their device only when asked to
        if hasattr(audio, "get"):  # CuPy
            array = audio.get()
        elif np.lib.NumpyVersion(np.__version__) >= "2.1.0":
            array = np.from_dlpack(audio, device="cpu")
        else:
            raise TypeError("NumPy copies from devices from version 2.1 on") from None
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)

    def to_caller(result: Floats) -> Any:
        restored = namespace.asarray(result)
        return restored.to_device(audio.device) if hasattr(restored, "to_device") else restored

    return array, to_caller


def _to_numpy(audio: Any) -> tuple[npt.NDArray[Any], ToCaller]:
    # Looked for among what is imported, as torch is: touching np.ma would import it, slowly.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(audio, masked.MaskedArray):
        raise AudioTypeError("audio is a masked array: audio.filled(0) makes a plain one")
    if isinstance(audio, np.ndarray):
        return np.asarray(audio), _as_is
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(audio, getattr(torch, "Tensor", ())):
        return _from_torch(torch, audio)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and getattr(tensorflow, "is_tensor", lambda _: False)(audio):
        return _from_tensorflow(tensorflow, audio)
    try:
        if hasattr(audio, "__array_namespace__"):
            return _from_array_api(audio)
        if hasattr(audio, "__dlpack__"):
            return np.from_dlpack(audio), _as_is
        if hasattr(audio, "__array__"):
            return np.asarray(audio), _as_is
    except (TypeError, ValueError, RuntimeError, BufferError) as problem:
        raise AudioTypeError(f"{type(audio).__name__} can't be read: {problem}") from problem
    raise AudioTypeError(
        f"audio has to be an array or a tensor, not {type(audio).__name__}: "
        "numpy.asarray(audio, dtype=numpy.float32) makes one"
    )


def _check(audio: npt.NDArray[Any]) -> None:
    if audio.dtype.kind in "iub":
        raise AudioTypeError(
            f"audio has to be floating-point numbers in [-1, 1], not {audio.dtype}: "
            "divide 16-bit PCM by 32768.0"
        )
    if audio.dtype.kind != "f":
        raise AudioTypeError(f"audio has to be real floating-point numbers, not {audio.dtype}")
    if audio.ndim != 2:
        hint = ": add an axis for a single sound, audio[None, :]" if audio.ndim == 1 else ""
        raise AudioValueError(
            f"audio has to have the shape (n_sounds, n_samples), not {audio.shape}{hint}"
        )
    if audio.shape[0] == 0:
        raise AudioValueError(f"there are no sounds in audio of shape {audio.shape}")


def peak(audio: Floats) -> float:
    """Return the largest absolute value; NaN or infinity, if there are any.

    Examples:
        >>> peak(np.array([[0.25, -0.5]], np.float32))
        0.5
    """
    return max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))


def _check_values(audio: Floats) -> None:
    if audio.size == 0:
        return
    highest = peak(audio)
    if not np.isfinite(highest):
        bad = ~np.isfinite(audio)
        sound, sample = np.unravel_index(bad.argmax(), bad.shape)
        raise AudioValueError(
            f"audio has {np.count_nonzero(bad)} values that are NaN or infinite, the first at "
            f"sound {sound}, sample {sample}: numpy.nan_to_num(audio) replaces them"
        )
    warn_if_loud(highest)


def warn_if_loud(highest: float) -> None:
    """Warn, once, of samples that are far outside [-1, 1].

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_if_loud(30_000.0)
        >>> "PCM left unscaled" in str(caught[0].message)
        True
    """
    if highest > LOUD:
        warn_once(
            "loud audio",
            f"audio reaches {highest:.4g}, far outside [-1, 1]: was PCM left unscaled? "
            "Divide 16-bit PCM by 32768.0",
            UserWarning,
        )


def refuse_overflow(embeddings: Floats, audio: Floats) -> None:
    """Raise an error where embeddings show that float32 has overflowed.

    Raises:
        AudioValueError: the audio is far louder than full scale.
        ModelFileError: it isn't, so the fault is the model's.

    Examples:
        >>> audio, broken = np.ones(16_000, np.float32), np.full((1, 64), np.nan, np.float32)
        >>> refuse_overflow(np.zeros((1, 64), np.float32), audio)
        >>> refuse_overflow(broken, 1e20 * audio)
        Traceback (most recent call last):
        ...
        hearaudiomlp.errors.AudioValueError: ...
        >>> refuse_overflow(broken, audio)
        Traceback (most recent call last):
        ...
        hearaudiomlp.errors.ModelFileError: the model makes NaN or infinity of ordinary audio
    """
    if np.isfinite(peak(embeddings)):
        return
    if peak(audio) <= LOUD:
        raise ModelFileError("the model makes NaN or infinity of ordinary audio")
    raise AudioValueError(
        "this audio is so loud that its power overflows float32: scale it to [-1, 1]"
    )


def validate_audio(audio: Any) -> tuple[Floats, ToCaller]:
    """Check audio and convert it to float32.

    Args:
        audio: sounds in [-1, 1] at 16 kHz [shape=(n_sounds, n_samples)]: a numpy array or a tensor
            of another framework, of any floating-point dtype. It isn't changed.

    Returns:
        The sounds as numpy, and a function that turns results into the caller's kind of array, on
        the caller's device.

    Raises:
        AudioTypeError: audio isn't an array of floating-point numbers.
        AudioValueError: it isn't two-dimensional, has no sounds, or has NaN or infinity in it.

    Examples:
        >>> sounds, to_caller = validate_audio(np.zeros((2, 16000)))  # float64 in
        >>> sounds.dtype, sounds.shape
        (dtype('float32'), (2, 16000))
        >>> validate_audio(np.zeros(16000))
        Traceback (most recent call last):
        ...
        hearaudiomlp.errors.AudioValueError: ...
    """
    array, to_caller = _to_numpy(audio)
    _check(array)
    with np.errstate(over="ignore"):  # what float32 can't hold is refused as infinite
        converted = np.asarray(array, dtype=np.float32)
    _check_values(converted)
    return converted, to_caller


def validate_samples(samples: Any) -> tuple[Floats, ToCaller]:
    """Check the samples of one sound and convert them to float32, as :func:`validate_audio` does.

    Args:
        samples: in [-1, 1] at 16 kHz [shape=(n_samples,)].

    Raises:
        AudioTypeError: samples isn't an array of floating-point numbers.
        AudioValueError: it isn't one-dimensional, or has NaN or infinity in it.

    Examples:
        >>> samples, to_caller = validate_samples(np.zeros(1600))
        >>> samples.shape
        (1600,)
    """
    shape = getattr(samples, "shape", None)
    if shape is not None and len(shape) != 1:
        raise AudioValueError(
            f"a stream takes samples of the shape (n_samples,), one sound, not {tuple(shape)}"
        )
    sounds, to_caller = validate_audio(samples if shape is None else samples[None])
    return sounds[0], to_caller
