"""``train kwmlp --words``: a model of a user's phrases, from synthetic speech.

The encoder stays as it is. A network that has heard real people turns sound into phonemes, and a
small network on these is trained, against synthetic speech and what that network heard in running
speech of real people, which comes with the package.
"""

import argparse
import io
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from hearaudiomlp.fitting.placing import cut_window, place
from hearaudiomlp.fitting.taps import tap_encoder
from hearaudiomlp.inference.thread_pool import usable_cpus
from hearaudiomlp.keywords import HOP_S
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp.storage.atomic import replacing
from hearaudiomlp.storage.ownership import MARK, mark_page
from hearaudiomlp.weights.locate import Weights, bundled
from hearaudiomlp.weights.model_file import ModelFile, read_model_file
from hearaudiomlp_export.graph.metadata import describe, write_metadata
from hearaudiomlp_export.graph.phrases import phrase_graph
from hearaudiomlp_export.networks.checkpoints import Checkpoint, load_checkpoint
from hearaudiomlp_export.networks.phonemes import Listener, load_phoneme_network
from hearaudiomlp_export.train.data import layouts, recordings
from hearaudiomlp_export.train.data.augment import NOT_A_KEYWORD, Augmenter, Mix
from hearaudiomlp_export.train.data.backgrounds import Backgrounds
from hearaudiomlp_export.train.data.corpus import Part, has_part, load_part, make_part, part_makers
from hearaudiomlp_export.train.data.disturb import Strength
from hearaudiomlp_export.train.data.phrases import PhrasePlan, check_phrases, installed_engines
from hearaudiomlp_export.train.data.recordings import Recordings
from hearaudiomlp_export.train.data.running import (
    People,
    RunningSpeech,
    load_read_sentences,
    load_running_speech,
    respoken,
    say_again,
)
from hearaudiomlp_export.train.errors import CorpusError, VerificationError
from hearaudiomlp_export.train.speech.kokoro import read_voices
from hearaudiomlp_export.train.speech.phrases import OTHER_LABEL, is_said, parse_phrases
from hearaudiomlp_export.train.tasks.phrases import (
    HEADS,
    THRESHOLD,
    Examples,
    PhraseHeads,
    concatenate,
    fit_heads,
)
from hearaudiomlp_export.verify.encoder import report, verify
from hearaudiomlp_export.verify.phrases import PhraseNetwork

_BLOCK = 128
_STEPS = 500
_PHRASES = Mix(0.0, 0.0)
_LIKE = Mix(negatives=0.9, sounds=0.1)
_RUN = Mix(0.0, 0.0, running=1.0)
_SHARES = {"espeak": 0.6, "flite": 0.2, "festival": 0.13, "pico": 0.07, "kokoro": 1.0}
_CUT = 0.3
_UNDISTURBED = Strength(
    room=0.0, noise=0.0, equalizer=0.0, low_pass=0.0, clipping=0.0, codec=0.0, zero_padding=0.2,
    other_words=0.0,
)  # fmt: skip
"""The phonemes of synthetic speech have to be heard right, because most are replaced by a real
person's; rooms and noises are in the training of the network that hears them."""

_RESPOKEN = 0.8
_RESPOKEN_OF_KOKORO = 0.4
_TIMES_RESPOKEN = 3
"""Each window by other people, so that a head hears more of them."""

_WINDOWS_OF_KOKORO = 0.6
"""As a share of the windows of all other engines, where Kokoro is installed."""

_OF_A_PHRASE = 3000
_LEAST_OF_A_CLIP = 4


def _note(text: str) -> None:
    print(f"hearaudiomlp-export train: {text}", file=sys.stderr)


def prepare_parts(folder: Path, plan: PhrasePlan, workers: int) -> None:
    """Synthesize the parts that aren't there, each in a process of its own, side by side.

    Raises:
        SynthesizerMissingError: an engine or a voice has gone.
        CorpusError: a synthesizer crashed.
    """
    names = [name for name in plan.parts_to_make() if not has_part(folder, name, plan)]
    with (
        part_makers(workers) as pool,
        tqdm(total=len(names), desc="speech", unit=" parts", leave=False) as bar,
    ):
        making: list[Future[None]] = [
            pool.submit(make_part, folder, name, plan, _ignore) for name in names
        ]
        try:
            for done in as_completed(making):
                done.result()
                bar.update()
        except BrokenProcessPool as problem:
            raise CorpusError("a synthesizer crashed") from problem


def _ignore(name: str, done: int, total: int) -> None:
    """Show no progress within a part."""


def _joined(name: str, parts: Sequence[Part]) -> Part:
    pcm = np.concatenate([part.pcm for part in parts] or [np.zeros(0, np.int16)])
    lengths = np.concatenate([np.diff(part.ends, prepend=0) for part in parts] or [np.zeros(0)])
    words = [word for part in parts for word in part.words]
    voices = [voice for part in parts for voice in part.voices]
    return Part(name, pcm, np.cumsum(lengths).astype(np.int64), words, voices)


def _recordings(options: argparse.Namespace, phrases: tuple[str, ...]) -> Recordings:
    """Return the recordings for training; empty parts, if there are none."""
    if options.recordings is None:
        none = _joined("none", [])
        return Recordings(none, none, none, none)
    clips = layouts.list_clips(options.recordings, phrases)
    folder = options.corpus / f"recordings-{recordings.fingerprint(clips)}"
    used = sum(clip.split != layouts.TESTING for clip in clips)
    with tqdm(total=used, desc="recordings", unit=" clips", leave=False) as bar:
        for done in recordings.prepare(clips, folder):
            bar.update(done - bar.n)
    return recordings.load(folder, layouts.TRAINING)


def _synthetic(
    plan: PhrasePlan, folder: Path, noise: Part, seed: int, people: People
) -> Iterator[Examples]:
    """Yield windows of phrases, of what is like them and of sentences."""
    made = {name: load_part(folder, name, plan) for name in plan.parts_to_make()}
    neural = {name: part for name, part in made.items() if name.endswith("-kokoro")}
    others = {name: part for name, part in made.items() if name not in neural}
    said = len(plan.phrases) * plan.windows
    all_kinds = ((_PHRASES, said), (_LIKE, plan.others), (_RUN, plan.run))
    groups = (
        (others, all_kinds, _RESPOKEN),
        (neural, ((_PHRASES, round(said * _WINDOWS_OF_KOKORO)),), _RESPOKEN_OF_KOKORO),
    )
    listener, rng = Listener(), np.random.default_rng([seed, 24])
    for group, wanted, share in groups:
        for windows, labels in _windows(group, plan, wanted, noise, seed):
            heard, isolated = listener.hear(windows), np.full(len(labels), -1)
            for _ in range(_TIMES_RESPOKEN):
                again = respoken(heard, people, share, rng).astype(np.float16)
                yield Examples(again, labels, np.arange(len(labels)), isolated)


def _windows(
    made: dict[str, Part],
    plan: PhrasePlan,
    wanted: Sequence[tuple[Mix, int]],
    noise: Part,
    seed: int,
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Yield windows of parts, so many of each kind, and their labels."""
    sentences = [part for name, part in made.items() if name.startswith("sentences")]
    parts = [part for name, part in made.items() if name.startswith("phrases") and len(part)]
    if not parts:
        return
    none = _joined("none", [])
    augmenter = Augmenter(
        parts,
        [_SHARES[part.name.partition("-")[2]] for part in parts],
        Backgrounds(parts, seed, each=8, recorded=noise),
        _UNDISTURBED,
        seed,
        recordings=Recordings(none, none, _joined("sentences", sentences), none),
        keywords=plan.phrases,
        cut=_CUT,
    )
    mixes = [mix for mix, count in wanted for _ in range(math.ceil(count / _BLOCK))]
    for number, mix in enumerate(tqdm(mixes, desc="windows", unit=" blocks", leave=False)):
        windows, labels, possible = (t.numpy() for t in augmenter.batch(number, _BLOCK, mix))
        kept = (labels != NOT_A_KEYWORD) | ~possible.any(axis=1)
        yield windows[kept], np.where(labels == NOT_A_KEYWORD, len(plan.phrases), labels)[kept]


def _real(
    phrases: tuple[str, ...], recorded: Recordings, seed: int, people: People
) -> Iterator[Examples]:
    """Yield windows of the user's recordings: phrases, other words, and running speech."""
    listener, rng = Listener(), np.random.default_rng([seed, 23])
    speakers = sorted({*recorded.words.voices, *recorded.others.voices, *recorded.running.voices})
    for part in (recorded.words, recorded.others, recorded.running):
        for number, (text, voice) in enumerate(zip(part.words, part.voices, strict=True)):
            clip = part.clip(number).astype(np.float32) / np.float32(32768)
            label, running = len(phrases), part is recorded.running
            if text in phrases:
                label = phrases.index(text)
                count = max(_LEAST_OF_A_CLIP, _OF_A_PHRASE // part.words.count(text))
                windows = place(clip, count, rng).windows
            elif not running:
                windows = place(clip, _LEAST_OF_A_CLIP, rng).windows
            elif any(is_said(phrase, text) for phrase in phrases):
                continue
            else:
                starts = range(0, max(1, len(clip) - WINDOW + 1), round(HOP_S * SAMPLE_RATE))
                windows = np.stack([cut_window(clip, at) for at in starts]).astype(np.float32)
            labels = np.full(len(windows), label)
            groups = np.full(len(windows), speakers.index(voice) if voice else number)
            sentence = np.full(len(windows), 0 if running else -1)
            heard = listener.hear(windows)
            if text in phrases:  # as others would say it, too
                heard[::2] = respoken(heard[::2], people, _RESPOKEN, rng)
            yield Examples(heard, labels, groups, sentence)


def _bundled(phrases: tuple[str, ...], speech: RunningSpeech) -> Iterator[Examples]:
    """Yield windows of the bundled running speech, but of sentences with one of the phrases."""
    readers = sorted(set(speech.readers))
    for reader, text, heard in speech.sentences():
        if not any(is_said(phrase, text) for phrase in phrases):
            count = len(heard)
            labels = np.full(count, len(phrases))
            groups = np.full(count, readers.index(reader))
            yield Examples(heard, labels, groups, np.zeros(count, int))


def _said_again(phrases: tuple[str, ...], people: People, seed: int) -> Iterator[Examples]:
    """Yield windows of sentences without the phrases, in the phonemes of other people."""
    rng = np.random.default_rng([seed, 25])
    for text, spoken in load_read_sentences():
        if not any(is_said(phrase, text) for phrase in phrases):
            heard = say_again(spoken, people, rng)
            labels = np.full(len(heard), len(phrases))
            yield Examples(heard, labels, np.arange(len(heard)), np.full(len(heard), -1))


def _examples(options: argparse.Namespace, plan: PhrasePlan, threads: int) -> Examples:
    """Return all windows, as the network of phonemes hears them."""
    recorded = _recordings(options, plan.phrases)
    prepare_parts(options.corpus, plan, threads)
    speech = load_running_speech()
    people = People(speech)
    made = _synthetic(plan, options.corpus, recorded.noise, options.seed, people)
    real = _real(plan.phrases, recorded, options.seed, people)
    again = _said_again(plan.phrases, people, options.seed)
    return concatenate([*made, *again, *real, *_bundled(plan.phrases, speech)])


def train_phrases(options: argparse.Namespace) -> Path:
    """Synthesize, train, verify and save; return the path of the model file.

    Raises:
        PhraseError: a phrase can't be said, is too long, or is there twice.
        SynthesizerMissingError: no synthesizer is installed.
        RecordingsError: the recordings can't be trained on.
        OutputExistsError: something that isn't ours has the name of an output.
        OSError: something can't be read or written.
    """
    phrases = parse_phrases(options.words)
    output: Path = options.output or Path("words.onnx")
    output = output.with_suffix(".onnx")
    start: Path = options.start or Path(bundled("kwmlp"))
    checks: dict[Path, Callable[[], None]] = {
        path: partial(
            recordings.check_train_output,
            path,
            overwrite=options.overwrite,
            start=start,
            recordings=options.recordings,
        )
        for path in map(output.with_suffix, (".pth", ".report.md", ".onnx"))
    }
    for check in checks.values():
        check()
    checkpoint = load_checkpoint(start, None, None)
    engines, missing = installed_engines()
    for each in missing:
        _note(f"{each} (continuing without it)")
    for each in check_phrases(phrases, engines):
        _note(f"warning: {each}")
    threads = options.threads or usable_cpus()
    torch.set_num_threads(threads)
    plan = PhrasePlan(phrases, engines, options.seed, tuple(read_voices()))
    source = read_model_file(Weights(str(start), "file").read(), "kwmlp")
    examples = _examples(options, plan, threads)
    steps = options.steps or _STEPS
    with tqdm(total=HEADS * steps, desc="network", unit=" steps", leave=False) as bar:
        heads = fit_heads(
            examples, load_phoneme_network(), len(phrases) + 1, options.seed, steps, bar.update
        )
    _write(checks, source, checkpoint, heads, (*phrases, OTHER_LABEL))
    return output


def _write(
    checks: dict[Path, Callable[[], None]],
    source: ModelFile,
    checkpoint: Checkpoint,
    heads: PhraseHeads,
    labels: tuple[str, ...],
) -> None:
    """Verify the graph, and write it with its report and the checkpoint.

    Raises:
        VerificationError: the graph computes something else than the network.
    """
    graph = phrase_graph(tap_encoder(source), heads)
    card = describe(graph) | {
        "keyword_labels": json.dumps(labels, ensure_ascii=False),
        "labels_kind": "own",
        "other_label": OTHER_LABEL,
        "keyword_threshold": str(THRESHOLD),
        "interface": "windows",
        "precision": "float32",
        "checkpoint_sha256": checkpoint.sha256,
        "licence": checkpoint.licence,
        "source": checkpoint.source,
    }
    write_metadata(graph, card)
    network = PhraseNetwork(checkpoint.weights, heads)
    findings = verify(graph, checkpoint.weights, network=network)
    page = mark_page(report(graph, findings).encode())
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        raise VerificationError(f"{len(failed)} of {len(findings)} comparisons failed: {failed[0]}")
    saved = io.BytesIO()
    heads = heads.float()
    content = {
        "model_state_dict": {k: torch.from_numpy(v) for k, v in checkpoint.weights.items()},
        "phrases_state_dict": heads.state_dict(),
        "labels": list(labels),
        "made_by": MARK,
    }
    torch.save(content, saved)
    data = graph.SerializeToString(deterministic=True)
    for (path, check), body in zip(checks.items(), (saved.getvalue(), page, data), strict=True):
        with replacing(path, check=check) as file:
            file.write(body)
