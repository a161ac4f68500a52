"""Linear probes on scene embeddings, for two tasks that neither encoder was trained for.

    python benchmarks/quality/probe.py NAME=MODEL... [--json FILE]

Tasks, one second each: which of 16 voices says a word (training and test words differ), and which
of 16 instruments of a General MIDI sound font plays a note (training and test pitches differ).
A ridge classifier on standardized features, its strength chosen by leaving one out inside the
training half. Beside the models: the mean of 40 MFCCs over the second, and their mean and spread.

Needs scikit-learn and Debian's espeak-ng, flite, festival with its voices, fluidsynth and
timgm6mb-soundfont.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
import soundfile
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hearaudiomlp
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.train.speech.espeak import ESpeak
from hearaudiomlp_export.train.speech.festival import Festival
from hearaudiomlp_export.train.speech.flite import PITCH, Flite
from hearaudiomlp_export.train.speech.pico import Pico
from hearaudiomlp_export.train.speech.voices import Voice, to_clip
from hearaudiomlp_export.train.speech.words import OTHER_WORDS

Sounds = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Task = tuple[Sounds, Labels, npt.NDArray[np.bool_]]

SOUND_FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
PROGRAMS = (0, 6, 11, 13, 19, 24, 30, 33, 40, 46, 52, 56, 65, 68, 73, 114)
"""Piano, harpsichord, vibraphone, xylophone, church organ, guitar, distorted guitar, bass, violin,
harp, choir, trumpet, alto saxophone, oboe, flute, steel drums."""

ESPEAK_VOICES = ("en", "en-us+f2", "en-gb-scotland+m3", "en-029+klatt2", "en-us+Alicia", "en+zac")
FESTIVAL_VOICES = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
_SEED = 99


def _window(clip: npt.NDArray[np.int16], rng: np.random.Generator) -> Sounds:
    window = np.zeros(WINDOW, np.float32)
    kept = clip[:WINDOW] / np.float32(32768)
    start = int(rng.integers(WINDOW - len(kept) + 1))
    window[start : start + len(kept)] = kept * 10 ** (-rng.uniform(0, 20) / 20)
    return window + np.float32(1e-3) * rng.standard_normal(WINDOW).astype(np.float32)


def voices_task(words: int = 60) -> Task:
    """Return sounds [shape=(n, 16000)], the number of the voice, and which are for training."""
    rng = np.random.default_rng([_SEED, 1])
    espeak, flite, pico = ESpeak(), Flite(), Pico()
    speakers: list[Callable[[list[str]], list[tuple[Sounds, int]]]] = [
        *(
            lambda said, name=name: [(espeak.speak(w, Voice(name)), espeak.rate) for w in said]
            for name in ESPEAK_VOICES
        ),
        *(lambda said, name=name: [flite.speak(w, Voice(name)) for w in said] for name in PITCH),
        *(
            lambda said, name=name: list(Festival().speak_all([(w, Voice(name)) for w in said]))
            for name in FESTIVAL_VOICES
        ),
        *(
            lambda said, name=name: [pico.speak(w, Voice(name)) for w in said]
            for name in ("en-US", "en-GB")
        ),
    ]
    # The sixteenth voice: Pico speaking lower.
    speakers.append(lambda said: [pico.speak(w, Voice("en-US", pitch=0.7)) for w in said])
    chosen = [str(word) for word in rng.permutation(OTHER_WORDS)[:words]]
    sounds, labels, training = [], [], []
    for label, speaker in enumerate(speakers):
        for number, (samples, rate) in enumerate(speaker(chosen)):
            sounds.append(_window(to_clip(samples, rate), rng))
            labels.append(label)
            training.append(number % 2 == 0)
    return np.stack(sounds), np.array(labels), np.array(training)


def instruments_task() -> Task:
    """Return sounds [shape=(n, 16000)], the number of the instrument, and which are to train on."""
    if shutil.which("fluidsynth") is None or not SOUND_FONT.exists():
        raise SystemExit("fluidsynth or its sound font is missing: see the head of this file")
    rng = np.random.default_rng([_SEED, 2])
    sounds, labels, training = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for label, program in enumerate(PROGRAMS):
            pitches = list(range(43, 79))
            wave = _play(program, pitches, rng, Path(folder))
            for number in range(len(pitches)):
                start = number * 2 * SAMPLE_RATE + int(rng.uniform(-0.3, 0.05) * SAMPLE_RATE)
                part = wave[max(0, start) : max(0, start) + WINDOW]
                level = 10 ** (-rng.uniform(0, 20) / 20) / max(1e-4, float(np.abs(part).max()))
                noise = 1e-3 * rng.standard_normal(WINDOW)
                sounds.append((0.5 * level * part + noise).astype(np.float32))
                labels.append(label)
                training.append(number % 2 == 0)
    return np.stack(sounds), np.array(labels), np.array(training)


def _play(program: int, pitches: list[int], rng: np.random.Generator, folder: Path) -> Sounds:
    """Play one note every two seconds."""
    midi, rendered = folder / "notes.mid", folder / "notes.wav"
    midi.write_bytes(_midi(program, pitches, rng))
    subprocess.run(
        [
            *("fluidsynth", "-ni", "-g", "0.6", "-r", str(SAMPLE_RATE), "-F", str(rendered)),
            *(str(SOUND_FONT), str(midi)),
        ],
        check=True,
        capture_output=True,
    )
    samples, _ = soundfile.read(rendered, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return np.pad(mono, (0, max(0, 2 * SAMPLE_RATE * (len(pitches) + 1) - len(mono))))


def _midi(program: int, pitches: list[int], rng: np.random.Generator) -> bytes:
    """Return a Standard MIDI File: 500 ticks a second, a note on for 0.9 s, off for 1.1 s."""
    track = bytearray((0, 0xC0, program))
    gap = 0
    for pitch in pitches:
        track += _delta(gap) + bytes((0x90, pitch, int(rng.integers(60, 120))))
        track += _delta(450) + bytes((0x80, pitch, 0))
        gap = 550
    track += bytes((0, 0xFF, 0x2F, 0))
    head = b"MThd" + (6).to_bytes(4, "big") + bytes((0, 0, 0, 1)) + (250).to_bytes(2, "big")
    return head + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def _delta(ticks: int) -> bytes:
    """Return a variable-length quantity; 250 ticks a beat at 120 beats a minute."""
    return bytes((0x80 | ticks >> 7, ticks & 0x7F)) if ticks > 127 else bytes((ticks,))


def mean_mfcc(sounds: Sounds, *, spread: bool) -> Sounds:
    """Return the mean (and the standard deviation) of 40 MFCCs over each sound."""
    features = []
    for sound in sounds:
        mfcc = librosa.feature.mfcc(
            y=sound, sr=SAMPLE_RATE, n_mfcc=40, n_fft=480, hop_length=160, n_mels=40, center=False
        )
        parts = [mfcc.mean(axis=1)] + ([mfcc.std(axis=1)] if spread else [])
        features.append(np.concatenate(parts))
    return np.stack(features).astype(np.float32)


def probe(features: Sounds, labels: Labels, training: npt.NDArray[np.bool_]) -> float:
    """Return the accuracy on the test half of a linear classifier of the training half."""
    classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(0, 6, 13)))
    classifier.fit(features[training], labels[training])
    return float(classifier.score(features[~training], labels[~training]))


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    tasks = {"16 voices": voices_task(), "16 instruments": instruments_task()}
    ways: dict[str, Callable[[Sounds], Sounds]] = {}
    for text in options.models:
        name, _, path = text.partition("=")
        model = hearaudiomlp.load_model(path, device="cpu")
        ways[name] = lambda sounds, model=model: model.scene_embeddings(sounds)
    ways["mean of MFCCs"] = lambda sounds: mean_mfcc(sounds, spread=False)
    ways["mean and spread of MFCCs"] = lambda sounds: mean_mfcc(sounds, spread=True)
    figures: dict[str, dict[str, float]] = {}
    print("| features | values | " + " | ".join(tasks) + " |")
    print("| --- | ---: |" + " ---: |" * len(tasks))
    for name, way in ways.items():
        figures[name], size = {}, 0
        for task, (sounds, labels, training) in tasks.items():
            features = way(sounds)
            size = features.shape[1]
            figures[name][task] = probe(features, labels, training)
        cells = " | ".join(f"{100 * share:.1f} %" for share in figures[name].values())
        print(f"| {name} | {size} | {cells} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
