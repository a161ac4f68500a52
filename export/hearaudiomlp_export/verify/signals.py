"""Sounds that a graph is verified with: one window each, from easy ones to those at the edges."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hearaudiomlp.spec import SAMPLE_RATE, WINDOW

Floats = npt.NDArray[np.float32]

_SPEECH = Path(__file__).parents[1] / "data" / "speech.flac"


def _speech() -> npt.NDArray[np.float64]:
    import soundfile  # comes with librosa

    samples, rate = soundfile.read(_SPEECH)
    assert rate == SAMPLE_RATE
    speech: npt.NDArray[np.float64] = samples[:WINDOW]
    return speech


def reference_signals() -> dict[str, Floats]:
    """Return the signals by name, each one window [shape=(16000,)], seeded.

    Examples:
        >>> reference_signals()["silence"].shape
        (16000,)
    """
    rng = np.random.default_rng(2021)
    noise = rng.standard_normal(WINDOW)
    seconds = np.arange(WINDOW) / SAMPLE_RATE
    impulse = np.zeros(WINDOW)
    impulse[WINDOW // 2] = 1.0
    signals = {
        "noise": 0.1 * noise,
        "speech": _speech(),
        "silence": np.zeros(WINDOW),
        "DC 0.5": np.full(WINDOW, 0.5),
        "DC and faint noise": 0.5 + 1e-3 * noise,
        "tone 440 Hz": 0.5 * np.sin(2 * np.pi * 440.0 * seconds),
        "tone 7.9 kHz": 0.5 * np.sin(2 * np.pi * 7900.0 * seconds),
        "impulse": impulse,
        "tiny (1e-6)": 1e-6 * noise,
        "tiny (1e-20)": 1e-20 * noise,
        "loud (16-bit PCM unscaled)": 8000.0 * noise,
    }
    return {name: signal.astype(np.float32) for name, signal in signals.items()}
