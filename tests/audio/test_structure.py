"""Any bytes are looked at in finite time, and sounds of any format survive damage of any kind."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearaudiomlp.audio.containers import mpeg, ogg
from hearaudiomlp.audio.containers.structure import Structure
from hearaudiomlp.audio.decoders import examine
from recordings import ogg_checksum

HEADS = (
    *(b"RIFF\x24\0\0\0WAVE", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0", b"RIFX\0\0\0\0WAVE"),
    *(b"RF64\xff\xff\xff\xffWAVEds64", b"FORM\0\0\0\0AIFF", b"FORM\0\0\0\0AIFCSSND", b".snd"),
    *(b"caff\0\1\0\0data", b"fLaC", b"OggS\0\2", b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75"),
    *(b"#!AMR\n", b"#!AMR-WB\n", b"\0\0\0\x10ftypM4A ", b"\0\0\0\1mdat", b"ID3\4\0\0\0\0\0\5"),
    *(b"wvpk\x18\0\0\0\x10\4", b"TTA1", b"fLaC\0\0\0\x22", b"RIFF\0\0\0\0AVI LIST"),
    *(b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12", b"caff\0\1\0\0desc\0\0\0\0\0\0\0\x20"),
    *(b"ID3\4\0\0\0\0\0\0OggS\0\2", b"ID3\4\0\0\0\0\0\0RIFF\0\0\0\0WAVE"),
    *(b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80\x02\x1f\xfc", b"riff" + bytes(20) + b"wave", b""),
)


@settings(max_examples=600, deadline=None)
@given(head=st.sampled_from(HEADS), rest=st.binary(max_size=300), copies=st.integers(1, 40))
def test_any_bytes_are_looked_at(head, rest, copies) -> None:
    assert isinstance(examine(io.BytesIO(head + rest)), Structure)
    assert isinstance(examine(io.BytesIO((head + rest) * copies)), Structure)


@settings(max_examples=200, deadline=None)
@given(
    frames=st.lists(st.sampled_from([b"\xff\xfb\x10\xc4", b"\xff\xfb\x14\xc4"]), min_size=2),
    cut=st.integers(1, 103),
)
def test_frames_are_counted(frames, cut) -> None:
    """Frames of 32 kbit/s at 44.1 and at 48 kHz: 104 and 96 bytes."""
    sizes = {b"\xff\xfb\x10\xc4": 104, b"\xff\xfb\x14\xc4": 96}
    data = b"".join(head + bytes(sizes[head] - 4) for head in frames)
    found = mpeg.mp3(io.BytesIO(data), 0)
    if len({*frames}) == 1:
        assert found is not None
        assert (found.samples, found.missing, found.change) == (1152 * len(frames), "", "")
        short = mpeg.mp3(io.BytesIO(data[: -min(cut, sizes[frames[0]] - 1)]), 0)
        if len(frames) > 2:
            assert short is not None
            assert short.samples == 1152 * (len(frames) - 1)
            assert "its last frame has" in short.missing


@pytest.mark.parametrize("byte", [0, 5, 6, 14, 22, 26])
def test_every_byte_of_a_page_counts(byte) -> None:
    body = b"\x01vorbis" + bytes(23)
    head = b"OggS\0\6" + bytes(8) + b"\1\0\0\0" + bytes(8) + b"\1" + bytes([len(body)])
    crc = 0
    for value in head + body:
        crc ^= value << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    page = bytearray(head + body)
    page[22:26] = crc.to_bytes(4, "little")
    assert ogg.ogg(io.BytesIO(page)).missing == ""
    page[byte] ^= 0x40
    assert ogg.ogg(io.BytesIO(page + page)).missing != ""


class Counted(io.BytesIO):
    """A file that counts how often it is read, and the bytes that this gave."""

    reads = 0
    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.reads += 1
        self.bytes_read += len(data)
        return data


def test_flacs_put_together_are_found_in_one_pass() -> None:
    data = b"fLaC\0\0\0\x22" * 9_000
    file = Counted(data)
    assert "another recording" in examine(file).missing
    assert file.bytes_read < 3 * len(data)
    with pytest.raises(ValueError, match="over 10,000 recordings"):
        examine(io.BytesIO(2 * data))


def test_streams_in_an_ogg_file_are_counted() -> None:
    def first_page(serial: int) -> bytes:
        page = b"OggS\0\2" + bytes(8) + serial.to_bytes(4, "little") + bytes(9)
        return page[:22] + ogg_checksum(page).to_bytes(4, "little") + page[26:]

    begun = b"".join(map(first_page, range(10_001)))
    assert examine(io.BytesIO(begun[:-27])).media
    with pytest.raises(ValueError, match="over 10,000 recordings"):
        examine(io.BytesIO(begun))


def test_pages_of_an_ogg_file_that_are_none_are_given_up() -> None:
    file, longer = Counted(b"OggS" * 15_000), Counted(b"OggS" * 30_000)
    for one in (file, longer):
        assert "at least 10,000 of its pages are damaged" in examine(one).missing
    assert longer.reads == file.reads


@pytest.mark.parametrize(
    ("head", "part", "message"),
    [
        (b"RIFF\0\0\0\0WAVE", b"JUNK\0\0\0\0", "over 100,000 chunks"),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff", b"\xec\x80", "over 100,000 elements"),
        (b"caff\0\1\0\0", b"free" + bytes(8), "over 100,000 chunks"),
        (b"riff" + bytes(20) + b"wave" + bytes(12), bytes(24), "over 100,000 chunks"),
        (b"\x30\x26\xb2\x75" + bytes(12) + b"\xff" * 8 + bytes(6), bytes(24), "100,000 objects"),
        (b"\0\0\0\x10ftypM4A \0\0\0\0", b"\0\0\0\x08free", "over 100,000 boxes"),
        (b"", b"ID3\4\0\0\0\0\0\0", "over 100,000 tags"),
        (2 * (b"\xff\xfb\x10\xc4" + bytes(100)), b"ID3\4\0\0\0\0\0\0", "over 100,000 tags"),
    ],
)
def test_parts_without_content_are_counted(head, part, message) -> None:
    with pytest.raises(ValueError, match=message):
        examine(io.BytesIO(head + 100_001 * part))


def test_a_block_of_wavpack_is_no_shorter_than_its_header() -> None:
    file = Counted(b"wvpk\0\0\0\0" * 40_000)
    assert examine(file).kind == "WavPack"
    assert file.reads < 11_000


def test_a_film_without_its_part_of_sound_and_pictures_is_incomplete() -> None:
    """FFmpeg searches for one at 7 MB a second."""
    assert "before its samples" in examine(io.BytesIO(b"RIFF\0\1\0\0AVI " + bytes(256))).missing


def box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


@pytest.mark.parametrize("count", [10_000, 1 << 31])
def test_fragments_promise_no_more_packets_than_there_are_bytes(count) -> None:
    """FFmpeg makes an entry of 32 bytes of each, before it looks for them."""
    run = box(b"trun", struct.pack(">II", 0, count))
    fragment = box(b"moof", box(b"traf", box(b"tfhd", bytes(8)), run)) + box(b"mdat", bytes(500))
    with pytest.raises(ValueError, match="packets in"):
        examine(io.BytesIO(box(b"ftyp", b"M4A ") + box(b"moov") + fragment))


def test_an_index_does_not_unfold_to_gigabytes() -> None:
    unfolded = box(b"cmvd", struct.pack(">I", 1 << 30), b"x")
    index = box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), unfolded))
    with pytest.raises(ValueError, match="its index unfolds"):
        examine(io.BytesIO(box(b"ftyp", b"qt  ") + index))


def test_frames_of_one_byte_are_read_together() -> None:
    file = Counted(b"#!AMR\n" + b"\x78" * 100_000)
    assert examine(file).missing == ""
    assert file.reads < 20


def test_frames_are_not_searched_for_without_end() -> None:
    part = 2 * (b"\xff\xfb\x10\xc4" + bytes(100)) + b"x" * 4_000_000
    file, longer = Counted(6 * part), Counted(12 * part)
    for one in (file, longer):
        assert "bytes between its frames are damaged" in examine(one).missing
    assert longer.reads == file.reads
