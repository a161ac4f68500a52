"""Train the network of phonemes of `train --words` and `fit`, and write what it hears in speech.

    pip install pocketsphinx
    python scripts/make_phonemes.py ../shared/speech --sentences training/corpus/FINGERPRINT

The folder has `clips.csv` and `running.csv`, lists of recordings (columns file, start, stop, split,
and word and kind, or reader and text), and the recordings. `--sentences` is a folder that `train
--words` has left, whose synthetic sentences are trained on as well. PocketSphinx finds where each
phoneme is. Its own model and dictionary come with it. Only the training split is used, only the 35
keywords of its words, and the first 584 sentences of its running speech, whose phonemes are written
as `read_sentences.npz`. What the network hears in others is written as `running_speech.npz`. 35
minutes on one core. Afterwards `scripts/make_negatives.py` has to run: the negatives of `fit` are
what this network hears. Other blocks than those of today need `DILATIONS` in `fitting/phonemes.py`.
"""

import argparse
import csv
import json
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from pocketsphinx import Decoder
from torch import Tensor, nn

from hearaudiomlp.fitting.phonemes import PATH
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp_export.networks.filters import dct_matrix
from hearaudiomlp_export.networks.frontend import front_end
from hearaudiomlp_export.networks.phonemes import PHONEMES, PhonemeNetwork
from hearaudiomlp_export.train.data.running import RunningSpeech, pack_read_sentences

Samples = npt.NDArray[np.float32]
Sound = tuple[Samples, npt.NDArray[np.uint8]]
"""Samples, and the number of the phoneme in each frame of 10 ms."""

DATA = Path(__file__).resolve().parent.parent / "export/hearaudiomlp_export/data"
SENTENCES, OF_A_WORD = 584, 150
WIDTH, BATCH, RATE = 160, 96, 3e-3
COPIES = 3
_PREFIX = "zzq"  # of words that are a phoneme each, apart from the dictionary's own words
_SILENCE = SAMPLE_RATE // 2
_DB = torch.from_numpy(dct_matrix()).float()


class Aligner:
    """Finds phonemes in sound whose text is known."""

    def __init__(self) -> None:
        self._decoder = Decoder(
            lm=None, loglevel="FATAL", cmn="batch", beam=1e-80, pbeam=1e-80, wbeam=1e-60
        )
        for phoneme in PHONEMES[1:]:
            self._decoder.add_word(_PREFIX + phoneme.lower(), phoneme, True)

    def _pronounce(self, word: str) -> list[str]:
        known = self._decoder.lookup_word(word)
        if known is None:  # Flite has rules of spelling
            command = ["flite", "-t", word, "-ps", "-o", "none"]
            known = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, check=True
            ).stdout
            known = known.upper().replace("AXR", "ER").replace("AX", "AH").replace("PAU", "")
        return known.split()

    def align(self, pcm: npt.NDArray[np.int16], text: str) -> npt.NDArray[np.uint8] | None:
        """Return the phoneme in each frame of 10 ms, or None where the text doesn't fit."""
        spoken = [p for word in re.findall("[a-z']+", text.lower()) for p in self._pronounce(word)]
        hush = np.random.default_rng(0).normal(0, 4, _SILENCE).astype(np.int16)
        self._decoder.set_align_text(" ".join(_PREFIX + each.lower() for each in spoken))
        self._decoder.start_utt()
        self._decoder.process_raw(np.concatenate([hush, pcm, hush]).tobytes(), full_utt=True)
        self._decoder.end_utt()
        frames = np.zeros((len(pcm) + 2 * _SILENCE) // 160 + 2, np.uint8)
        found = [part for part in self._decoder.seg() or () if part.word.startswith(_PREFIX)]
        for part in found:
            phoneme = PHONEMES.index(part.word.removeprefix(_PREFIX).upper())
            frames[part.start_frame : part.end_frame + 1] = phoneme
        first = _SILENCE // 160
        return frames[first : first + len(pcm) // 160] if len(found) == len(spoken) else None


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of the training split."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "training"]


def recordings(speech: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the recordings to train on, and sentences to be heard afterwards."""
    sentences = rows(speech / "running.csv")
    random.Random(1).shuffle(sentences)  # noqa: S311
    words = [row | {"text": row["word"]} for row in rows(speech / "clips.csv")]
    words = [row for row in words if row["kind"] == "word"]
    random.Random(0).shuffle(words)  # noqa: S311
    counts: dict[str, int] = {}
    for row in words:
        counts[row["word"]] = counts.get(row["word"], 0) + 1
        row["number"] = str(counts[row["word"]])
    chosen = [row for row in words if int(row["number"]) <= OF_A_WORD]
    return [*sentences[:SENTENCES], *chosen], sentences[SENTENCES:]


def read(speech: Path, row: dict[str, str]) -> npt.NDArray[np.int16]:
    """Return the samples of a recording."""
    start, stop = int(row["start"]), int(row["stop"])
    pcm, rate = soundfile.read(speech / row["file"], dtype="int16", start=start, stop=stop)
    if rate != SAMPLE_RATE:
        raise ValueError(f"{row['file']} has {rate} Hz")
    return np.asarray(pcm)


class Disturber:
    """Rooms, noise, telephones and other levels."""

    def __init__(self, speech: Path, rng: np.random.Generator) -> None:
        noises = [row for row in rows(speech / "clips.csv") if row["kind"] == "noise"]
        self._noises = [read(speech, row) / 32768.0 for row in noises]
        self._rng = rng

    def disturb(self, window: npt.NDArray[np.float64]) -> Samples:
        """Return another window [shape=(16000,)]."""
        rng = self._rng
        if rng.random() < 0.35:
            n = int(rng.uniform(0.1, 0.5) * SAMPLE_RATE)
            room = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n) * rng.uniform(0.02, 0.12)
            room[0] = 1
            window = np.fft.irfft(np.fft.rfft(window, 32768) * np.fft.rfft(room, 32768))[:WINDOW]
        if rng.random() < 0.2:
            spectrum = np.fft.rfft(window)
            spectrum[int(rng.uniform(3000, 7500)) :] *= 0.01
            window = np.fft.irfft(spectrum, WINDOW)
        kind = rng.random()
        if kind < 0.35:
            noise = self._noises[int(rng.integers(len(self._noises)))]
            start = int(rng.integers(0, max(1, len(noise) - WINDOW)))
            noise = np.resize(noise[start : start + WINDOW], WINDOW)
        else:
            spectrum = np.fft.rfft(rng.standard_normal(WINDOW))
            spectrum /= np.maximum(1, np.arange(len(spectrum))) ** rng.uniform(0, 0.8)
            noise = np.fft.irfft(spectrum, WINDOW)
        below = rng.uniform(3, 30) if kind < 0.7 else rng.uniform(25, 50)
        level = (np.square(window).mean() ** 0.5 + 1e-5) / (np.square(noise).mean() ** 0.5 + 1e-9)
        window = window + noise * level * 10 ** (-below / 20)
        loudness = 10 ** (rng.uniform(-25, -1) / 20)
        return (window / (np.abs(window).max() + 1e-6) * loudness).astype(np.float32)


def windows_of(
    sound: Sound, copies: int, rng: np.random.Generator
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]]:
    """Yield windows, at other speeds, with the phoneme in each of their 98 frames."""
    for copy in range(copies):
        speed = rng.uniform(0.87, 1.17) if copy else 1.0
        samples, spoken = sound
        samples = np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)
        at = (np.arange(len(samples) // 160) * speed).astype(int)
        spoken = spoken[np.minimum(at, len(spoken) - 1)]
        hop = 14_000
        if len(samples) < WINDOW + 8_000:  # a word, anywhere in the window
            starts = [-int(rng.uniform(0, max(1, WINDOW - len(samples))))]
        else:
            starts = list(range(-int(rng.uniform(0, hop)), len(samples) - 8_000, hop))
        for start in starts:
            window = np.zeros(WINDOW)
            piece = samples[max(0, start) : start + WINDOW]
            window[max(0, -start) :][: len(piece)] = piece
            frames = start // 160 + np.arange(98) + 1
            inside = (frames >= 0) & (frames < len(spoken))
            yield window, np.where(inside, spoken[np.clip(frames, 0, len(spoken) - 1)], 0)


def disturbed_features(mfcc: Tensor, rng: np.random.Generator) -> Tensor:
    """Return MFCCs through other microphones and vocal tracts, with bands and frames masked."""
    spread = torch.full((40,), 0.5)
    spread[:8] = torch.tensor([11.3, 5.0, 4.0, 3.0, 2.5, 2.0, 2.0, 2.0])
    equalizer = torch.randn(len(mfcc), 1, 40) * spread
    mfcc = mfcc + equalizer * (torch.rand(len(mfcc), 1, 1) < 0.8)
    decibels = mfcc @ _DB
    if rng.random() < 0.7:
        tract = np.arange(40) * np.exp(rng.uniform(-0.12, 0.12)) + rng.uniform(-0.5, 0.5)
        tract = np.clip(tract, 0, 39)
        below = np.minimum(tract.astype(int), 38)
        warp = np.zeros((40, 40), np.float32)
        warp[below, np.arange(40)] = 1 - (tract - below)
        warp[below + 1, np.arange(40)] += tract - below
        decibels = decibels @ torch.from_numpy(warp)
    if rng.random() < 0.5:
        first, count = int(rng.integers(36)), int(rng.integers(1, 7))
        decibels[:, :, first : first + count] = decibels.mean(dim=(1, 2), keepdim=True)
    mfcc = decibels @ _DB.T
    if rng.random() < 0.5:
        first, count = int(rng.integers(90)), int(rng.integers(1, 10))
        mfcc[:, first : first + count] = mfcc.mean(dim=1, keepdim=True)
    return mfcc


def train(features: Tensor, spoken: Tensor, steps: int) -> PhonemeNetwork:
    """Return a network trained on MFCCs [shape=(n, 98, 40)] and phonemes [shape=(n, 49)]."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = PhonemeNetwork(WIDTH)
    some = features[rng.choice(len(features), min(4000, len(features)), replace=False)]
    network.mean.copy_(some.float().mean(dim=(0, 1)))
    network.spread.copy_(some.float().std(dim=(0, 1)) + 1e-3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    for step in range(steps):
        warm_up = min(1.0, step / 100 + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = RATE * warm_up * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5
        chosen = torch.from_numpy(rng.choice(len(features), BATCH))
        disturbed = disturbed_features(features[chosen].float(), rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.logits(disturbed)
        target = spoken[chosen].long()
        loss = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), target.flatten(), label_smoothing=0.05
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 250 == 0:
            print(f"{step} steps: loss {loss.item():.3f}", flush=True)
    return network.eval()


def hear(network: PhonemeNetwork, samples: Samples) -> npt.NDArray[np.float32]:
    """Return what the network hears in a sound of any length [shape=(n_steps, 40)]."""
    with torch.inference_mode():
        mfcc = front_end("kwmlp")(torch.from_numpy(samples[None]))
        return np.asarray(network(mfcc)[0].numpy())


def save(network: PhonemeNetwork) -> None:
    """Write the weights as float16."""
    weights = {
        name: tensor.numpy().astype(np.float16)
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    np.savez_compressed(PATH, **weights)
    for name, values in weights.items():
        network.state_dict()[name].copy_(torch.from_numpy(values.astype(np.float32)))


def main() -> None:
    """Align, train, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--sentences", type=Path, help="a folder that train --words has left")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--most", type=int, help="recordings of each kind, to try the script")
    parser.add_argument("--heard", type=int, default=120, help="sentences that are written")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    aligner, disturber = Aligner(), Disturber(options.speech, rng)
    trained, fresh = recordings(options.speech)
    chosen = trained[: options.most]
    clips = [(read(options.speech, row), row["text"], "reader" in row) for row in chosen]
    if options.sentences:
        for path in sorted(options.sentences.glob("sentences-*.json")):
            clips += [(pcm, text, False) for pcm, text in synthetic(path)][: options.most]
    started = time.perf_counter()
    features, spoken, read_aloud = [], [], []
    front = front_end("kwmlp")
    for pcm, text, is_read in clips:
        frames = aligner.align(pcm, text)
        if frames is None:
            continue
        if is_read:
            read_aloud.append((text.lower(), frames[1::2]))
        found = list(windows_of((pcm / np.float32(32768), frames), COPIES, rng))
        disturbed = np.stack([disturber.disturb(window) for window, _ in found])
        features.append(front(torch.from_numpy(disturbed)).half())
        spoken.append(torch.from_numpy(np.stack([frames[::2] for _, frames in found])))
    print(f"{len(features)} recordings aligned in {time.perf_counter() - started:.0f} s")
    network = train(torch.cat(features), torch.cat(spoken), options.steps)
    save(network)
    (DATA / "read_sentences.npz").write_bytes(pack_read_sentences(read_aloud))
    write_running_speech(network, aligner, options.speech, fresh[: options.heard])


def synthetic(path: Path) -> Iterator[tuple[npt.NDArray[np.int16], str]]:
    """Yield the clips of a part of a corpus, and what is said in them."""
    listed = json.loads(path.read_text())
    pcm = np.load(path.with_suffix(".npy"))
    start = 0
    for stop, text in zip(listed["ends"], listed["words"], strict=True):
        yield pcm[start:stop], text
        start = stop


def write_running_speech(
    network: PhonemeNetwork, aligner: Aligner, speech: Path, sentences: list[dict[str, str]]
) -> None:
    """Write what the network hears in sentences that it wasn't trained on."""
    heard, spoken, texts, readers = [], [], [], []
    for row in sentences:
        pcm = read(speech, row)
        frames = aligner.align(pcm, row["text"])
        if frames is not None:
            steps = hear(network, (pcm / 32768).astype(np.float32))
            heard.append(steps)
            spoken.append(np.resize(np.pad(frames[1::2], (0, 2)), len(steps)))
            texts.append(row["text"].lower())
            readers.append(row["reader"])
    packed = RunningSpeech(heard, spoken, texts, readers).pack()
    (DATA / "running_speech.npz").write_bytes(packed)


if __name__ == "__main__":
    main()
