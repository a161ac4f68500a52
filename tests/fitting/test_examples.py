"""What is refused of recordings and labels, and how they are read."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from hearaudiomlp.cli.labels import LabelFile
from hearaudiomlp.errors import AudioFileChangedError, ExamplesError
from hearaudiomlp.fitting import examples
from hearaudiomlp.fitting.examples import (
    Clip,
    Examples,
    find_clips,
    read_examples,
    read_label,
    read_samples,
)
from hearaudiomlp.fitting.recording import LongRecording
from hearaudiomlp.similar import Similar

NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000)


def write(path: Path, samples: np.ndarray = NOISE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)
    return path


def test_folders_are_classes(tmp_path: Path) -> None:
    for name in (
        "b/1.wav",
        "a/2.wav",
        "a/deep/3.flac",
        "b/4.wav",
        "_other_/5.wav",
        "a/.hidden.wav",
    ):
        write(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no sound")
    examples = read_examples(find_clips(tmp_path))
    assert [clip.label for clip in examples.clips] == [None, "a", "a", "b", "b"]
    assert examples.labels == ("a", "b")
    assert len(examples.sha256) == 5


def test_folders_nested_deeper_than_pythons_calls(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.wav")
    depth = sys.getrecursionlimit() + 300
    at = os.open(tmp_path / "a", os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=at)
        at, above = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(os.open("deep.wav", os.O_CREAT, dir_fd=at))
    os.close(at)
    try:
        deep = f"{tmp_path}/a/{'d/' * depth}deep.wav"
        assert [clip.path for clip in find_clips(tmp_path)] == [f"{tmp_path}/a/1.wav", deep]
    finally:  # shutil.rmtree, by which pytest removes folders, goes no deeper than Python's calls
        subprocess.run(["rm", "-rf", tmp_path / "a" / "d"], check=True)


def test_csv_names_parts_and_groups(tmp_path: Path) -> None:
    write(tmp_path / "long.wav", np.tile(NOISE, 5))
    lines = ["path,label,start,end,group", "long.wav,a,0.5,1.25,anna", "long.wav,a,2,,ben"]
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    examples = read_examples(find_clips(tmp_path / "list.csv"))
    assert [clip.group for clip in examples.clips] == ["anna", "ben"]
    expected, _ = soundfile.read(tmp_path / "long.wav", dtype="float32")
    first, second = read_samples(examples)
    np.testing.assert_array_equal(first, expected[8_000:20_000])
    np.testing.assert_array_equal(second, expected[32_000:])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,\x1b[2J", "can't be printed"),
        ("a.wav, ", "empty"),
        ("a.wav," + "x" * 101, "too long"),
        ("a.wav, a", "space"),
        ("a.wav", "too few columns"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(f"path,label\n{row}\n")
    with pytest.raises(ExamplesError, match=message):
        find_clips(tmp_path / "list.csv")


@pytest.mark.parametrize("times", ["1,0.5", "nan,", "-1,", "x,", "inf,"])
def test_times_that_are_none(tmp_path: Path, times: str) -> None:
    (tmp_path / "list.csv").write_text(f"path,label,start,end\na.wav,a,{times}\n")
    with pytest.raises(ExamplesError, match=r"line 2: .*(second|after)"):
        find_clips(tmp_path / "list.csv")


def test_only_an_ordinary_file_is_a_list(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zeros.csv").symlink_to("/dev/zero")
    with (tmp_path / "holes.csv").open("wb") as file:
        file.truncate(1 << 34)
    for name in ("pipe.csv", "zeros.csv", "holes.csv"):
        with pytest.raises(ExamplesError, match="can't read"):
            find_clips(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["a\rb.wav", "a\nb.wav", "a\x85\u2028\x0b\x1cb.wav", "=a.wav", "\uff1da.wav", " =a.wav"]
)
def test_what_similar_labels_is_what_fit_reads(tmp_path: Path, name: str) -> None:
    """Names with line breaks of any kind are those of other files if a break is lost."""
    paths = [str(tmp_path / one) for one in (name, "b.wav")]
    labels = LabelFile(tmp_path / "list.csv")
    for number, path in enumerate(paths):
        labels.add(Similar(number, path, None, None, None, 1.0), "wren")
    found = [Path(clip.path) for clip in find_clips(tmp_path / "list.csv")]
    assert found == [Path(path) for path in paths]


def test_a_list_of_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MOST_ROWS", 5)
    for count in (5, 6):
        rows = "".join(f"{number}.wav,wren\n" for number in range(count))
        (tmp_path / "list.csv").write_text("path,label\n" + rows)
        if count == 5:
            assert len(find_clips(tmp_path / "list.csv")) == 5
    with pytest.raises(ExamplesError, match="more than 5 rows"):
        find_clips(tmp_path / "list.csv")


def test_a_recording_that_changes_between_check_and_computation(tmp_path: Path) -> None:
    """The report would state the SHA-256 of something else than what was fitted to."""
    path = write(tmp_path / "a.wav")
    examples = read_examples([Clip(str(path), "a")])
    write(path, NOISE[::-1])
    os.utime(path, ns=(0, 0))
    with pytest.raises(AudioFileChangedError, match="has changed"):
        list(read_samples(examples))


def test_times_behind_the_end(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    [whole] = read_samples(Examples([Clip(str(tmp_path / "a.wav"), "a", end=1e308)]))
    assert len(whole) == len(NOISE)
    with pytest.raises(ExamplesError, match=r"only 0\.00 s"):
        read_examples([Clip(str(tmp_path / "a.wav"), "a", start=1e308)])


def test_parts_of_a_recording_of_many_hours(tmp_path: Path, monkeypatch) -> None:
    """A small file may decode to days: an hour of it is in memory at a time."""
    monkeypatch.setattr("hearaudiomlp.fitting.recording.LONGEST", 16_000)
    monkeypatch.setattr("hearaudiomlp.audio.files._CHUNK", 1_000)
    sound = np.asarray(np.random.default_rng(0).normal(0, 0.1, 64_000), np.float32)
    path = str(tmp_path / "a.wav")
    soundfile.write(path, sound, 16_000, subtype="FLOAT")
    times = [(0.0, 0.5), (1.5, 2.0), (1.75, 2.75), (3.9, 5.0), (0.25, 1.25), (2.0, 2.1)]
    clips = [Clip(path, "a", start, end) for start, end in times]
    for clip, samples in zip(clips, read_samples(Examples(clips)), strict=True):
        first, last = round(clip.start * 16_000), round((clip.end or 0) * 16_000)
        np.testing.assert_array_equal(samples, sound[first:last])
    recording = LongRecording(path)
    assert sum(map(len, recording._pieces)) == 16_000
    with pytest.warns(UserWarning, match="the first hour of what is longer"):
        np.testing.assert_array_equal(recording.read(8_000, None), sound[8_000:24_000])
    assert sum(map(len, recording._pieces)) <= 17_000


def test_too_few_classes_or_recordings(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match="no folder or CSV"):
        find_clips(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExamplesError, match="no class"):
        find_clips(tmp_path)
    write(tmp_path / "_other_" / "1.wav")
    with pytest.raises(ExamplesError, match="no class"):
        find_clips(tmp_path)
    write(tmp_path / "a" / "1.wav")
    with pytest.raises(ExamplesError, match="a has one"):
        find_clips(tmp_path)
    write(tmp_path / "a" / "2.wav")
    assert len(find_clips(tmp_path)) == 3
    for name in ("A/1.wav", "A/2.wav"):
        write(tmp_path / name)
    with pytest.raises(ExamplesError, match="case"):
        find_clips(tmp_path)


def test_all_unusable_recordings_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "a" / "good.wav")
    write(tmp_path / "a" / "silent.wav", np.zeros(16_000))
    write(tmp_path / "a" / "short.wav", NOISE[:100])
    (tmp_path / "a" / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(ExamplesError) as caught:
        read_examples(find_clips(tmp_path))
    assert all(name in str(caught.value) for name in ("silent.wav", "short.wav", "broken.wav"))


def test_of_too_many_recordings_each_class_gets_its_share(tmp_path: Path) -> None:
    """Every class keeps what it has, up to as many as the others; the rest is counted."""
    path = str(write(tmp_path / "1.wav"))
    clips = [Clip(path, "a", start=0.001 * n) for n in range(200)]
    clips += [Clip(path, "b", start=0.001 * n) for n in range(5)]
    clips += [Clip(path, None, start=0.001 * n) for n in range(100)]
    examples = read_examples(clips, most=45)
    labels = [clip.label for clip in examples.clips]
    assert [labels.count(label) for label in ("a", "b", None)] == [20, 5, 20]
    assert examples.left_out == 260
    again, other = (read_examples(clips, most=45, seed=seed) for seed in (0, 1))
    assert again.clips == examples.clips != other.clips
    assert read_examples(clips, most=305).clips == clips


@given(st.text(max_size=120))
@example("reed\u1680warbler")
@example("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
def test_any_label_is_taken_or_refused(text: str) -> None:
    """Spaces and letters of any script are printable, and so is the joiner of Persian."""
    try:
        label = read_label(text)
    except ExamplesError:
        return
    if label is not None:
        assert label == text
        assert label[0] not in "=+-@\uff1d\uff0b\uff0d\uff20"
        assert len(label) <= 100
        acted_upon = {unicodedata.category(one) for one in label if one not in "\u200c\u200d"}
        assert not acted_upon & {"Cc", "Cf", "Cs", "Zl", "Zp"}
