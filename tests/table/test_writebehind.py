"""What is written behind is what would have been written at once."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearaudiomlp import writebehind
from hearaudiomlp.writebehind import write_behind

Step = bytes | int

steps = st.lists(st.binary(max_size=50) | st.integers(0, 300), max_size=20)


def play(steps: list[Step], file: io.BufferedIOBase) -> list[int]:
    """Write the bytes, and go to the positions."""
    return [file.write(step) if isinstance(step, bytes) else file.seek(step) for step in steps]


@given(steps=steps, early=st.sampled_from([1, 40, 1 << 20]))
def test_the_same_bytes_come_out(tmp_path_factory, steps, early) -> None:
    expected = io.BytesIO()
    results = play(steps, expected)
    path = tmp_path_factory.getbasetemp() / "behind.bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writebehind, "_EARLY", early)
        with path.open("w+b") as file, write_behind(file) as behind:
            assert play(steps, behind) == results
            assert behind.tell() == expected.tell()
    assert path.read_bytes() == expected.getvalue()


class Full(io.BytesIO):
    """A disk with room for three pieces."""

    written = 0

    def write(self, data) -> int:
        self.written += 1
        if self.written > 3:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("pieces", [4, 100])
def test_a_full_disk_is_told(pieces: int) -> None:
    def fill() -> None:
        with write_behind(Full()) as behind:
            for _ in range(pieces):
                behind.write(b"x")

    with pytest.raises(OSError, match="No space left"):
        fill()


def test_what_fails_meanwhile_is_raised_as_it_is(tmp_path: Path) -> None:
    def stop() -> None:
        with (tmp_path / "a").open("wb") as file, write_behind(file) as behind:
            behind.write(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert (tmp_path / "a").read_bytes() == b"x"
