"""URLs: which protocols are taken, and what the others get."""

import json
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from hearaudiomlp.cli import main
from hearaudiomlp.errors import OptionError
from hearaudiomlp.storage import remote, stopping
from hearaudiomlp.storage.remote import PROTOCOLS, Copy, filesystem
from hearaudiomlp.storage.store import open_store
from hearaudiomlp.table.find import Skipped, find

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


def test_a_url_that_is_refused_or_fails_is_that_file_s_error(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes a list or names a file on a server ends no run of others' files."""

    def fail(*_, **__) -> None:
        raise RuntimeError("no credentials")

    sound = (recordings / "b.wav").read_bytes()
    for name in "a.wav", "b::c.wav":
        fsspec.filesystem("memory").pipe(f"/server/{name}", sound)
    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "glob", fail)
    others = ["zip://a.wav::memory://b.zip", "x://a.wav", "ftp:///a.wav", "memory://server/*.wav"]
    (tmp_path / "list.txt").write_text("\n".join([*others, "memory://server"]))
    for _ in range(2):  # the second one looks whether its output is an input
        out = ["-o", "memory://table/t.npz", "--no-resume"]
        assert main(["embed", str(tmp_path / "list.txt"), *out]) == 1
        report = json.loads(fsspec.filesystem("memory").cat("/table/t.npz.report.json"))
        assert report["embedded"] == 1
        failed = [failure["path"] for failure in report["failed"]]
        assert failed == [*others, "memory:///server/b::c.wav"]


def test_what_is_found_on_a_server_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server(fsspec.implementations.memory.MemoryFileSystem):
        protocol, cachable = "sftp", False

        @staticmethod
        def _get_kwargs_from_urls(url: str) -> dict[str, str]:
            return {"host": urlsplit(url).netloc}

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return urlsplit(path).path.rstrip("/")

    fsspec.filesystem("memory").pipe("/named/a.wav", b"RIFF")
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda _: Server)
    for url in "sftp://host:22/named", "sftp://host:22/named/*.wav":
        found = [file.path for file in find([url], Skipped())]
        assert found == ["sftp://host:22/named/a.wav"]


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


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("disk_usage", 1_998, "it has more than 999 bytes"), ("_STALLED_S", -1.0, "bytes a second")],
)
def test_a_server_sends_neither_without_end_nor_byte_by_byte(
    limit: str, value: float, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(remote, "_ANYBODYS", {"memory"})
    fsspec.filesystem("memory").pipe("/long.wav", bytes(1_000))
    copy = Copy("memory://long.wav")
    assert copy.path.read_bytes() == bytes(1_000)
    copy.close()
    if limit == "disk_usage":
        monkeypatch.setattr(shutil, limit, lambda _: SimpleNamespace(free=value))
    else:
        monkeypatch.setattr(remote, limit, value)
        monkeypatch.setattr(remote, "_SLOWEST", 1e12)
    with pytest.raises(OSError, match=message):
        Copy("memory://long.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_web_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiohttp: what it is asked for."""
    asked: list[dict[str, object]] = []

    class Web(fsspec.implementations.memory.MemoryFileSystem):
        protocol, cachable = "http", False

        def __init__(self, **options: object) -> None:
            asked.append(options)
            super().__init__()

    monkeypatch.setitem(sys.modules, "aiohttp", SimpleNamespace(ClientTimeout=dict))
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda _: Web)
    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": {"trust_env": True}})
    filesystem("http://example.org/a.wav")
    assert asked[0]["client_kwargs"] == {
        "timeout": {"total": 300, "sock_connect": 30.0, "sock_read": 30.0},
        "trust_env": True,
    }


def test_temporary_files_are_private_and_none_is_created_once_a_signal_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fsspec.filesystem("memory").pipe("/folder/a.wav", b"RIFF")
    with pytest.raises(FileNotFoundError):
        Copy("memory://folder/b.wav")
    store = open_store("memory://folder/t.npz")[0]
    copy = Copy("memory://folder/a.wav")
    assert copy.path.suffix == ".wav"
    with store.writing("t.npz"), store.reading("a.wav"):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
        assert modes == [0o600] * 3
        monkeypatch.setattr(stopping, "_stopped", True)
        for make in (lambda: Copy("memory://folder/a.wav"), store.writing("t.npz").__enter__):
            with pytest.raises(InterruptedError):
                make()
        assert len(list(tmp_path.iterdir())) == 3
    copy.close()
    assert list(tmp_path.iterdir()) == []
