"""Training: what it makes its data of, and that a run is repeatable, resumable and usable."""

import hashlib
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hearaudiomlp
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp.storage.atomic import record_of
from hearaudiomlp_export.networks.filters import mel_filterbank
from hearaudiomlp_export.networks.frontend import MFCC, PowerMel
from hearaudiomlp_export.train import cli, loop
from hearaudiomlp_export.train.data import corpus
from hearaudiomlp_export.train.data.augment import NOT_A_KEYWORD, Augmenter, Mix, resampled
from hearaudiomlp_export.train.data.backgrounds import Backgrounds
from hearaudiomlp_export.train.data.corpus import (
    Part,
    Plan,
    held_out_variants,
    load_part,
    make_part,
    part_makers,
    write_facts,
)
from hearaudiomlp_export.train.data.disturb import Strength
from hearaudiomlp_export.train.data.evaluate import clean_windows, windows_of
from hearaudiomlp_export.train.data.features import WARPS, WarpedPowerMel, mask, warped_frequencies
from hearaudiomlp_export.train.data.sounds import SOUNDS, make_sound, room_response
from hearaudiomlp_export.train.errors import (
    CorpusError,
    SynthesizerMissingError,
    TrainingStateError,
)
from hearaudiomlp_export.train.loop import Batches, Run
from hearaudiomlp_export.train.recipe import RECIPES, Recipe
from hearaudiomlp_export.train.speech import espeak
from hearaudiomlp_export.train.speech.accents import accented
from hearaudiomlp_export.train.speech.voices import to_clip, trim
from hearaudiomlp_export.train.speech.words import KEYWORDS, OTHER_WORDS
from hearaudiomlp_export.train.tasks.audiomae import AutoencoderTask
from hearaudiomlp_export.train.tasks.kwmlp import KeywordTask


def _tone_part(name: str = "tones", clips: int = 24) -> Part:
    """Return "words" that are tones of different pitches, some of them no keyword."""
    rng = np.random.default_rng(3)
    words = [*KEYWORDS[: clips // 2], *OTHER_WORDS[: clips - clips // 2]]
    pcm = []
    for number in range(clips):
        time = np.arange(int(rng.integers(4000, 9000))) / SAMPLE_RATE
        pcm.append((12000 * np.sin(2 * np.pi * (200 + 90 * number) * time)).astype(np.int16))
    ends = np.cumsum([len(clip) for clip in pcm])
    return Part(name, np.concatenate(pcm), ends, words, ["tone"] * clips)


@pytest.fixture(scope="module")
def backgrounds() -> Backgrounds:
    """A small bank."""
    return Backgrounds([_tone_part()], seed=5, each=1)


def _recipe(name: str, **changes: object) -> Recipe:
    small: dict[str, object] = {"steps": 6, "batch": 4, "warm_up": 2, "shares": (1, 0, 0, 0)}
    return replace(RECIPES[name], **(small | changes))  # type: ignore[arg-type]


def _run(name: str, folder: Path, backgrounds: Backgrounds, **changes: object) -> Run:
    recipe = _recipe(name, **changes)
    augmenter = Augmenter([_tone_part()], [1.0], backgrounds, recipe.strength, recipe.seed)
    batches = Batches(augmenter, recipe)
    torch.manual_seed(recipe.seed)
    examples = batches.make(10**9)[0]
    task = (KeywordTask if name == "kwmlp" else AutoencoderTask)(recipe, examples)
    return Run(task, batches, recipe, folder)


@pytest.mark.parametrize("name", ["kwmlp", "audiomae"])
def test_the_checkpoint_computes_what_was_trained(
    name: str, tmp_path: Path, backgrounds: Backgrounds
) -> None:
    """The standardization of the features is folded into the first Linear without loss."""
    run = _run(name, tmp_path, backgrounds, steps=2)
    run.run(lambda *_: None)
    path = tmp_path / "trained.pth"
    torch.save({"model_state_dict": run.average.checkpoint()}, path)
    model = hearaudiomlp.load_model(path, device="cpu", threads=1)
    windows = torch.from_numpy(clean_windows(_part_of_keywords())[0])
    task = run.average.eval()
    with torch.no_grad():
        mel = PowerMel()(windows)
        if isinstance(task, KeywordTask):
            features = task.standardize(MFCC()(mel))
            expected = task.network(features)[1]
            found = model.keyword_logits(windows.numpy())
        else:
            assert isinstance(task, AutoencoderTask)
            # 80 zeros before, 240 after: a second becomes two windows; their inner frames agree.
            padded = torch.nn.functional.pad(windows, (80, 15920)).reshape(-1, WINDOW)
            expected = task.network(task.scale(PowerMel()(padded)))[0]
            expected = expected.reshape(len(windows), 2, 98, -1)[:, 0]
            found = model.timestamp_embeddings(windows.numpy())[0][:, :98]
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4, rtol=1e-3)


def _part_of_keywords() -> Part:
    part = _tone_part()
    keep = [number for number, word in enumerate(part.words) if word in KEYWORDS]
    clips = [part.clip(number) for number in keep]
    ends = np.cumsum([len(clip) for clip in clips])
    return Part(
        "k", np.concatenate(clips), ends, [part.words[n] for n in keep], ["tone"] * len(keep)
    )


@pytest.mark.parametrize("name", ["kwmlp", "audiomae"])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    name: str,
    tmp_path: Path,
    backgrounds: Backgrounds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bit for bit, and with the same log."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    whole = _run(name, tmp_path / "whole", backgrounds)
    whole.run(lambda *_: None)

    def interrupt(step: int, _: dict[str, float]) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    first = _run(name, tmp_path / "parts", backgrounds)
    with pytest.raises(KeyboardInterrupt):
        first.run(interrupt)
    assert first.step in (3, 4)
    second = _run(name, tmp_path / "parts", backgrounds)
    assert second.step == first.step
    second.run(lambda *_: None)
    for key, value in whole.average.checkpoint().items():
        assert torch.equal(value, second.average.checkpoint()[key]), key
    logs = [
        [json.loads(line) for line in (tmp_path / part / "log.jsonl").read_text().splitlines()]
        for part in ("whole", "parts")
    ]
    assert [line["step"] for line in logs[0]] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]


def test_another_recipe_does_not_go_on_with_a_run(tmp_path: Path, backgrounds: Backgrounds) -> None:
    """It says so instead."""
    run = _run("kwmlp", tmp_path, backgrounds, steps=1)
    run.run(lambda *_: None)
    with pytest.raises(TrainingStateError, match="other settings"):
        _run("kwmlp", tmp_path, backgrounds, steps=2)
    (tmp_path / "state.pt").write_bytes(b"PK nothing")
    with pytest.raises(TrainingStateError, match="no training state"):
        _run("kwmlp", tmp_path, backgrounds, steps=1)


def _without_digest(state: Path) -> bytes:
    return state.read_bytes()[32:]


def _with_digest(saved: bytes) -> bytes:
    return hashlib.sha256(saved).digest() + saved


def test_a_damaged_state_is_refused(tmp_path: Path, backgrounds: Backgrounds) -> None:
    """Cut off, or with a flipped bit in the weights, which torch doesn't notice."""
    _run("kwmlp", tmp_path, backgrounds, steps=1).run(lambda *_: None)
    whole = (tmp_path / "state.pt").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for damaged in (b"", whole[:31], whole[:-1], bytes(flipped), whole[32:]):
        (tmp_path / "state.pt").write_bytes(damaged)
        with pytest.raises(TrainingStateError, match="it is damaged"):
            _run("kwmlp", tmp_path, backgrounds, steps=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"step": None}, {"step": math.inf}, {"step": -1}, {"step": 10**9}, {"recipe": 5},
        {"task": None}, {"task": [1]}, {"optimizer": None}, {"log": "5"}, {"log": "[5]"},
        {"optimizer": {"state": [1], "param_groups": []}},
        {"optimizer": {"state": {}, "param_groups": 5}},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_whose_digest_fits_is_not_trusted(
    changes: dict[str, object], tmp_path: Path, backgrounds: Backgrounds
) -> None:
    _run("kwmlp", tmp_path, backgrounds, steps=1).run(lambda *_: None)
    saved = io.BytesIO(_without_digest(tmp_path / "state.pt"))
    state = torch.load(saved, weights_only=True)
    for content in ([1], None, torch.zeros(3), state | changes):
        torch.save(content, saved := io.BytesIO())
        (tmp_path / "state.pt").write_bytes(_with_digest(saved.getvalue()))
        with pytest.raises(TrainingStateError, match="no training state"):
            _run("kwmlp", tmp_path, backgrounds, steps=1)


@pytest.mark.parametrize("damage", [b'{"step": 1, "lo', b"\xff\n", b"[]\n", b"", None])
def test_a_damaged_log_is_written_again(
    damage: bytes | None,
    tmp_path: Path,
    backgrounds: Backgrounds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kill in the middle of a line left one that ended the next run."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    _run("kwmlp", tmp_path, backgrounds, steps=2).run(lambda *_: None)
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes()
    if damage is None:
        log.unlink()
    else:
        log.write_bytes(damage)
    _run("kwmlp", tmp_path, backgrounds, steps=2)
    assert log.read_bytes() == whole
    assert [json.loads(line)["step"] for line in whole.splitlines()] == [1, 2]


def test_training_lowers_the_loss(tmp_path: Path, backgrounds: Backgrounds) -> None:
    """Sixty steps on twelve tones without disturbance are enough to distinguish most of them."""
    run = _run(
        "kwmlp",
        tmp_path,
        backgrounds,
        steps=60,
        batch=24,
        mix=Mix(0.0, 0.0),
        survival=(1.0, 1.0),
        warm_up=5,
        strength=Strength(0, 0, 0, 0, 0, 0, 0, 0, 0),
        warp=1.001,
    )
    log: list[float] = []
    run.run(lambda _, figures: log.append(figures["merit"]))
    windows, labels = clean_windows(_part_of_keywords())
    task = run.task.eval()
    assert isinstance(task, KeywordTask)
    with torch.no_grad():
        features = task.standardize(MFCC()(PowerMel()(torch.from_numpy(windows))))
        named = task.network(features)[1].argmax(1).numpy()
    assert np.mean(named == labels) > 0.5


def test_batches_follow_from_seed_and_number(backgrounds: Backgrounds) -> None:
    """Nothing else decides them; another number or seed gives another batch."""
    part = _tone_part()

    def batch(seed: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        augmenter = Augmenter([part], [1.0], backgrounds, Strength(), seed)
        return augmenter.batch(number, 16, Mix(0.2, 0.2))[:2]

    windows, labels = batch(1, 4)
    again, same = batch(1, 4)
    assert torch.equal(windows, again)
    assert torch.equal(labels, same)
    assert not torch.equal(windows, batch(1, 5)[0])
    assert not torch.equal(windows, batch(2, 4)[0])
    assert windows.shape == (16, WINDOW)
    assert windows.dtype == torch.float32
    assert torch.isfinite(windows).all()
    assert set(labels.tolist()) <= {NOT_A_KEYWORD, *range(35)}


def test_shares_of_negatives_and_sounds(backgrounds: Backgrounds) -> None:
    """All negatives, no negatives."""
    augmenter = Augmenter([_tone_part()], [1.0], backgrounds, Strength(), 0)
    assert (augmenter.batch(0, 40, Mix(1.0, 0.0))[1] == NOT_A_KEYWORD).all()
    assert (augmenter.batch(0, 40, Mix(0.0, 1.0))[1] == NOT_A_KEYWORD).all()
    assert (augmenter.batch(0, 40, Mix(0.0, 0.0))[1] != NOT_A_KEYWORD).all()


@pytest.mark.parametrize("condition", ["clean", "telephone", "room and noise"])
def test_held_out_windows(condition: str, backgrounds: Backgrounds) -> None:
    """Each condition gives windows with labels; the telephone has nothing above 4.5 kHz."""
    windows, labels = windows_of(_part_of_keywords(), condition, backgrounds)
    assert windows.shape == (12, WINDOW)
    assert (labels >= 0).all()
    if condition == "clean":
        np.testing.assert_array_equal(labels, range(12))


@pytest.mark.parametrize("name", list(SOUNDS))
def test_sounds(name: str) -> None:
    """Each is finite, has its peak at one half, and follows from its generator."""
    sound = make_sound(name, np.random.default_rng(1), 20_000)
    assert sound.shape == (20_000,)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() == pytest.approx(0.5, abs=1e-4)
    np.testing.assert_array_equal(sound, make_sound(name, np.random.default_rng(1), 20_000))
    assert not np.array_equal(sound, make_sound(name, np.random.default_rng(2), 20_000))


def test_a_room_begins_with_the_direct_sound_and_dies_away() -> None:
    """Most of a response's energy is in its first half."""
    for seed in range(5):
        response = room_response(np.random.default_rng(seed), 8000)
        assert response[0] == 1.0
        assert np.square(response[:4000]).sum() > np.square(response[4000:]).sum()


def test_the_middle_vocal_tract_is_the_speakers_own() -> None:
    """It gives the mel filters that librosa has; the others stay within 0 and 8 kHz."""
    own = mel_filterbank(warped_frequencies(1.0))
    np.testing.assert_allclose(own, librosa.filters.mel(sr=16000, n_fft=480, n_mels=40), atol=1e-7)
    mel = WarpedPowerMel(1.2)
    windows = torch.randn(3, WINDOW)
    middle = mel.warp(windows, torch.full((3,), WARPS // 2))
    torch.testing.assert_close(middle, PowerMel()(windows), rtol=1e-4, atol=1e-4)
    for factor in (0.8, 0.95, 1.05, 1.25):
        warped = warped_frequencies(factor)
        assert warped[0] == 0
        assert warped[-1] == pytest.approx(8000)
        assert (np.diff(warped) > 0).all()
        assert warped[60] == pytest.approx(2000 * factor)


def test_masks_are_stretches() -> None:
    """Zeros over whole frames and whole bands, at most two of each and not too wide."""
    masked = mask(torch.ones(20, 98, 40), np.random.default_rng(0), 14, 6)
    for window in masked.numpy():
        frames = int((window.max(axis=1) == 0).sum())
        bands = int((window.max(axis=0) == 0).sum())
        assert frames <= 28
        assert bands <= 12
        np.testing.assert_array_equal(
            window == 0, (window.max(1) == 0)[:, None] | (window.max(0) == 0)
        )
    assert (masked == 0).any()


@given(st.sampled_from(KEYWORDS), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_accents_keep_words_apart(word: str, seed: int, strength: float) -> None:
    """An accent changes phonemes and never makes "tree" of "three"."""
    phonemes = {"three": "Tr'i:", "seven": "s'Ev@n"}.get(word, f"{word[0]}'E{word[-1]}")
    said = accented(phonemes, np.random.default_rng(seed), strength)
    assert said
    if word == "three":
        assert not re.match(r"t[rR*]", said)


@given(st.floats(0.6, 1.6), st.integers(0, 3000))
def test_resampling_changes_the_length(speed: float, length: int) -> None:
    """By the speed, for every length."""
    clip = np.arange(length).astype(np.int16)
    assert abs(len(resampled(clip, speed)) - length / speed) <= 2


def test_clips_lose_their_silent_ends() -> None:
    """And are resampled and scaled; silence gives nothing."""
    tone = 0.01 * np.sin(np.arange(11025) / 5).astype(np.float32)
    padded = np.pad(tone, 5000)
    assert abs(len(trim(padded, 22050)) - len(tone)) < 3 * 220
    clip = to_clip(padded, 22050)
    assert abs(len(clip) - 8000) < 500
    assert np.abs(clip).max() == pytest.approx(16384, rel=0.01)
    assert len(to_clip(np.zeros(3000, np.float32), 16000)) == 0
    assert len(to_clip(np.zeros(0, np.float32), 16000)) == 0


def test_every_tenth_variant_is_held_out() -> None:
    """And training has none of them."""
    variants = [f"v{number}" for number in range(100)]
    assert len(held_out_variants(variants)) == 10


def test_a_missing_synthesizer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the Debian package that it is in, from the command line too."""
    monkeypatch.setattr(espeak.ctypes.util, "find_library", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    for name, package in [
        ("train-espeak", "libespeak-ng1"),
        ("train-flite", "libflite1"),
        ("train-festival", "festival"),
        ("engine-pico", "libttspico-utils"),
    ]:
        with pytest.raises(SynthesizerMissingError, match=f"apt-get install {package}"):
            make_part(tmp_path, name, Plan(), lambda *_: None)
    made = ["kwmlp", "--corpus", str(tmp_path), "-o", str(tmp_path / "x.pth")]

    def missing(*_: object) -> None:
        raise SynthesizerMissingError("flite", "libflite1")

    monkeypatch.setattr(cli, "prepare_corpus", missing)
    assert cli.main([*made, "--folder", str(tmp_path / "r")]) == 1
    assert "apt-get install libflite1" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize("words", [[], ["--words", "hey archie"]])
@pytest.mark.parametrize("name", [".", "/", "nowhere/x.pth", "nowhere\x1b[31m/x.pth"])
def test_a_place_where_nothing_can_be_written_is_refused_first(
    words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["kwmlp", "-o", name, *words])
    message = capsys.readouterr().err
    assert "folder" in message
    assert "\x1b" not in message


@pytest.mark.parametrize("words", [[], ["--words", "hey archie"]])
def test_a_file_of_somebody_else_is_no_output(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "x.pth"
    foreign.write_bytes(b"somebody's")
    command = ["kwmlp", "--corpus", str(tmp_path / "c"), "-o", str(foreign), *words]
    assert cli.main(command) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert cli.main([*command, "--start", str(foreign), "--overwrite"]) == 1
    assert "is an input" in capsys.readouterr().err
    assert foreign.read_bytes() == b"somebody's"
    assert [path.name for path in tmp_path.iterdir()] == ["x.pth"]


@pytest.mark.parametrize("name", ["log.jsonl", "recipe.json", "notes.txt", "state.pt"])
def test_a_folder_of_somebody_else_is_no_training_run(
    name: str, tmp_path: Path, backgrounds: Backgrounds
) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(TrainingStateError, match="something else than a training run"):
        _run("kwmlp", tmp_path, backgrounds)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path, backgrounds: Backgrounds) -> None:
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "run"
    _run("kwmlp", folder, backgrounds)
    (folder / "log.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(TrainingStateError, match="a symbolic link"):
        _run("kwmlp", folder, backgrounds)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("words", [[], ["--words", "hey archie"]])
def test_weights_to_start_from_are_an_ordinary_file(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = ["kwmlp", "--corpus", str(tmp_path / "c"), "-o", str(tmp_path / "x.pth"), *words]
    assert cli.main([*command, "--start", str(tmp_path / "pipe")]) == 1
    assert "not an ordinary file" in capsys.readouterr().err


def test_an_interrupt_does_not_wait_for_the_synthesizers() -> None:
    """Neither for the part that is being made, nor for those that haven't begun."""
    making = []

    def work() -> None:
        with part_makers(1) as pool:
            making.extend(pool.submit(time.sleep, 60) for _ in range(2))
            while not making[0].running():
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert isinstance(making[0].exception(), BrokenProcessPool)
    assert making[1].cancelled() or isinstance(making[1].exception(), BrokenProcessPool)


MAKING = """
import sys, time
from hearaudiomlp.cli import interrupts
from hearaudiomlp_export.train.data.corpus import part_makers
interrupts.install()
try:
    with interrupts.unwinding(), part_makers(1) as pool:
        making = pool.submit(time.sleep, 60)
        print(*pool._processes, flush=True)
        making.result()
except KeyboardInterrupt:
    pass
interrupts.ignore()
sys.exit(interrupts.status(0))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_s_signal_while_a_process_starts_is_no_traceback_of_its(number: int) -> None:
    """All processes get it: those that import, and the one that counts semaphores."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKING],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    maker = int(process.stdout.readline())
    time.sleep(0.2)  # it imports
    if number == signal.SIGINT:
        os.kill(maker, number)  # a moment before the other, as it may happen
        time.sleep(0.1)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert "resource_tracker" not in err


def test_an_error_in_a_part_is_all_that_is_printed() -> None:
    """The pool's own thread, which starts the next process, has nothing to complain about."""
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), part_makers(1) as pool:  # noqa: PT012
            making = [pool.submit(divmod, 1, 0), pool.submit(time.sleep, 60)]
            making[0].result()


def _npy(shape: bytes) -> bytes:
    head = b"{'descr': '<i2', 'fortran_order': False, 'shape': " + shape + b"}\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + bytes(22)


def test_a_corpus_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """Missing, changed, and what anybody could have sealed."""
    plan = Plan()
    with pytest.raises(CorpusError, match="has not been made"):
        load_part(tmp_path, "train-espeak", plan)
    folder = tmp_path / plan.fingerprint()
    folder.mkdir()
    samples, about = (folder / f"train-espeak.{ending}" for ending in ("npy", "json"))

    def write(content: bytes | np.ndarray) -> None:
        """Write samples, and facts that fit them."""
        if isinstance(content, bytes):
            samples.write_bytes(content)
        else:
            np.save(samples, content)
        with samples.open("rb") as file:
            facts = {"ends": [5, 11], "words": ["a", "b"], "voices": ["x", "x"]}
            write_facts(about, facts, record_of(file))

    write(np.arange(11, dtype=np.int16))
    assert load_part(tmp_path, "train-espeak", plan).clip(1).tolist() == [5, 6, 7, 8, 9, 10]
    whole = samples.read_bytes()
    for damaged in (whole[:-2], whole[:-1] + b"\1", b""):
        samples.write_bytes(damaged)
        with pytest.raises(CorpusError, match="damaged"):
            load_part(tmp_path, "train-espeak", plan)
    several = io.BytesIO()
    np.savez(several, a=np.zeros(11, np.int16))
    shapes = [b"(11.5,)", b"(True,)", b"(10**19,)", b"(" + b"9" * 30 + b",)", b"(11,", b"[" * 9999]
    contents = [np.zeros(10, np.int16), np.zeros(11), np.zeros((11, 2), np.int16)]
    contents += [b"", b"\x80\x04N.", several.getvalue(), *map(_npy, shapes)]
    for content in contents:
        write(content)
        with pytest.raises(CorpusError, match="damaged"):
            load_part(tmp_path, "train-espeak", plan)
    (folder / "train-espeak.npy").unlink()
    os.mkfifo(folder / "train-espeak.npy")
    with pytest.raises(CorpusError, match="has not been made"):
        load_part(tmp_path, "train-espeak", plan)


_TINY = Plan(espeak=1, accented=1, flite=1, festival=1, others=0.0, held_out=1)


@pytest.mark.parametrize("name", [*corpus.TRAINING, *corpus.HELD_OUT])
def test_synthesizers_speak(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is made of words, twice the same, where its synthesizer is installed."""
    monkeypatch.setattr(corpus, "KEYWORDS", ("seven", "happy"))
    monkeypatch.setattr(corpus, "OTHER_WORDS", ("water",))
    try:
        make_part(tmp_path, name, _TINY, lambda *_: None)
    except SynthesizerMissingError as missing:
        pytest.skip(str(missing))
    part = load_part(tmp_path, name, _TINY)
    assert set(part.words) >= {"seven", "happy"}
    assert ("water" in part.words) == name.startswith("train")
    for number in range(len(part)):
        assert 0.08 < len(part.clip(number)) / SAMPLE_RATE < 1.3


def test_espeak_says_the_same_in_every_process(tmp_path: Path) -> None:
    """In one process, what it has spoken before would show."""
    script = (
        "import hashlib, sys\n"
        "from hearaudiomlp_export.train.speech.espeak import ESpeak\n"
        "from hearaudiomlp_export.train.speech.voices import Voice\n"
        "speaker = ESpeak()\n"
        "said = [speaker.speak('seven', Voice(v)) for v in ('en+f3', 'en-us+klatt4', 'de')]\n"
        "print([hashlib.sha256(samples.tobytes()).hexdigest() for samples in said])\n"
    )
    try:
        espeak.ESpeak()
    except SynthesizerMissingError as missing:
        pytest.skip(str(missing))
    runs = {
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_an_idle_value_is_pushed_to_move() -> None:
    """Also where the decoder doesn't look at it; a value that moves enough is left alone."""
    torch.manual_seed(0)
    windows = 0.1 * torch.randn(4, WINDOW)
    recipe = replace(RECIPES["audiomae"], warp=1.001)
    nothing = torch.zeros(4, dtype=torch.int64)
    for scale, moves in ((0.01, True), (30.0, False)):
        task = AutoencoderTask(recipe, windows)
        with torch.no_grad():
            task.decoder.expand.weight[:, 3] = 0
            task.network.bottleneck[0].weight[3] *= scale
        loss, _ = task.loss(windows, nothing, nothing, np.random.default_rng(0), 0.0)
        loss.backward()
        gradient = task.network.bottleneck[0].weight.grad[3]
        assert bool((gradient != 0).any()) is moves
