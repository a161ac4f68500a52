"""URLs: which protocols are taken, and what the others get."""

import pytest

from hearaudiomlp.cli import main
from hearaudiomlp.errors import OptionError
from hearaudiomlp.storage.remote import PROTOCOLS, filesystem

fsspec = pytest.importorskip("fsspec")


def test_every_other_protocol_of_fsspec_is_refused() -> None:
    others = set(fsspec.available_protocols()) - PROTOCOLS
    assert {"dir", "data", "reference", "generic", "zip", "git", "blockcache"} <= others
    for protocol in others:
        with pytest.raises(OptionError, match="none of the protocols"):
            filesystem(f"{protocol}://x/y.wav")


@pytest.mark.parametrize(
    "url",
    [
        "zip://a.wav::memory://b.zip", "simplecache::memory://x.wav", "data:,x://a", "://", "x://",
        "http://[", "memory://a\x1b[31m::x", "dir://x/o.npz", "DATA://x/y", "ftp:///x/y.npz",
        "ftp://x:port/y.npz",
    ],
)  # fmt: skip
def test_urls_that_are_not_taken(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["embed", url, "-o", "x.npz"], ["embed", "x.wav", "-o", url]):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
        assert status in (1, 2)
        assert "\x1b" not in capsys.readouterr().err


def test_memory_is_taken() -> None:
    fs, path = filesystem("memory://folder/a.wav")
    assert (fs.protocol, path) == ("memory", "/folder/a.wav")


@pytest.mark.parametrize("method", ["info", "isdir", "find", "glob", "exists", "get_file"])
def test_errors_of_any_kind_are_reported(method, monkeypatch, capsys) -> None:
    """Those of botocore and aiohttp, for example, are no OSErrors."""

    def fail(*_, **__) -> None:
        raise RuntimeError("no credentials\x1b[31m")

    fsspec.filesystem("memory").pipe("/in/a.wav", b"RIFF")
    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, method, fail)
    for url in "memory://in/a.wav", "memory://in", "memory://in/*.wav":
        assert main(["embed", url, "-o", "memory://out/t.npz"]) == 1
    err = capsys.readouterr().err
    assert "no credentials" in err
    assert "\x1b" not in err
