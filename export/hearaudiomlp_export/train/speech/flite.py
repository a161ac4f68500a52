"""Flite (Black and Lenzo 2001) through its C library: four recorded speakers of English.

API: ``flite.h``, ``cst_wave.h``, ``cst_voice.h``.
"""

import ctypes
import ctypes.util

import numpy as np

from hearaudiomlp_export.train.errors import SynthesizerMissingError
from hearaudiomlp_export.train.speech.voices import Samples, Voice

PITCH = {"kal16": 95.0, "awb": 115.0, "rms": 100.0, "slt": 180.0}
"""Mean pitch of each voice in Hz; the diphone voice kal16 and three clustergen ones."""


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class Flite:
    """The library and its voices, loaded when first used."""

    name = "flite"
    package = "flite"

    def __init__(self) -> None:
        self._flite = self._open("flite")
        self._open("flite_usenglish")
        self._open("flite_cmulex")
        self._flite.flite_init()
        self._flite.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
        self._flite.flite_text_to_wave.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
        self._flite.delete_wave.argtypes = (ctypes.c_void_p,)
        self._flite.flite_feat_set_float.argtypes = (
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_float,
        )
        self._voices: dict[str, ctypes.c_void_p] = {}

    def _open(self, library: str) -> ctypes.CDLL:
        path = ctypes.util.find_library(library)
        if path is None:
            raise SynthesizerMissingError(self.name, "libflite1")
        return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)

    def _voice(self, name: str) -> ctypes.c_void_p:
        if name not in self._voices:
            library = self._open(f"flite_cmu_us_{name}")
            register = getattr(library, f"register_cmu_us_{name}")
            register.restype = ctypes.c_void_p
            register.argtypes = (ctypes.c_char_p,)
            self._voices[name] = ctypes.c_void_p(register(None))
        return self._voices[name]

    def speak(self, text: str, voice: Voice) -> tuple[Samples, int]:
        """Say ``text``; return the samples and their rate in Hz."""
        pointer = self._voice(voice.name)
        features = ctypes.cast(pointer, ctypes.POINTER(_Voice)).contents.features
        settings = {
            "duration_stretch": 1.0 / voice.rate,
            "int_f0_target_mean": PITCH[voice.name] * voice.pitch,
            "int_f0_target_stddev": 12.0 * voice.pitch * voice.intonation,
        }
        for feature, value in settings.items():
            self._flite.flite_feat_set_float(features, feature.encode(), value)
        wave = self._flite.flite_text_to_wave(text.encode(), pointer)
        spoken = wave.contents
        count = spoken.num_samples * spoken.num_channels
        samples = np.ctypeslib.as_array(spoken.samples, (count,)).astype(np.float32) / 32768.0
        rate = int(spoken.sample_rate)
        self._flite.delete_wave(wave)
        return samples, rate
