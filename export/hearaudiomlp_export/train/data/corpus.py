"""The spoken words on disk: made once, in parts, so that an interrupted run resumes.

A part is one engine's share of one split: ``<split>-<engine>.npy`` with all clips end to end
(int16, 16 kHz, peak at one half) and ``<split>-<engine>.json`` with the clips' ends, words and
voices, sealed, and with the size and SHA-256 of the samples. What is spoken, and how, follows from
the seed alone.
"""

import hashlib
import json
import multiprocessing
import signal
import threading
import tokenize
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hearaudiomlp.cli import interrupts
from hearaudiomlp.spec import SAMPLE_RATE
from hearaudiomlp.storage.atomic import FileRecord, open_regular, record_of, replacing
from hearaudiomlp.storage.ownership import read_sealed, seal
from hearaudiomlp.storage.stopping import blocking, start_tracker
from hearaudiomlp_export.train.errors import CorpusError
from hearaudiomlp_export.train.speech import festival, flite, pico
from hearaudiomlp_export.train.speech.accents import accented
from hearaudiomlp_export.train.speech.espeak import ACCENTS, FOREIGN, ESpeak
from hearaudiomlp_export.train.speech.festival import Festival
from hearaudiomlp_export.train.speech.flite import Flite
from hearaudiomlp_export.train.speech.kokoro import Kokoro
from hearaudiomlp_export.train.speech.pico import Pico
from hearaudiomlp_export.train.speech.voices import Voice, to_clip
from hearaudiomlp_export.train.speech.words import KEYWORDS, OTHER_WORDS

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

Pcm = npt.NDArray[np.int16]
Progress = Callable[[str, int, int], None]

VERSION = 1
"""Part of the fingerprint: raised when the same plan would give other sounds."""

LONGEST = int(1.25 * SAMPLE_RATE)
"""Clips are cut to this many samples: the slowest words of the slowest voices go beyond."""


@dataclass(frozen=True)
class Plan:
    """How much is made. The default takes about ten minutes on two cores."""

    seed: int = 20211
    espeak: int = 640
    """Clips per keyword by eSpeak's English voices."""

    accented: int = 240
    """Clips per keyword by eSpeak with foreign accents."""

    flite: int = 240
    """Clips per keyword by Flite."""

    festival: int = 120
    """Clips per keyword by Festival."""

    others: float = 0.03
    """Clips per other word, as a share of those per keyword."""

    held_out: int = 16
    """Clips per keyword by held-out voices, and by the held-out engine."""

    longest: ClassVar[int] = LONGEST

    def fingerprint(self) -> str:
        """Return what distinguishes corpora."""
        text = json.dumps([VERSION, self.__dict__, KEYWORDS, OTHER_WORDS])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def make(self, name: str) -> "Making":
        """Return how many clips a part has, and an iterator that synthesizes them."""
        return _make(name, self)


@dataclass(frozen=True)
class Request:
    """One clip to be made."""

    word: str
    text: str
    voice: Voice
    phonemes: bool = False


Making = tuple[int, Iterator[tuple[Request, Pcm]]]


class CorpusPlan(Protocol):
    """What a corpus is made of: :class:`Plan`, or a user's phrases."""

    longest: ClassVar[int]
    """Samples that clips are cut to."""

    def fingerprint(self) -> str:
        """Return what distinguishes corpora."""

    def make(self, name: str) -> Making:
        """Return how many clips a part has, and an iterator that synthesizes them."""


@dataclass
class Part:
    """Clips of one engine."""

    name: str
    pcm: Pcm
    ends: npt.NDArray[np.int64]
    words: list[str] = field(repr=False)
    voices: list[str] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.ends)

    def clip(self, number: int) -> Pcm:
        """Return clip ``number`` [shape=(n,), int16]."""
        start = int(self.ends[number - 1]) if number else 0
        return self.pcm[start : int(self.ends[number])]

    def clips(self) -> Iterator[Pcm]:
        """Yield every clip."""
        return (self.clip(number) for number in range(len(self)))


def held_out_variants(variants: list[str]) -> list[str]:
    """Return the eSpeak variants that training never hears: every tenth."""
    return variants[4::10]


HELD_OUT_FESTIVAL = "ked_diphone"
"""The Festival voice that training never hears."""

_ENDINGS = ("", ".", "!", "?", ",")


def punctuated(word: str, rng: np.random.Generator) -> str:
    """Return ``word`` with a mark behind it, which changes its intonation, or without."""
    return word + _ENDINGS[int(rng.integers(len(_ENDINGS)))]


def draw_voice(rng: np.random.Generator, name: str, *, wide: bool) -> Voice:
    """Draw speed, pitch and intonation; a formant synthesizer stands a wider range."""
    spread = 1.0 if wide else 0.6
    return Voice(
        name,
        rate=float(np.clip(np.exp(rng.normal(-0.05, 0.22 * spread)), 0.55, 1.7)),
        pitch=float(np.clip(np.exp(rng.normal(0.0, 0.35 * spread)), 0.4, 1.9)),
        intonation=float(rng.uniform(0.2, 1.8)),
    )


def _clips_per_word(count: int, plan: Plan) -> Iterator[tuple[str, int]]:
    for word in KEYWORDS:
        yield word, count
    for word in OTHER_WORDS:
        yield word, max(1, round(count * plan.others))


def _espeak_requests(plan: Plan, speaker: ESpeak, *, held_out: bool) -> list[Request]:
    rng = np.random.default_rng([plan.seed, 1, held_out])
    variants = speaker.variants()
    kept = held_out_variants(variants)
    chosen = kept if held_out else [v for v in variants if v not in kept]
    requests = []
    for word, count in _clips_per_word(plan.held_out if held_out else plan.espeak, plan):
        if held_out and word not in KEYWORDS:
            continue
        for _ in range(count):
            accent = ACCENTS[int(rng.integers(len(ACCENTS)))]
            name = f"{accent}+{chosen[int(rng.integers(len(chosen)))]}"
            requests.append(Request(word, punctuated(word, rng), draw_voice(rng, name, wide=True)))
    return requests


def _accented_requests(plan: Plan, speaker: ESpeak) -> list[Request]:
    rng = np.random.default_rng([plan.seed, 2])
    variants = speaker.variants()
    chosen = [v for v in variants if v not in held_out_variants(variants)]
    said = {word: speaker.phonemes(word) for word in (*KEYWORDS, *OTHER_WORDS)}
    requests = []
    for word, count in _clips_per_word(plan.accented, plan):
        for _ in range(count):
            abroad = rng.random() < 0.5
            names = FOREIGN if abroad else ACCENTS
            name = names[int(rng.integers(len(names)))]
            if rng.random() < 0.8:
                name += f"+{chosen[int(rng.integers(len(chosen)))]}"
            text = accented(said[word], rng, float(rng.uniform(0.1, 0.6)))
            manner = draw_voice(rng, name, wide=True)
            requests.append(Request(word, text, manner, phonemes=True))
    return requests


def _recorded_requests(
    plan: Plan, voices: list[str], count: int, stream: int, *, others: bool = True
) -> list[Request]:
    """Requests to an engine whose few voices are recorded people."""
    rng = np.random.default_rng([plan.seed, stream])
    requests = []
    for word, each in _clips_per_word(count, plan):
        if word in KEYWORDS or others:
            for number in range(each):
                name = voices[(number + int(rng.integers(len(voices)))) % len(voices)]
                requests.append(
                    Request(word, punctuated(word, rng), draw_voice(rng, name, wide=False))
                )
    return requests


def _grouped(requests: list[Request]) -> list[Request]:
    return sorted(requests, key=lambda request: request.voice.name)


def _espeak_part(requests: list[Request], speaker: ESpeak) -> Iterator[tuple[Request, Pcm]]:
    for request in _grouped(requests):
        spoken = speaker.speak(request.text, request.voice, phonemes=request.phonemes)
        yield request, to_clip(spoken, speaker.rate)


def _kokoro_part(requests: list[Request]) -> Iterator[tuple[Request, Pcm]]:
    speaker = Kokoro()
    for request in _grouped(requests):
        spoken = speaker.speak(request.text, request.voice, phonemes=request.phonemes)
        yield request, to_clip(*spoken)


def _simple_part(requests: list[Request], engine: Flite | Pico) -> Iterator[tuple[Request, Pcm]]:
    for request in _grouped(requests):
        yield request, to_clip(*engine.speak(request.text, request.voice))


def _festival_part(requests: list[Request]) -> Iterator[tuple[Request, Pcm]]:
    grouped = _grouped(requests)
    spoken = Festival().speak_all([(request.text, request.voice) for request in grouped])
    for request, (samples, rate) in zip(grouped, spoken, strict=True):
        yield request, to_clip(samples, rate)


def speak_requests(engine: str, requests: list[Request]) -> Iterator[tuple[Request, Pcm]]:
    """Synthesize clips with ``espeak``, ``kokoro``, ``flite``, ``festival`` or ``pico``.

    Clips come voice by voice.

    Raises:
        SynthesizerMissingError: the engine isn't installed.
    """
    if engine == "espeak":
        return _espeak_part(requests, ESpeak())
    if engine == "kokoro":
        return _kokoro_part(requests)
    if engine == "festival":
        return _festival_part(requests)
    return _simple_part(requests, Flite() if engine == "flite" else Pico())


TRAINING = ("train-espeak", "train-accented", "train-flite", "train-festival")
HELD_OUT = ("voices-espeak", "voices-festival", "engine-pico")
"""``voices``: of engines that are trained on; ``engine``: never trained on at all."""


def _make(name: str, plan: Plan) -> Making:
    if name in ("train-espeak", "voices-espeak", "train-accented"):
        speaker = ESpeak()
        if name == "train-accented":
            requests = _accented_requests(plan, speaker)
        else:
            requests = _espeak_requests(plan, speaker, held_out=name == "voices-espeak")
        return len(requests), _espeak_part(requests, speaker)
    if name == "train-flite":
        requests = _recorded_requests(plan, list(flite.PITCH), plan.flite, 3)
        return len(requests), speak_requests("flite", requests)
    if name == "engine-pico":
        requests = _recorded_requests(plan, list(pico.VOICES), plan.held_out, 4, others=False)
        return len(requests), speak_requests("pico", requests)
    if name == "train-festival":
        voices = [voice for voice in festival.PACKAGES if voice != HELD_OUT_FESTIVAL]
        requests = _recorded_requests(plan, voices, plan.festival, 5)
    else:
        requests = _recorded_requests(plan, [HELD_OUT_FESTIVAL], plan.held_out, 6, others=False)
    return len(requests), speak_requests("festival", requests)


def _write(folder: Path, name: str, made: list[tuple[Request, Pcm]], longest: int) -> None:
    clips = [pcm[:longest] for _, pcm in made]
    written: list[FileRecord] = []
    with replacing(folder / f"{name}.npy", before=written.append) as file:
        np.save(file, np.concatenate(clips) if clips else np.zeros(0, np.int16))
    about: dict[str, Any] = {
        "ends": np.cumsum([len(clip) for clip in clips]).tolist(),
        "words": [request.word for request, _ in made],
        "voices": [request.voice.name for request, _ in made],
    }
    write_facts(folder / f"{name}.json", about, written[0])


def write_facts(about: Path, facts: dict[str, Any], samples: FileRecord) -> None:
    """Write what is known about a part: last, because it marks a finished one.

    Args:
        about: the JSON file.
        facts: the clips' ends, words and voices, and whatever else.
        samples: size and SHA-256 of the file with the samples.
    """
    with replacing(about) as file:
        file.write(seal({"samples": samples} | facts))


def read_facts(about: Path, samples: Path | None = None) -> dict[str, Any]:
    """Return what is known about a part.

    Args:
        about: what :func:`write_facts` wrote.
        samples: the file with the samples, to compare it with what was written.

    Raises:
        CorpusError: one of both isn't as it was written.
    """
    try:
        with open_regular(about) as file:
            facts = read_sealed(file)
        if facts is not None and samples is not None:
            with open_regular(samples) as file:
                facts = facts if facts.get("samples") == list(record_of(file)) else None
    except OSError:
        facts = None
    if facts is None:
        raise damaged(about)
    return facts


def damaged(about: Path) -> CorpusError:
    """Return the error for a part that isn't as it was written."""
    return CorpusError(f"{about} is damaged: delete {about.parent} and run again")


def has_part(folder: Path, name: str, plan: CorpusPlan) -> bool:
    """Tell whether a part has been made."""
    return (folder / plan.fingerprint() / f"{name}.json").exists()


def make_part(folder: Path, name: str, plan: CorpusPlan, progress: Progress) -> None:
    """Synthesize one part, unless it is there.

    Args:
        folder: of the corpus; made if need be. A folder below it is named by the plan.
        name: one of ``TRAINING`` or ``HELD_OUT``.
        plan: how much to make.
        progress: called with the part's name, clips done and clips in all.

    Raises:
        SynthesizerMissingError: an engine isn't installed; says which package it is in.
    """
    if has_part(folder, name, plan):
        return
    folder = folder / plan.fingerprint()
    folder.mkdir(parents=True, exist_ok=True)
    total, making = plan.make(name)
    made = []
    for request, pcm in making:
        if len(pcm):
            made.append((request, pcm))
        progress(name, len(made), total)
    _write(folder, name, made, plan.longest)


class _Pool(ProcessPoolExecutor):
    """Its processes don't hear of Ctrl-C: the one that was started by hand ends them."""

    def submit(self, *arguments: Any, **keywords: Any) -> Any:
        with blocking(signal.SIGINT):  # it may start a process, or the thread that starts others
            return super().submit(*arguments, **keywords)


_done: "Queue[tuple[int, int]] | None" = None  # in a process of a pool: where to put what is done


def _begin(done: "Queue[tuple[int, int]] | None") -> None:
    global _done  # noqa: PLW0603 - of this process alone
    interrupts.install()
    _done = done


def report_done(_: str, done: int, total: int) -> None:
    """Say, in a process of :func:`part_makers`, how many clips are done."""
    if _done is not None:
        _done.put((done, total))


@contextmanager
def part_makers(
    count: int, done: "Queue[tuple[int, int]] | None" = None
) -> Iterator[ProcessPoolExecutor]:
    """Return a pool in which each part is made in a process of its own.

    What eSpeak NG speaks depends a little on what it has spoken before, and a synthesizer that
    crashes takes nothing else with it. An error or Ctrl-C in the body ends the processes; a pool
    by itself would finish all parts first.

    Args:
        count: processes at a time.
        done: where :func:`report_done` puts clips done and clips in all.
    """
    start_tracker()
    context = multiprocessing.get_context("spawn")
    with _Pool(
        count, mp_context=context, max_tasks_per_child=1, initializer=_begin, initargs=(done,)
    ) as pool:
        try:
            yield pool
        except BaseException:
            # On a thread, because a shutdown that isn't waited for takes the list of processes from
            # the pool's own thread, which then prints a traceback.
            closing = threading.Thread(target=partial(pool.shutdown, cancel_futures=True))
            closing.start()
            while closing.is_alive():
                for process in multiprocessing.active_children():
                    process.terminate()
                closing.join(0.05)
            raise


def load_part(folder: Path, name: str, plan: CorpusPlan) -> Part:
    """Open one part; its samples stay on disk until they are used.

    Raises:
        CorpusError: the part isn't there, or isn't whole.
    """
    path = folder / plan.fingerprint() / f"{name}.json"
    if not (path.is_file() and path.with_suffix(".npy").is_file()):
        raise CorpusError(f"{path} is missing: the corpus has not been made")
    facts = read_facts(path, path.with_suffix(".npy"))
    try:
        pcm = np.lib.format.open_memmap(path.with_suffix(".npy"), mode="r")
    except (ValueError, TypeError, OverflowError, SyntaxError, tokenize.TokenError) as problem:
        raise damaged(path) from problem  # anybody can make a seal
    return open_part(path, facts, pcm)


def open_part(about: Path, facts: dict[str, Any], pcm: Pcm) -> Part:
    """Put the samples of a part together with what is known about them.

    Args:
        about: where that was read; the part has its name.
        facts: the clips' ends, words and voices.
        pcm: all clips, end to end.

    Raises:
        CorpusError: they don't fit.
    """
    try:
        ends = np.array(facts["ends"], np.int64)
        words, voices = map(str, facts["words"]), map(str, facts["voices"])
        part = Part(about.stem, pcm, ends, list(words), list(voices))
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        raise damaged(about) from problem
    is_sound = pcm.dtype == np.int16 and pcm.ndim == 1
    known = {ends.shape, (len(part.words),), (len(part.voices),)}
    in_order = is_sound and len(known) == 1 and bool((np.diff(ends, prepend=0) >= 0).all())
    if not in_order or len(pcm) != (ends[-1] if len(ends) else 0):
        raise damaged(about)
    return part
