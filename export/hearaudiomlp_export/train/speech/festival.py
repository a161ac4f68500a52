"""Festival (Black, Taylor and Caley) through one batch of Scheme for all that is to be said."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp_export.train.errors import SynthesizerMissingError
from hearaudiomlp_export.train.speech.voices import Samples, Voice

PACKAGES = {
    "kal_diphone": "festvox-kallpc16k",
    "ked_diphone": "festvox-kdlpc16k",
    "cmu_us_slt_arctic_hts": "festvox-us-slt-hts",
}
"""Its voices of English, and Debian's packages of them."""

_PITCH = {"kal_diphone": 105.0, "ked_diphone": 105.0}

_BATCH = 200


class Festival:
    """The ``festival`` program."""

    name = "festival"
    package = "festival"

    def __init__(self) -> None:
        if shutil.which("festival") is None:
            raise SynthesizerMissingError(self.name, "festival")

    def speak_all(self, requests: Sequence[tuple[str, Voice]]) -> Iterator[tuple[Samples, int]]:
        """Say each text; yield the samples and their rate in Hz, in order.

        Festival now and then crashes over a word at some pitch; that word comes back empty.

        Raises:
            SynthesizerMissingError: a voice isn't installed.
        """
        for start in range(0, len(requests), _BATCH):
            batch = requests[start : start + _BATCH]
            with tempfile.TemporaryDirectory() as folder:
                done = 0
                while done < len(batch):
                    self._run(batch[done:], Path(folder))
                    before = done
                    for spoken in self._read(Path(folder)):
                        yield spoken
                        done += 1
                    if done < len(batch):
                        if done == before and not self._has(batch[done][1].name):
                            voice = batch[done][1].name
                            raise SynthesizerMissingError(f"festival's {voice}", PACKAGES[voice])
                        yield np.zeros(0, np.float32), SAMPLE_RATE
                        done += 1

    @staticmethod
    def _run(requests: Sequence[tuple[str, Voice]], folder: Path) -> None:
        lines = []
        for number, (text, voice) in enumerate(requests):
            lines.append(f"(voice_{voice.name})")
            lines.append(f"(Parameter.set 'Duration_Stretch {1.0 / voice.rate:.4f})")
            if voice.name in _PITCH:  # the HMM voice has a pitch model of its own
                mean = _PITCH[voice.name] * voice.pitch
                spread = 14.0 * voice.pitch * voice.intonation
                lines.append(
                    f"(set! int_lr_params '((target_f0_mean {mean:.2f}) "
                    f"(target_f0_std {spread:.2f}) (model_f0_mean 170) (model_f0_std 34)))"
                )
            lines.append(f'(set! said (utt.synth (Utterance Text "{text}")))')
            lines.append(f'(utt.save.wave said "{folder}/{number}.wav")')
        script = folder / "script.scm"
        script.write_text("\n".join(lines) + "\n")
        command = ["festival", "-b", str(script)]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603

    @staticmethod
    def _read(folder: Path) -> Iterator[tuple[Samples, int]]:
        for number in range(_BATCH):
            path = folder / f"{number}.wav"
            if not path.exists():
                return
            try:
                samples, rate = soundfile.read(path, dtype="float32")
            except soundfile.LibsndfileError:  # broken off by a crash
                samples, rate = np.zeros(0, np.float32), SAMPLE_RATE
            path.unlink()
            yield samples, rate

    @classmethod
    def installed_voices(cls) -> list[str]:
        """Return the names of the voices in ``PACKAGES`` that are installed."""
        return [voice for voice in PACKAGES if cls._has(voice)]

    @staticmethod
    def _has(voice: str) -> bool:
        command = ["festival", "-b", f"(voice_{voice})"]
        asked = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
        return asked.returncode == 0
