"""Recordings of real people: three layouts, splits by speaker, and what is measured on them."""

import csv
import hashlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import hearaudiomlp
from hearaudiomlp.audio import read_audio
from hearaudiomlp.keywordfiles import spot_files
from hearaudiomlp.keywords import HOP_S
from hearaudiomlp.spec import SAMPLE_RATE, WINDOW
from hearaudiomlp.storage.ownership import seal, unseal
from hearaudiomlp_export.train import cli
from hearaudiomlp_export.train.data import layouts, recordings
from hearaudiomlp_export.train.data.augment import NOT_A_KEYWORD, Augmenter, Mix, Real
from hearaudiomlp_export.train.data.backgrounds import Backgrounds
from hearaudiomlp_export.train.data.corpus import Part
from hearaudiomlp_export.train.data.disturb import Strength
from hearaudiomlp_export.train.data.layouts import hash_split, list_clips
from hearaudiomlp_export.train.data.recordings import Recordings
from hearaudiomlp_export.train.data.validation import (
    Validation,
    bare_windows,
    rich_words,
    sliding_windows,
    spot,
)
from hearaudiomlp_export.train.errors import CorpusError, RecordingsError
from hearaudiomlp_export.train.recipe import RECIPES
from hearaudiomlp_export.train.speech.words import KEYWORDS
from hearaudiomlp_export.train.tasks.kwmlp import KeywordTask

_COLUMNS = ["file", "start", "stop", "word", "kind", "split", "speaker", "clip"]
_COLUMNS += ["repository", "licence", "sha256"]
_CALM = Strength(0, 0, 0, 0, 0, 0, 0, 0, 0)
_ROOT = Path(__file__).parents[3]


def _tone(hertz: float, seconds: float = 0.4) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.round(9000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def _write(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def _prepared(folder: Path, cache: Path) -> tuple[Recordings, Recordings]:
    clips = list_clips(folder)
    *_, done = recordings.prepare(clips, cache)
    assert done == sum(clip.split != "testing" for clip in clips)
    return recordings.load(cache, "training"), recordings.load(cache, "validation")


@pytest.mark.parametrize(
    ("speaker", "split"),
    [
        ("f035e2ea", "training"),
        ("0a7c2a8d", "training"),
        ("7a49163e", "validation"),
    ],
)
def test_the_hash_rule_is_that_of_speech_commands(speaker: str, split: str) -> None:
    """The public data set's own lists have these speakers there."""
    assert hash_split(speaker) == split


def test_the_hash_rule_has_its_shares() -> None:
    """Of many speakers about 10 % are set aside for each purpose; without testing, none."""
    splits = [hash_split(f"speaker {number}") for number in range(3000)]
    assert 0.08 < splits.count("validation") / 3000 < 0.12
    assert 0.08 < splits.count("testing") / 3000 < 0.12
    assert {hash_split(f"speaker {number}", testing=0) for number in range(3000)} == {
        "training",
        "validation",
    }


def test_speech_commands(tmp_path: Path) -> None:
    """The official lists decide; noise and words that are no keywords have their own kind."""
    for number, word in enumerate(["yes", "happy", "marmalade"]):
        for speaker in ("0a7c2a8d", "7a49163e", "00000000"):
            _write(tmp_path / word / f"{speaker}_nohash_0.wav", _tone(300 + 50 * number))
    _write(tmp_path / "_background_noise_" / "pink.wav", _tone(90, 4.0))
    (tmp_path / "README.md").write_text("as in the public archive")
    lists = {"validation": "7a49163e", "testing": "00000000"}
    for split, speaker in lists.items():
        names = [f"{word}/{speaker}_nohash_0.wav" for word in ("yes", "happy", "marmalade")]
        (tmp_path / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    clips = list_clips(tmp_path)
    assert {clip.name: clip.split for clip in clips if clip.kind == "word"} == {
        f"{word}/{speaker}_nohash_0.wav": split
        for word in ("yes", "happy")
        for speaker, split in [
            ("0a7c2a8d", "training"), ("7a49163e", "validation"), ("00000000", "testing")
        ]
    }  # fmt: skip
    training, validation = _prepared(tmp_path, tmp_path / "cache")
    assert training.words.words == ["happy", "yes"]
    assert training.words.voices == ["0a7c2a8d"] * 2
    assert training.others.words == ["marmalade"]
    assert len(training.noise) + len(validation.noise) == 1
    assert validation.words.voices == ["7a49163e"] * 2
    assert not len(training.running)
    np.testing.assert_array_equal(training.words.clip(0), _tone(350))


def test_plain_folders_keep_speakers_together(tmp_path: Path) -> None:
    """Whatever they say, whether a folder or the file's name identifies them; any rate."""
    people = [f"person{number}" for number in range(60)]
    for person in people:
        _write(tmp_path / "stop" / person / "1.flac", _tone(200))
        _write(tmp_path / "go" / f"{person}-take2.wav", _tone(300))
    _write(tmp_path / "go" / "go_1.wav", _tone(300))
    _write(tmp_path / "_running_speech_" / "reader" / "a.wav", _tone(500, 3.0))
    (tmp_path / "_running_speech_" / "reader" / "a.txt").write_text("Go on, reader")
    _write(tmp_path / "up" / f"{people[0]}.wav", np.repeat(_tone(200), 3), 48_000)
    clips = list_clips(tmp_path)
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.speaker, set()).add(clip.split)
    assert all(len(found) == 1 for speaker, found in splits.items() if speaker)
    assert {clip.speaker for clip in clips if clip.text == "go"} == {*people, ""}
    running = [clip for clip in clips if clip.kind == "running"]
    assert [clip.text for clip in running] == ["go on, reader"]
    training, validation = _prepared(tmp_path, tmp_path / "cache")
    for part in (training.words, validation.words):
        lengths = {len(clip) for clip in part.clips()}
        assert lengths <= {6400}  # 48 kHz is resampled


def _packed(folder: Path, rows: list[tuple[str, str, str, str]]) -> list[np.ndarray]:
    """Pack clips of (word, kind, split, speaker) into one file."""
    pcm = [_tone(200 + 20 * number, 0.3 + 0.05 * number) for number in range(len(rows))]
    _write(folder / "all.flac", np.concatenate(pcm))
    ends = np.cumsum([len(clip) for clip in pcm])
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "file",
                "start",
                "stop",
                "word",
                "kind",
                "split",
                "speaker",
                "clip",
                "repository",
                "licence",
                "sha256",
            ]
        )
        for number, (word, kind, split, speaker) in enumerate(rows):
            start, stop = ends[number] - len(pcm[number]), ends[number]
            sha256 = "f" * 64 if number == 0 else ""
            writer.writerow([
                "all.flac", start, stop, word, kind, split, speaker, f"clip {number}, cut",
                "a/b", "CC-BY-4.0", sha256,
            ])  # fmt: skip
    return pcm


def test_packed(tmp_path: Path) -> None:
    """Each clip is its stretch of the file; the manifest names those that were heard."""
    rows = [
        ("yes", "word", "training", "a"),
        ("no", "word", "validation", "b"),
        ("athena", "other", "training", "crowd"),
        ("athena", "other", "validation", "crowd"),
        ("tap", "noise", "training", ""),
    ]
    pcm = _packed(tmp_path, rows)
    with (tmp_path / "running.csv").open("w") as file:
        file.write("file,start,stop,split,reader,utterance,text\n")
        file.write("all.flac,0,9000,training,c,1-2-3,NO ONE KNOWS\n")
    training, validation = _prepared(tmp_path, tmp_path / "cache")
    np.testing.assert_array_equal(training.words.clip(0), pcm[0])
    np.testing.assert_array_equal(validation.words.clip(0), pcm[1])
    np.testing.assert_array_equal(training.others.clip(0), pcm[2])
    np.testing.assert_array_equal(training.noise.clip(0), pcm[4])
    np.testing.assert_array_equal(training.running.clip(0), np.concatenate(pcm)[:9000])
    assert training.running.words == ["no one knows"]
    recordings.write_manifest(tmp_path / "cache", tmp_path / "clips-heard.csv")
    with (tmp_path / "clips-heard.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [line["clip"] for line in listed] == [
        "clip 0, cut",
        "clip 2, cut",
        "1-2-3",
        "clip 4, cut",
    ]
    assert listed[0]["sha256"] == "f" * 64
    assert listed[1]["sha256"] == hashlib.sha256(pcm[2].astype("<i2").tobytes()).hexdigest()
    assert listed[0]["licence"] == "CC-BY-4.0"


def test_what_can_not_be_trained_on_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder, no keywords, a speaker in two splits, damaged lists; on the command line too."""
    with pytest.raises(RecordingsError, match="is no folder"):
        list_clips(tmp_path / "nothing")
    _write(tmp_path / "none" / "marmalade" / "a_1.wav", _tone(200))
    with pytest.raises(RecordingsError, match="no keyword for training"):
        list_clips(tmp_path / "none")
    crossing = tmp_path / "crossing"
    _packed(crossing, [("yes", "word", "training", "a"), ("no", "word", "validation", "a")])
    with pytest.raises(RecordingsError, match="speaker 'a' is in training and in validation"):
        list_clips(crossing)
    assert cli.main(["kwmlp", "--recordings", str(crossing), "-o", str(tmp_path / "x.pth")]) == 1
    assert "speaker 'a'" in capsys.readouterr().err
    (crossing / "clips.csv").write_text("file,start\nall.flac,0\n")
    with pytest.raises(RecordingsError, match="lacks a column"):
        list_clips(crossing)


_ROW = {
    "file": "all.flac", "start": "0", "stop": "10", "word": "yes", "kind": "word",
    "split": "training", "speaker": "a", "clip": "c", "sha256": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    "entry",
    [
        {"file": "../all.flac"}, {"file": "/etc/passwd"}, {"file": "a/../../all.flac"},
        {"start": "-1"}, {"start": "9" * 5000}, {"stop": "-9"}, {"stop": "nan"}, {"kind": "noice"},
        {"split": "train"}, {"word": "y" * 200_000}, {"clip": "\ud800"}, {"file": "a\0.flac"},
    ],
)  # fmt: skip
def test_lists_of_clips_are_not_trusted(
    entry: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing outside the folder is read, and whatever is wrong is one line."""
    row = _ROW | entry
    text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    (tmp_path / "clips.csv").write_bytes(text.encode(errors="surrogatepass"))
    output = ["-o", str(tmp_path / "x.pth"), "--corpus", str(tmp_path / "c")]
    assert cli.main(["kwmlp", "--recordings", str(tmp_path), *output]) == 1
    error = capsys.readouterr().err
    assert error.startswith("hearaudiomlp-export train: ")
    assert error.count("\n") == 1
    assert len(error) < 1000


def test_a_list_of_too_many_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _packed(tmp_path, [("yes", "word", "training", "a"), ("no", "word", "validation", "b")])
    assert len(list_clips(tmp_path)) == 2
    monkeypatch.setattr(layouts, "MOST_CLIPS", 1)
    with pytest.raises(RecordingsError, match="more than 1 clips"):
        list_clips(tmp_path)


def test_lists_are_ordinary_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clips.csv")
    with pytest.raises(RecordingsError, match="not an ordinary file"):
        list_clips(tmp_path)
    (tmp_path / "clips.csv").unlink()
    _write(tmp_path / "yes" / "ann-1.wav", _tone(200))
    (tmp_path / "testing_list.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(RecordingsError, match=r"testing_list\.txt can't be read"):
        list_clips(tmp_path)


def test_folders_nested_deeper_than_pythons_calls(tmp_path: Path) -> None:
    _write(tmp_path / "real" / "yes" / "x.wav", _tone(200))
    before = os.open(tmp_path / "real" / "yes", os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=before)
        below = os.open("d", os.O_RDONLY, dir_fd=before)
        os.close(before)
        before = below
    os.close(before)
    try:
        assert [clip.name for clip in list_clips(tmp_path / "real", ("yes",))] == ["yes/x.wav"]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "real")], check=True)


def test_names_in_the_manifest_are_no_formulas(tmp_path: Path) -> None:
    """Nor do names that are no UTF-8 stop it."""
    for name in (b"=cmd().wav", b"\xff.wav"):
        path = tmp_path / "real" / "yes" / os.fsdecode(name)
        _write(path.with_name("x.wav"), _tone(200))
        path.with_name("x.wav").rename(path)
    clips = [
        replace(clip, split="training", name=clip.path.name)
        for clip in list_clips(tmp_path / "real", ("yes",))
    ]
    list(recordings.prepare(clips, tmp_path / "cache"))
    recordings.write_manifest(tmp_path / "cache", tmp_path / "m.csv")
    listed = (tmp_path / "m.csv").read_bytes().splitlines()
    assert sorted(line.split(b",")[4] for line in listed[1:]) == [b"./=cmd().wav", b"\xff.wav"]


def test_a_manifest_of_somebody_else_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _packed(tmp_path / "real", [("yes", "word", "training", "a")])
    (tmp_path / "x.clips.csv").write_text("mine")
    output = ["-o", str(tmp_path / "x.pth"), "--corpus", str(tmp_path / "c")]
    assert cli.main(["kwmlp", "--recordings", str(tmp_path / "real"), *output]) == 1
    assert "x.clips.csv exists" in capsys.readouterr().err
    assert (tmp_path / "x.clips.csv").read_text() == "mine"
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("words", [[], ["--words", "hey archie"]])
def test_a_recording_is_never_the_output(words: list[str], tmp_path: Path, capsys) -> None:
    """Nor is the list of them, under whatever name."""
    _packed(tmp_path / "real", [("yes", "word", "training", "a")])
    (tmp_path / "link").symlink_to("real")
    for name in ("real/clip.pth", "link/clip.pth"):
        recording = tmp_path / name
        recording.with_suffix(".onnx").write_text("mine")
        recording.write_text("mine")
        arguments = ["kwmlp", "-o", str(recording), "--corpus", str(tmp_path / "c"), *words]
        arguments += ["--recordings", str(tmp_path / "real"), "--overwrite"]
        assert cli.main(arguments) == 1
        assert "is an input of this command" in capsys.readouterr().err
        assert recording.read_text() == "mine"
    assert not (tmp_path / "c").exists()


@pytest.fixture
def decoded(tmp_path: Path) -> Path:
    _packed(tmp_path, [("yes", "word", "training", "a"), ("no", "word", "validation", "b")])
    _prepared(tmp_path, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"ends": [99]}', b"null", b"[" * 10_000])
def test_damage_to_what_was_decoded_is_noticed(damage: bytes, decoded: Path) -> None:
    (decoded / "training-word.json").write_bytes(damage)
    with pytest.raises(CorpusError, match="damaged"):
        recordings.load(decoded, "training")


@pytest.mark.parametrize("damage", [b"\0", b"odd", None])
def test_samples_that_changed_are_noticed(damage: bytes | None, decoded: Path) -> None:
    """One bit of them, too."""
    samples = decoded / "training-word.pcm"
    raw = bytearray(samples.read_bytes())
    raw[1000] ^= 4
    samples.write_bytes(raw if damage is None else samples.read_bytes() + damage)
    with pytest.raises(CorpusError, match="damaged"):
        recordings.load(decoded, "training")


@pytest.mark.parametrize("name", ["training-word.json", "training-word.pcm"])
def test_a_pipe_in_the_place_of_what_was_decoded_is_not_waited_for(
    name: str, decoded: Path
) -> None:
    (decoded / name).unlink()
    os.mkfifo(decoded / name)
    with pytest.raises(CorpusError, match="damaged"):
        recordings.load(decoded, "training")


@pytest.mark.parametrize("column", ["names", "sources", "licences", "sha256", "words", "ends"])
@pytest.mark.parametrize("value", [None, 5, [], [5], ["a", "b"]], ids=str)
def test_facts_that_anybody_sealed_are_not_trusted(
    column: str, value: object, decoded: Path, tmp_path: Path
) -> None:
    about = decoded / "training-word.json"
    about.write_bytes(seal(unseal(about.read_bytes()) | {column: value}))
    with pytest.raises(CorpusError, match="damaged"):
        recordings.load(decoded, "training")


def test_decoding_resumes_and_damage_is_noticed(tmp_path: Path) -> None:
    """What was decoded isn't decoded again; a part cut short is refused, a missing one named."""
    _packed(tmp_path, [("yes", "word", "training", "a"), ("no", "word", "validation", "b")])
    clips, cache = list_clips(tmp_path), tmp_path / "cache"
    with pytest.raises(CorpusError, match="have not been decoded"):
        recordings.load(cache, "training")
    _prepared(tmp_path, cache)
    before = (cache / "training-word.pcm").stat().st_mtime_ns
    assert list(recordings.prepare(clips, cache))[-1] == 2
    assert (cache / "training-word.pcm").stat().st_mtime_ns == before
    (cache / "training-word.pcm").write_bytes(b"\0\0")
    with pytest.raises(CorpusError, match="damaged"):
        recordings.load(cache, "training")


def test_the_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    """So that what was decoded of other files isn't taken for theirs."""
    _packed(tmp_path, [("yes", "word", "training", "a"), ("no", "word", "validation", "b")])
    first = recordings.fingerprint(list_clips(tmp_path))
    assert recordings.fingerprint(list_clips(tmp_path)) == first
    _write(tmp_path / "all.flac", np.zeros(20_000, np.int16))
    assert recordings.fingerprint(list_clips(tmp_path)) != first


def _part(words: list[str], hertz: float, seconds: float = 0.4) -> Part:
    pcm = [_tone(hertz, seconds) for _ in words]
    ends = np.cumsum([len(clip) for clip in pcm])
    return Part("part", np.concatenate(pcm), ends, words, ["someone"] * len(words))


def _recorded() -> Recordings:
    words = ["yes"] * 400 + ["no"] * 4
    return Recordings(
        _part(words, 3000.0),
        _part(["athena"], 3000.0),
        _part(["no one said yes to you"], 3000.0, 3.0),
        _part(["tap"], 60.0, 4.0),
    )


@pytest.fixture(scope="module")
def augmenter() -> Augmenter:
    """Synthetic words at 500 Hz, recorded ones at 3 kHz, nothing disturbed."""
    synthetic = _part([*KEYWORDS, "marmalade"], 500.0)
    backgrounds = Backgrounds([synthetic], 5, each=1, recorded=_recorded().noise)
    assert backgrounds.names.count("recorded") == 1
    real = Real(share=0.8, half=40.0, strength=_CALM)
    return Augmenter([synthetic], [1.0], backgrounds, _CALM, 0, recordings=_recorded(), real=real)


def _is_recorded(windows: torch.Tensor) -> np.ndarray:
    """Tell which windows hold a tone of about 3 kHz rather than of about 500 Hz."""
    power = np.abs(np.fft.rfft(windows.numpy())) ** 2
    return power[:, 1500:].sum(axis=1) > power[:, :1500].sum(axis=1)


def test_words_are_balanced_and_recordings_taken_by_their_number(augmenter: Augmenter) -> None:
    """Every keyword as often; of a word with 400 recordings 73 % of windows, with 4 7 %."""
    batches = [augmenter.batch(number, 500, Mix(0.0, 0.0)) for number in range(12)]
    labels = torch.cat([labels for _, labels, _ in batches]).numpy()
    recorded = np.concatenate([_is_recorded(windows) for windows, _, _ in batches])
    counts = np.bincount(labels, minlength=35)
    assert counts.min() > 110
    assert counts.max() < 240
    yes, no = KEYWORDS.index("yes"), KEYWORDS.index("no")
    assert recorded[labels == yes].mean() == pytest.approx(0.8 * 400 / 440, abs=0.12)
    assert recorded[labels == no].mean() == pytest.approx(0.8 * 4 / 44, abs=0.09)
    assert not recorded[(labels != yes) & (labels != no)].any()


def test_running_speech_is_no_keyword_but_may_hold_those_of_its_text(augmenter: Augmenter) -> None:
    """All of its windows are recorded; "no", "one" and "yes" may be in them, no other word."""
    windows, labels, possible = augmenter.batch(0, 60, Mix(0.0, 0.0, 1.0))
    assert (labels == NOT_A_KEYWORD).all()
    assert _is_recorded(windows).all()
    for row in possible.numpy():
        assert {KEYWORDS[number] for number in np.flatnonzero(row)} == {"no", "one", "yes"}


def test_words_that_may_be_heard_are_left_alone() -> None:
    """The loss of running speech doesn't push the words of its text up or down."""
    torch.manual_seed(0)
    examples = 0.1 * torch.randn(4, WINDOW)
    task = KeywordTask(RECIPES["kwmlp"], examples)
    head = task.network.to_logits[2]
    possible = torch.zeros(4, 35, dtype=torch.bool)
    possible[:, 3:6] = True
    labels = torch.full((4,), NOT_A_KEYWORD)
    loss, _ = task.loss(examples, labels, possible, np.random.default_rng(0), 0.0)
    loss.backward()
    assert (head.bias.grad[3:6] == 0).all()
    assert (head.bias.grad[:3] != 0).all()


def test_training_starts_from_a_checkpoint(tmp_path: Path) -> None:
    """Before the first step it computes what the checkpoint does."""
    torch.manual_seed(1)
    examples = 0.1 * torch.randn(8, WINDOW)
    task = KeywordTask(RECIPES["kwmlp"], examples)
    path = _ROOT / "checkpoints" / "kwmlp.pth"
    state = torch.load(path, weights_only=True)["model_state_dict"]
    task.start_from({key: value.numpy() for key, value in state.items()})
    model = hearaudiomlp.load_model(path, device="cpu", threads=1)
    windows = examples.numpy()
    np.testing.assert_allclose(task.logits(windows), model.keyword_logits(windows), atol=2e-3)
    assert cli.main(["audiomae", "--start", str(path), "-o", str(tmp_path / "x.pth")]) == 1


def test_validation_hears_what_the_command_hears(tmp_path: Path) -> None:
    """Its hits in a sound are those of ``spot_files`` with the defaults."""
    model = hearaudiomlp.load_model(name="kwmlp", device="cpu", threads=1)
    path = _ROOT / "samples" / "sentence.flac"
    samples = read_audio(path).samples
    found = spot(samples, model.keyword_logits)
    expected = next(iter(spot_files([path], model))).hits
    assert [hit.within(len(samples) / SAMPLE_RATE) for hit in found] == list(expected)
    windows = sliding_windows(samples)
    hop = round(HOP_S * SAMPLE_RATE)
    np.testing.assert_array_equal(windows[1][:-hop], windows[0][hop:])


def test_validation_figures() -> None:
    """A network that always says "yes" names the yeses, and alarms where it wasn't spoken."""
    yes = KEYWORDS.index("yes")

    def logits(windows: np.ndarray) -> np.ndarray:
        said = np.zeros((len(windows), 35), np.float32)
        said[:, yes] = 20
        return said

    recorded = _recorded()
    recorded.running = _part(["no one", "yes indeed"], 3000.0, 3.0)
    assert rich_words(recorded.words) == frozenset()
    figures = Validation(recorded, frozenset({"yes"})).measure(logits)
    assert figures.accuracy == pytest.approx(400 / 404)
    assert figures.rich == 1.0
    assert figures.poor == 0.0
    assert figures.alarms_per_hour == pytest.approx(3600 / 6)  # once in 6 s
    assert figures.confusions[KEYWORDS.index("no")][yes] == 4
    assert sum(map(sum, figures.confusions)) == 404
    windows, _ = bare_windows(recorded.words)
    assert windows.shape == (404, WINDOW)
    assert (windows[:, 6400:] == 0).all()
    recorded.running = Part("none", np.zeros(0, np.int16), np.zeros(0, np.int64), [], [])
    assert Validation(recorded, frozenset()).measure(logits).alarms_per_hour is None


def test_the_command_trains_on_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log, picture, early weights, manifest, checkpoint; again, the command has nothing to do."""
    rows = [("yes", "word", "training", "a"), ("no", "word", "validation", "b")]
    rows.append(("tap", "noise", "training", ""))
    _packed(tmp_path / "real", rows)
    monkeypatch.setattr(cli, "prepare_corpus", lambda *_: None)
    monkeypatch.setattr(
        "hearaudiomlp_export.train.data.corpus.load_part",
        lambda *_: _part([*KEYWORDS, "marmalade"], 500.0),
    )
    monkeypatch.setattr("hearaudiomlp_export.train.loop.LOG_EVERY", 1)
    monkeypatch.setattr("hearaudiomlp_export.train.loop.MEASURE_EVERY", 2)
    output = tmp_path / "own.pth"
    arguments = ["kwmlp", "--recordings", str(tmp_path / "real"), "-o", str(output)]
    arguments += ["--corpus", str(tmp_path / "corpus"), "--folder", str(tmp_path / "run")]
    arguments += ["--steps", "3", "--threads", "1"]
    monkeypatch.setattr("hearaudiomlp_export.train.recipe.Recipe.batch", 4, raising=False)
    assert cli.main(arguments) == 0
    assert hearaudiomlp.load_model(output, device="cpu").name == "kwmlp"
    assert hearaudiomlp.load_model(tmp_path / "run" / "latest.pth", device="cpu").labels
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert ["accuracy" in line for line in log] == [False, True, True]
    assert (tmp_path / "run" / "log.png").stat().st_size > 10_000
    assert "clip 0" in (tmp_path / "own.clips.csv").read_text()
    assert "clip 1" not in (tmp_path / "own.clips.csv").read_text()  # validation
    assert cli.main(arguments) == 1  # the output is there
    (tmp_path / "run" / "recipe.json").unlink()
    (tmp_path / "run" / "recipe.json").symlink_to(tmp_path / "mine")
    (tmp_path / "mine").write_text("mine")
    assert cli.main([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "mine").read_text() == "mine"  # a link is replaced, not followed
    refined = tmp_path / "refined.pth"
    arguments += ["-o", str(refined)]
    assert cli.main([*arguments, "--start", str(output)]) == 1  # the folder holds another run
    assert cli.main([*arguments, "--refine"]) == 1  # from nothing
    assert not refined.exists()
    arguments += ["--refine", "--start", str(output)]
    assert cli.main([*arguments, "--folder", str(tmp_path / "second")]) == 0
    first, second = (
        json.loads((tmp_path / folder / "recipe.json").read_text()) for folder in ("run", "second")
    )
    assert second["learning_rate"] < first["learning_rate"]
    assert second["start"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert refined.read_bytes() != output.read_bytes()
