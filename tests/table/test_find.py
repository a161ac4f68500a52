"""Which files a table is made of, and how they are cut into units."""

import glob
import io
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.errors import AudioFileError, AudioFileNotFoundError
from hearaudiomlp.table.find import AudioPath, Skipped, find
from hearaudiomlp.table.listing import Listing
from hearaudiomlp.table.lists import read_list


def found(*arguments: object) -> list[str]:
    return [entry.path for entry in find(map(str, arguments), Skipped())]


def test_folders_are_gone_through_by_name(recordings) -> None:
    expected = ["a/y.WAV", "a/z.flac", "a.b/x.wav", "b.wav", "c d/ü.wav"]
    assert found(recordings) == [f"{recordings}/{name}" for name in expected]
    skipped = Skipped()
    empty = recordings.parent / "empty"
    empty.mkdir()
    list(find([str(recordings), str(empty)], skipped))
    assert ".md 1" in str(skipped)
    assert f"no sound file in {empty}" in str(skipped)


def test_folders_nested_deeper_than_pythons_calls(recordings) -> None:
    depth = sys.getrecursionlimit() + 200
    inside, at = "d/" * depth, os.open(recordings, os.O_RDONLY)
    for _ in range(
        depth
    ):  # step by step: whole, the path of the deepest is near the system's limit
        os.mkdir("d", dir_fd=at)
        at, above = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(os.open("deep.wav", os.O_CREAT, dir_fd=at))
    os.close(at)
    deep = f"{recordings}/{inside}deep.wav"
    try:
        assert deep in found(recordings)
        assert deep in found(f"{recordings}/**/*.wav")
    finally:  # shutil.rmtree, by which pytest removes folders, goes no deeper than Python's calls
        subprocess.run(["rm", "-rf", recordings / "d"], check=True)


def test_patterns(recordings) -> None:
    assert found(f"{recordings}/**/*.wav") == [
        f"{recordings}/{name}" for name in ("a.b/x.wav", "b.wav", "c d/ü.wav")
    ]
    assert found(f"{recordings}/a*/[yz].*") == [f"{recordings}/a/y.WAV", f"{recordings}/a/z.flac"]
    assert found(f"{recordings}/*.mp3") == [f"{recordings}/*.mp3"]  # to be reported as missing
    odd = recordings / "[1].wav"
    odd.touch()
    assert found(odd) == [str(odd)]  # a name that looks like a pattern


@pytest.mark.parametrize("pattern", [
    "**", "**/*", "*/**", "**/train/**", "**/train/**/*.wav", "**/x/**/y/**/*.wav",
    "**/**/*.wav", "*/**/[ab].wav", "tr**/*.wav", "***/a.wav", "**a.wav", "x/**/y/*.wav",
    "t*/**/b*",
])  # fmt: skip
def test_patterns_of_any_folders(pattern, tmp_path) -> None:
    """Each ``**`` is any folders, as for Python's glob."""
    for name in ("train/a.wav", "train/x/b.wav", "x/train/y/a.wav", "x/y/train/z/b.wav", "c.wav",
                 "x/y/x/y/d.wav"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pattern = f"{tmp_path}/{pattern}"
    paths = {*glob.glob(pattern, recursive=True)}  # noqa: PTH207 - it may find one twice
    files = sorted(path for path in paths if Path(path).is_file())
    assert sorted(found(pattern)) == (files or [pattern])


def test_patterns_without_end_are_refused(tmp_path) -> None:
    for number in range(30):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
    listed = tmp_path / "list.txt"
    for pattern, problem in (
        ("many/*/../*/../*/../*/../x*", r"many/\*/\.\./.*: a pattern can't go up"),
        ("many/**/../x*", "a pattern can't go up"),
        ("many/[0-9]/..", "a pattern can't go up"),
        ("*/" * 1500 + "x.wav", r"\*/.*: a pattern of 1,501 parts: at most 64"),
    ):
        listed.write_text(f"{tmp_path}/{pattern}")
        for argument in (f"{tmp_path}/{pattern}", listed):
            with pytest.raises(AudioFileError, match=problem):
                found(argument)
    (tmp_path / "many" / "x.wav").touch()
    up = f"{tmp_path}/many/0/../x*"  # before the first wildcard, it is a folder like others
    assert found(up) == [f"{tmp_path}/many/0/../x.wav"]


def test_a_pattern_of_a_megabyte_names_no_file() -> None:
    long, began = "[ab]*" * 400_000, time.process_time()
    assert found(long) == [long]
    assert time.process_time() - began < 1


def test_lists_and_standard_input(recordings, tmp_path, monkeypatch) -> None:
    names = [f"{recordings}/b.wav", f"{recordings}/c d/ü.wav", f"{recordings}/no.wav"]
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join([*names, "", ""]))
    assert found(listed) == names
    for text in ("\n".join(names), "\0".join(names)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        assert found("-") == names
    with pytest.raises(AudioFileNotFoundError, match=r"no list .*gone\.txt"):
        found(tmp_path / "gone.txt")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-16-be-mark"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lists_of_any_encoding(recordings, tmp_path, encoding, line_end) -> None:
    names = [f"{recordings}/b.wav", f"{recordings}/c d/ü.wav", f"{recordings}/a/z.flac"]
    text = line_end.join([*names, ""])
    if encoding == "utf-16-be-mark":
        data = b"\xfe\xff" + text.encode("utf-16-be")
    else:
        data = text.encode(encoding)
    (tmp_path / "list.txt").write_bytes(data)
    assert found(tmp_path / "list.txt") == names


def test_a_carriage_return_may_be_in_a_name(tmp_path) -> None:
    names = [tmp_path / "a\rb.wav", tmp_path / "c.wav"]
    for name in names:
        name.touch()
    (tmp_path / "list.txt").write_text("\n".join(map(str, names)), newline="")
    assert found(tmp_path / "list.txt") == [str(name) for name in names]


def test_names_in_a_list_may_be_bytes_that_are_no_text(tmp_path) -> None:
    odd = os.fsencode(tmp_path) + b"/w\xe9\x1b.wav"
    Path(os.fsdecode(odd)).touch()
    (tmp_path / "list.txt").write_bytes(odd + b"\n")
    assert found(tmp_path / "list.txt") == [os.fsdecode(odd)]


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256)),
        "käse.wav\nbär.wav\n".encode("latin-1"),
        b"\xff\xfe\x61\xd8\x61\xd8",  # half of a pair
        b"\xef\xbb\xbf\xff\xfe",
        b"\x1f\x8b\x08\x00" + bytes(50),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, data) -> None:
    (tmp_path / "list.txt").write_bytes(data)
    with pytest.raises(AudioFileError, match=r"list\.txt is no list of paths in UTF-8 or UTF-16"):
        found(tmp_path / "list.txt")


@pytest.mark.parametrize("mark", [b"", b"\xff\xfe"])
@pytest.mark.parametrize("line", ["\n", "ab\n", "ab\0"])
def test_lists_of_short_lines(tmp_path, monkeypatch, mark: bytes, line: str) -> None:
    """An object for each line would take up to sixty times the size of the list."""
    if mark and "\0" in line:
        line = " \r\n"
    data = mark + (line * 200_000).encode("utf-16-le" if mark else "utf-8")
    (tmp_path / "list.txt").write_bytes(data)
    monkeypatch.setattr("hearaudiomlp.table.lists.LONGEST_LIST", len(data))  # set aside in any case
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_list(str(tmp_path / "list.txt")))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data) + 200_000
    finally:
        tracemalloc.stop()
    assert count == (200_000 if "a" in line else 0)


def test_lists_that_would_be_waited_for(tmp_path, monkeypatch) -> None:
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(AudioFileError, match="a pipe or device"):
        found(tmp_path / "list.txt")
    monkeypatch.setattr("hearaudiomlp.table.lists.LONGEST_LIST", 1000)
    endless = SimpleNamespace(buffer=SimpleNamespace(read=lambda size: size * b"y"))
    monkeypatch.setattr(sys, "stdin", endless)
    with pytest.raises(AudioFileError, match="standard input has over 1,000 bytes"):
        found("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioFileNotFoundError, match="standard input is closed"):
        found("-")


def test_links_that_lead_back_are_gone_through_once(recordings) -> None:
    for name in ("a", "c d"):
        for loop in range(3):
            (recordings / name / f"loop{loop}").symlink_to(recordings)
    (recordings / "self.md").symlink_to("self.md")
    (recordings / "self.wav").symlink_to("self.wav")
    assert [path for path in found(f"{recordings}/**/*.wav") if "self" not in path] == [
        f"{recordings}/{name}" for name in ("a.b/x.wav", "b.wav", "c d/ü.wav")
    ]
    assert len(found(recordings)) == 6  # with the link to itself, to be reported


def test_links_to_folders_are_not_followed(recordings) -> None:
    (recordings / "round").symlink_to(recordings)
    (recordings / "link.wav").symlink_to(recordings / "b.wav")
    names = found(recordings)
    assert len(names) == 6
    assert f"{recordings}/link.wav" in names


sources = st.lists(
    st.builds(AudioPath, st.text(min_size=1), st.integers(-1, 40 << 20), st.text()), max_size=120
)


@settings(max_examples=25, deadline=None)
@given(sources=sources, files=st.none() | st.integers(1, 50))
def test_units_hold_every_file_once_in_order(sources, files) -> None:
    listing = Listing(sources)
    shards = listing.shards(files)
    assert [entry for shard in shards for entry in listing.sources(shard)] == sources
    assert [shard.index for shard in shards] == list(range(len(shards)))
    for shard in shards:
        held = listing.sources(shard)
        assert (shard.count, shard.first) == (
            len(held),
            sum(u.count for u in shards[: shard.index]),
        )
        assert shard.size == sum(max(0, entry.size) for entry in held)
        assert shard.count <= (files or 1000)
        assert shard.count == 1 or shard.size <= 64 << 20
    assert Listing(sources).digest == listing.digest
    listing.close()


def test_changes_are_described() -> None:
    old = Listing([AudioPath("a", 1, "1"), AudioPath("b", 1, "1"), AudioPath("c", 1, "1")])
    new = Listing(
        [
            AudioPath("a", 1, "2"),
            AudioPath("b", 1, "1"),
            AudioPath("d", 1, "1"),
            AudioPath("e", 1, "1"),
        ]
    )
    lines = b"".join(old.chunks()).splitlines()
    assert new.differences(lines) == "2 new (d, ...), 1 gone (c), 1 changed (a)"
    assert new.digest != old.digest
