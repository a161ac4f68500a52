"""The microphone (extra ``[live]``: sounddevice), as mono float32 at 16 kHz."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from hearaudiomlp._types import Floats
from hearaudiomlp.audio.pcm import ToModelRate
from hearaudiomlp.errors import DeviceError, MissingPackageError
from hearaudiomlp.spec import SAMPLE_RATE

_BLOCK_S = 0.05  # of audio that is read at a time


def _package() -> ModuleType:
    try:
        import sounddevice
    except (ImportError, OSError) as problem:  # OSError where PortAudio itself is missing
        raise MissingPackageError(
            f"the microphone needs sounddevice and PortAudio ({problem}): "
            "pip install 'hearaudiomlp[live]', and on Debian apt-get install libportaudio2"
        ) from problem
    return sounddevice  # type: ignore[no-any-return]


class Microphone:
    """A capture device, open while it is used in a ``with`` statement.

    Examples:
        >>> from hearaudiomlp.audio.microphone import Microphone
        >>> with Microphone() as microphone:  # doctest: +SKIP
        ...     for chunk in microphone.chunks():
        ...         print(chunk.shape)
    """

    def __init__(
        self, device: str | None = None, on_loss: Callable[[], object] = lambda: None
    ) -> None:
        """Find the device and its rate: 16 kHz where it has that, else its own.

        Args:
            device: its number, or a part of its name; the system's default, if not given.
            on_loss: is called when samples were lost because they weren't read in time.

        Raises:
            MissingPackageError: the extra ``[live]`` isn't installed, or PortAudio isn't.
            DeviceError: there is no such device, or it can't capture.
        """
        package = _package()
        self._errors = (package.PortAudioError, ValueError)  # ValueError for unknown names
        self._on_loss = on_loss
        chosen = int(device) if device is not None and device.isdecimal() else device
        try:
            facts: dict[str, Any] = package.query_devices(chosen, "input")
            self.name: str = facts["name"]
            """The device's name."""
            rate = self._rate(package, chosen, facts)
            self.rate: int = rate
            """Samples per second that the device gives."""
            self._converter = ToModelRate(rate, 1)
            self._block = round(_BLOCK_S * rate)
            self._stream = package.InputStream(
                samplerate=rate, device=chosen, channels=1, dtype="float32", blocksize=self._block
            )
        except self._errors as problem:
            wanted = "the default device" if device is None else f"device {device}"
            raise DeviceError(f"no microphone at {wanted}: {problem}") from problem

    def _rate(self, package: ModuleType, device: int | str | None, facts: dict[str, Any]) -> int:
        try:
            package.check_input_settings(device, channels=1, samplerate=SAMPLE_RATE)
        except self._errors:
            return int(facts["default_samplerate"])
        return SAMPLE_RATE

    def __enter__(self) -> "Microphone":
        """Begin to capture."""
        try:
            self._stream.start()
        except self._errors as problem:
            raise DeviceError(f"{self.name} can't capture: {problem}") from problem
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once."""
        self._stream.close(ignore_errors=True)

    def chunks(self) -> Iterator[Floats]:
        """Capture for ever: mono at 16 kHz in pieces [shape=(n,)] of about 50 ms.

        Raises:
            DeviceError: the device is gone.
        """
        while True:
            try:
                samples, lost = self._stream.read(self._block)
            except self._errors as problem:
                raise DeviceError(f"{self.name} captures no more: {problem}") from problem
            if lost:
                self._on_loss()
            yield self._converter.convert(samples[:, 0])
