"""Which files a table is made of, and how they are cut into units."""

import io
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.errors import AudioFileNotFoundError
from hearaudiomlp.table.find import AudioPath, Skipped, find
from hearaudiomlp.table.listing import Listing


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


def test_patterns(recordings) -> None:
    assert found(f"{recordings}/**/*.wav") == [
        f"{recordings}/{name}" for name in ("a.b/x.wav", "b.wav", "c d/ü.wav")
    ]
    assert found(f"{recordings}/a*/[yz].*") == [f"{recordings}/a/y.WAV", f"{recordings}/a/z.flac"]
    assert found(f"{recordings}/*.mp3") == [f"{recordings}/*.mp3"]  # to be told as missing
    odd = recordings / "[1].wav"
    odd.touch()
    assert found(odd) == [str(odd)]  # a name that looks like a pattern


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


def test_what_changed_is_told() -> None:
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
