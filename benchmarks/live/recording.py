"""Ten minutes with 60 keywords at known times, among other words, music and noise; made by code.

    python benchmarks/live/recording.py RECORDING.wav TRUTH.json [--seed 0] [--pico]

Every 10 seconds have one keyword, and one phrase of words that are no keywords, spoken by voices of
espeak-ng and flite (Debian packages of those names) at random places. Behind them are, by turns, a
quiet room, noise, music, and loud noise: 30, 12, 12 and 6 dB below the speech. Nothing of it is
committed.

With ``--pico`` everything is spoken by SVOX Pico (package libttspico-utils), which the bundled
weights have never heard; those of the other two engines are among what they were trained with.
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from hearaudiomlp.spec import KEYWORDS, SAMPLE_RATE

Floats = npt.NDArray[np.float64]

SLOT_S = 10
SLOTS = 60
SCENES = {"quiet room": 30.0, "noise": 12.0, "music": 12.0, "loud noise": 6.0}
"""What is behind the speech, and how many dB below it."""

_ESPEAK = (
    *("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan"),
    *("en-us+f2", "en-us+m3", "en-gb+f4", "en-us+f5", "en-gb+m7", "en-gb-x-gbcwmd+f3"),
)
_FLITE = ("awb", "rms", "slt", "kal16")
_PICO = ("pico:en-US", "pico:en-GB")
_PHRASES = (
    "the weather is fine today", "please close the window", "where are my glasses",
    "my brother lives in london", "coffee with milk", "a long way to the river",
    "music", "computer", "orange juice", "yesterday evening", "the train is late again",
    "open the kitchen door", "umbrella", "monday", "she bought fresh bread", "calendar",
    "nobody answered the phone", "a quarter past twelve", "elephant", "the garden needs water",
    "remember the milk", "hospital", "these shoes are too small", "winter is coming soon",
)  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """A keyword in the recording."""

    word: str
    start: float
    """Seconds."""

    end: float
    voice: str
    scene: str
    """What is behind it."""


def _command(text: str, voice: str, rng: np.random.Generator, out: Path) -> list[str]:
    if voice in _FLITE:
        stretch = rng.uniform(0.85, 1.2)
        setting = f"duration_stretch={stretch:.2f}"
        return ["flite", "-voice", voice, "--setf", setting, "-t", text, "-o", str(out)]
    if voice in _PICO:
        rate, pitch = rng.integers(80, 120), rng.integers(80, 120)
        marked = f'<speed level="{rate}"><pitch level="{pitch}">{text}</pitch></speed>'
        return ["pico2wave", "-l", voice.partition(":")[2], "-w", str(out), marked]
    speed, pitch = str(rng.integers(120, 190)), str(rng.integers(25, 75))
    return ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(out), text]


def say(text: str, voice: str, rng: np.random.Generator) -> Floats:
    """Return speech without the silence around it, at an RMS of 1 [shape=(n,)]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(_command(text, voice, rng, path), check=True, capture_output=True)
        samples, rate = soundfile.read(path)
    samples = soxr.resample(samples, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    speech = samples[loud[0] : loud[-1] + 1]
    return speech / np.sqrt(np.mean(speech**2))


def _noise(n: int, rng: np.random.Generator) -> Floats:
    """Return pink noise, whose power falls by 3 dB an octave, at an RMS of 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * n / SAMPLE_RATE))
    noise = np.fft.irfft(spectrum, n)
    return noise / np.sqrt(np.mean(noise**2))


def _music(n: int, rng: np.random.Generator) -> Floats:
    """Return plucked chords, a melody and a beat, at an RMS of 1."""
    music = np.zeros(n + 2 * SAMPLE_RATE)
    beat = SAMPLE_RATE // 2
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    roots = rng.choice([0, 5, 7, 9], size=n // beat // 4 + 1)
    for index, at in enumerate(range(0, n, beat)):
        root = roots[index // 4]
        notes = [root + rng.choice([12, 14, 16, 19, 21])]
        if index % 4 == 0:
            notes += [root - 12, root, root + 4, root + 7]
        for note in notes:
            pitch = 220.0 * 2.0 ** (note / 12)
            for harmonic in range(1, 6):
                tone = np.sin(2 * np.pi * harmonic * pitch * seconds + rng.uniform(0, 6))
                music[at : at + len(seconds)] += (
                    tone * np.exp(-3 * harmonic**0.5 * seconds) / harmonic
                )
        hit = rng.standard_normal(SAMPLE_RATE // 20) * np.exp(-np.arange(SAMPLE_RATE // 20) / 150)
        music[at : at + len(hit)] += (1.5 if index % 2 else 0.7) * hit
    return music[:n] / np.sqrt(np.mean(music[:n] ** 2))


def make(seed: int = 0, *, pico: bool = False) -> tuple[npt.NDArray[np.float32], list[Spoken]]:
    """Return the recording at 16 kHz and the keywords in it, in order."""
    rng = np.random.default_rng(seed)
    voices = _PICO if pico else (*_ESPEAK, *_FLITE)
    words = list(rng.permutation(KEYWORDS.split()))
    words += list(rng.permutation(KEYWORDS.split()))[: SLOTS - len(words)]
    slot = SLOT_S * SAMPLE_RATE
    recording = np.zeros(SLOTS * slot)
    spoken = []
    for index, word in enumerate(words):
        scene = list(SCENES)[index % len(SCENES)]
        background = _music(slot, rng) if scene == "music" else _noise(slot, rng)
        level = 10.0 ** (rng.uniform(-26, -20) / 20)  # of the speech
        sound = background * level * 10.0 ** (-SCENES[scene] / 20)
        parts = [(word, voices[rng.integers(len(voices))])]
        parts.append((_PHRASES[rng.integers(len(_PHRASES))], voices[rng.integers(len(voices))]))
        order = rng.permutation(2)
        for half, (text, voice) in zip(order.tolist(), parts, strict=True):
            speech = say(text, voice, rng) * level
            room = slot // 2 - len(speech) - SAMPLE_RATE // 2
            at = half * slot // 2 + SAMPLE_RATE // 4 + int(rng.integers(max(1, room)))
            sound[at : at + len(speech)] += speech
            if text == word:
                start = index * SLOT_S + at / SAMPLE_RATE
                end = start + len(speech) / SAMPLE_RATE
                spoken.append(Spoken(str(word), round(start, 3), round(end, 3), voice, scene))
        recording[index * slot : (index + 1) * slot] = sound
    return np.clip(recording, -1, 1).astype(np.float32), spoken


def main() -> None:
    """Write the recording and the list of its words."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pico", action="store_true")
    options = parser.parse_args()
    recording, spoken = make(options.seed, pico=options.pico)
    soundfile.write(options.recording, recording, SAMPLE_RATE, subtype="PCM_16")
    options.truth.write_text(json.dumps([asdict(one) for one in spoken], indent=1) + "\n")


if __name__ == "__main__":
    main()
