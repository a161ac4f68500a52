"""eSpeak NG through its C library: a hundred voice variants, eight accents of English.

One process call a word would take longer than the synthesis itself, and a corpus has tens of
thousands of words; hence ctypes. API: ``espeak-ng/speak_lib.h``.
"""

import ctypes
import ctypes.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hearaudiomlp_export.train.errors import SynthesizerMissingError
from hearaudiomlp_export.train.speech.voices import Samples, Voice

ACCENTS = (
    "en-us",
    "en",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
)
"""Its voices of English that need no further package."""

FOREIGN = ("de", "fr", "es", "it", "nl", "pl", "ru", "pt-br", "sv", "el", "tr")
"""Languages whose voices are given English phonemes: their speakers' way of saying them."""

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to a callback, with no thread
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_UTF8, _PHONEMES = 1, 0x100

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class ESpeak:
    """The library, initialized once in a process."""

    name = "espeak-ng"
    package = "espeak-ng"

    def __init__(self) -> None:
        path = ctypes.util.find_library("espeak-ng")
        if path is None:
            raise SynthesizerMissingError(self.name, "libespeak-ng1")
        self._library = ctypes.CDLL(path)
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0))
        if self.rate <= 0:
            raise SynthesizerMissingError(self.name, "espeak-ng-data")
        self._speaker = ""
        self._chunks: list[bytes] = []
        # ctypes keeps no reference to a callback; without this one it would be collected.
        self._callback: Callable[..., Any] = _Callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = ctypes.c_char_p()
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_Info(ctypes.byref(data))
        self._data = Path((data.value or b"").decode())

    def variants(self) -> list[str]:
        """Return the names of the voice variants, sorted."""
        return sorted(path.name for path in (self._data / "voices" / "!v").iterdir())

    def phonemes(self, text: str, accent: str = "en-us") -> str:
        """Return ``text`` in eSpeak's phoneme mnemonics."""
        self._become(accent)
        pointer = ctypes.c_char_p(text.encode())
        spoken = self._library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, 0)
        return bytes(spoken or b"").decode().strip()

    def speak(self, text: str, voice: Voice, *, phonemes: bool = False) -> Samples:
        """Say ``text``; ``voice.name`` is ``accent`` or ``accent+variant``.

        Args:
            text: words, or with ``phonemes`` mnemonics.
            voice: who says it; its ``rate`` 1 is 175 words a minute, ``pitch`` 1 the middle.
                Best grouped by name: a change takes ten times as long as a word.
            phonemes: ``text`` is in phoneme mnemonics.
        """
        library = self._library
        self._become(voice.name)
        library.espeak_SetParameter(_RATE, int(np.clip(175 * voice.rate, 80, 450)), 0)
        library.espeak_SetParameter(_PITCH, int(np.clip(50 * voice.pitch, 0, 99)), 0)
        library.espeak_SetParameter(_RANGE, int(np.clip(50 * voice.intonation, 0, 100)), 0)
        library.espeak_SetParameter(_VOLUME, 60, 0)
        said = f"[[{text}]]".encode() if phonemes else text.encode()
        flags = _UTF8 | (_PHONEMES if phonemes else 0)
        self._chunks = []
        library.espeak_Synth(said, len(said) + 1, 0, 0, 0, flags, None, None)
        library.espeak_Synchronize()
        return np.frombuffer(b"".join(self._chunks), np.int16).astype(np.float32) / 32768.0

    def _become(self, name: str) -> None:
        # Looking a voice up takes ten times as long as saying a word.
        if name != self._speaker:
            if self._library.espeak_SetVoiceByName(name.encode()) != 0:
                raise ValueError(f"espeak-ng has no voice {name}")
            self._speaker = name

    def _take(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0
