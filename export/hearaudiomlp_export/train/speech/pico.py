"""SVOX Pico through ``pico2wave``: never trained on, the engine that is held out to measure with.

Debian has it in its non-free section (the licence is Apache 2.0; the voices come without sources).
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import soundfile

from hearaudiomlp_export.train.errors import SynthesizerMissingError
from hearaudiomlp_export.train.speech.voices import Samples, Voice

VOICES = ("en-US", "en-GB")


class Pico:
    """The ``pico2wave`` program."""

    name = "pico"
    package = "libttspico-utils"

    def __init__(self) -> None:
        if shutil.which("pico2wave") is None:
            raise SynthesizerMissingError(self.name, self.package)

    def speak(self, text: str, voice: Voice) -> tuple[Samples, int]:
        """Say ``text``; return the samples and their rate in Hz."""
        marked = (
            f'<speed level="{100 * voice.rate:.0f}"><pitch level="{100 * voice.pitch:.0f}">'
            f"{text}</pitch></speed>"
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spoken.wav"
            subprocess.run(  # noqa: S603
                ["pico2wave", "-l", voice.name, "-w", str(path), marked],  # noqa: S607
                check=True,
                capture_output=True,
            )
            samples, rate = soundfile.read(path, dtype="float32")
        return samples, rate
