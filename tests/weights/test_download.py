"""Downloads from a server on this machine that misbehaves in every way."""

import contextlib
import gzip
import hashlib
import http.server
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearaudiomlp import HearAudioMLPError
from hearaudiomlp.cli import main
from hearaudiomlp.errors import (
    CacheError,
    DownloadError,
    DownloadTimeoutError,
    MissingPackageError,
    WrongDownloadError,
)
from hearaudiomlp.weights import download, published
from hearaudiomlp.weights.published import PublishedCheckpoint

CONTENT = bytes(range(256)) * 2000
BOMB = gzip.compress(bytes(50_000_000), 1)


class Server:
    """A server whose handler does what the path says."""

    def __init__(self) -> None:  # noqa: C901 - one method for each behaviour
        self.requests: list[str] = []
        self.passwords: list[str | None] = []
        self.gate = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                outer.passwords.append(self.headers["Authorization"])
                getattr(self, self.path.split("/")[1])()

            def head(self, status: int = 200, length: int = len(CONTENT), **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()

            def good(self) -> None:
                self.head()
                self.wfile.write(CONTENT)

            def slow(self) -> None:
                self.head()
                self.wfile.write(CONTENT[:100_000])
                outer.gate.wait(30)
                self.wfile.write(CONTENT[100_000:])

            def cut(self) -> None:
                self.head()
                self.wfile.write(CONTENT[:100_000])

            def reset(self) -> None:
                self.cut()
                self.wfile.flush()
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

            def cut_chunks(self) -> None:
                self.protocol_version = "HTTP/1.1"
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%b\r\n" % (100_000, CONTENT[:100_000]))

            def truncated(self) -> None:
                self.head(length=1000)
                self.wfile.write(CONTENT[:1000])

            def unannounced(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(CONTENT[:-1])

            def tampered(self) -> None:
                self.head()
                self.wfile.write(CONTENT[:-1] + b"!")

            def endless(self) -> None:
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(CONTENT)
                except OSError:
                    pass

            def page(self) -> None:
                text = b"<html>Please log in to this network.</html>"
                self.head(length=len(text))
                self.wfile.write(text)

            def silent(self) -> None:
                outer.gate.wait(30)

            def stalled(self) -> None:
                self.head()
                self.wfile.write(CONTENT[:100_000])
                outer.gate.wait(30)

            def trickle(self) -> None:
                self.head()
                for byte in CONTENT:
                    try:
                        self.wfile.write(bytes([byte]))
                    except OSError:
                        return
                    if outer.gate.wait(0.002):
                        return

            def nothing(self) -> None:
                pass

            def drip(self) -> None:
                """Send a header without end, a byte at a time."""
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                with contextlib.suppress(OSError):
                    while not outer.gate.wait(0.05):
                        self.wfile.write(b"a")

            def continued(self) -> None:
                with contextlib.suppress(OSError):
                    while not outer.gate.is_set():
                        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

            def headers_without_end(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                with contextlib.suppress(OSError):
                    while not outer.gate.is_set():
                        self.wfile.write(b"X: " + b"a" * 60_000 + b"\r\n")

            def compressed(self) -> None:
                content = gzip.compress(CONTENT)
                self.head(length=len(content), **{"Content-Encoding": "gzip"})
                self.wfile.write(content)

            def escapes(self) -> None:
                self.wfile.write(b"HTTP/1.1 404 N\x1b]0;pwned\x07\r\nContent-Length: 0\r\n\r\n")

            def nonsense(self) -> None:
                self.wfile.write(b"\x16\x03 no HTTP at all\r\n\r\n")

            def missing(self) -> None:
                self.send_error(404)

            def broken(self) -> None:
                self.send_error(500)

            def moved(self) -> None:
                self.head(302, 0, Location="/good")

            def circle(self) -> None:
                self.head(302, 0, Location="/circle")

            def moved_endlessly(self) -> None:
                self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /good\r\n\r\n")
                self.flood(CONTENT)

            def moved_bomb(self) -> None:
                bomb = BOMB
                headers = {"Location": "/good", "Content-Encoding": "gzip"}
                self.head(302, len(bomb), **headers)
                with contextlib.suppress(OSError):
                    self.wfile.write(bomb)

            def flood(self, unit: bytes, pause: float = 0.0) -> None:
                with contextlib.suppress(OSError):
                    while not outer.gate.wait(pause):
                        self.wfile.write(unit)

            def chunks(self, *parts: bytes) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                self.wfile.write(b"".join(parts))

            def trailers(self) -> None:
                self.chunks(b"%x\r\n%b\r\n0\r\n" % (len(CONTENT), CONTENT))
                self.flood(b"x: y\r\n" * 5_000)

            def trailer(self) -> None:
                self.chunks(b"%x\r\n%b\r\n0\r\nX: " % (len(CONTENT), CONTENT))
                self.flood(bytes(65_536))

            def line(self) -> None:
                self.chunks(b"1;")
                self.flood(b"a" * 65_536)

            def slow_line(self) -> None:
                self.chunks(b"%x\r\n%b\r\n1;" % (len(CONTENT) - 1, CONTENT[:-1]))
                self.flood(b"a", 0.05)

            def elsewhere(self) -> None:
                self.head(302, 0, Location=f"http://localhost:{outer.port}/good")

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def checkpoint(self, behaviour: str, name: str = "kwmlp") -> PublishedCheckpoint:
        url = f"http://127.0.0.1:{self.port}/{behaviour}/{name}.pth"
        digest = hashlib.sha256(CONTENT).hexdigest()
        return PublishedCheckpoint(name, digest, len(CONTENT), url)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    running = Server()
    yield running
    running.close()


def test_a_good_download(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "new" / "folder"
    path, new = download.pull(
        server.checkpoint("good"), folder=folder, progress=lambda *now: seen.append(now)
    )
    assert (path, new) == (folder / "kwmlp.pth", True)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 10
    assert [path.name for path in folder.iterdir()] == ["kwmlp.pth"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_no_password_is_sent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login me password secret")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    download.pull(server.checkpoint("moved"), folder=tmp_path)
    assert server.passwords == [None, None]


def test_what_is_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    download.pull(server.checkpoint("good"), folder=tmp_path)
    assert download.pull(server.checkpoint("good"), folder=tmp_path) == (
        tmp_path / "kwmlp.pth",
        False,
    )
    assert len(server.requests) == 1


def test_a_damaged_file_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kwmlp.pth").write_bytes(CONTENT[:1000])
    assert download.pull(server.checkpoint("good"), folder=tmp_path)[1]
    assert (tmp_path / "kwmlp.pth").read_bytes() == CONTENT


def test_a_redirect_on_the_same_server_is_followed(server: Server, tmp_path: Path) -> None:
    assert download.pull(server.checkpoint("moved"), folder=tmp_path)[1]
    assert server.requests == ["/moved/kwmlp.pth", "/good"]


@pytest.mark.parametrize("behaviour", ["moved_endlessly", "moved_bomb"])
def test_the_body_of_a_redirect_is_not_read(server: Server, tmp_path: Path, behaviour: str) -> None:
    tracemalloc.start()
    try:
        assert download.pull(server.checkpoint(behaviour), folder=tmp_path)[1]
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("behaviour", ["trailer", "trailers"])
def test_what_follows_the_file_is_not_read(server: Server, tmp_path: Path, behaviour: str) -> None:
    assert download.pull(server.checkpoint(behaviour), folder=tmp_path)[1]
    assert (tmp_path / "kwmlp.pth").read_bytes() == CONTENT


FAILURES = {
    "cut": (DownloadError, "closed the connection in the middle|ended after 100,000"),
    "reset": (DownloadError, "closed the connection in the middle|can't be reached"),
    "cut_chunks": (DownloadError, "closed the connection in the middle"),
    "truncated": (WrongDownloadError, "ended after 1,000 of 512,000 bytes"),
    "unannounced": (WrongDownloadError, "ended after 511,999 of 512,000 bytes"),
    "tampered": (WrongDownloadError, "its SHA-256 is"),
    "endless": (WrongDownloadError, "longer than 512,000 bytes"),
    "page": (WrongDownloadError, "ended after 43"),
    "silent": (DownloadTimeoutError, "doesn't answer"),
    "stalled": (DownloadTimeoutError, "stopped sending"),
    "trickle": (DownloadTimeoutError, "bytes a second"),
    "nothing": (DownloadError, "closed connection without response"),
    "nonsense": (DownloadError, "127.0.0.1"),
    "missing": (DownloadError, "answers 404 Not Found"),
    "broken": (DownloadError, "answers 500 Internal Server Error"),
    "circle": (DownloadError, "redirects"),
    "drip": (DownloadTimeoutError, "comes at 0 bytes a second"),
    # Newer Pythons count these answers, and stop at a hundred.
    "continued": (DownloadError, "far more came than the file has|100 interim responses"),
    "headers_without_end": (DownloadError, "127.0.0.1"),
    "compressed": (WrongDownloadError, "it is compressed"),
    "escapes": (DownloadError, r"answers 404 N\\x1b\]0;pwned\\x07"),
    "line": (DownloadError, "far more came than the file has|exceeded maximum"),  # urllib3 2.8
    "slow_line": (DownloadTimeoutError, "bytes a second"),
    "elsewhere": (DownloadError, "redirects to http://localhost"),
}


@pytest.mark.parametrize("before", [None, b"an older file"])
@pytest.mark.parametrize("behaviour", list(FAILURES))
def test_failures_are_reported_and_leave_nothing(
    server: Server, tmp_path: Path, behaviour: str, before: bytes | None
) -> None:
    kind, message = FAILURES[behaviour]
    target = tmp_path / "kwmlp.pth"
    if before is not None:
        target.write_bytes(before)
    patience = 0.5 if kind is DownloadTimeoutError else 60.0  # a busy machine is slow, too
    with pytest.raises(HearAudioMLPError, match=message) as caught:
        download.pull(server.checkpoint(behaviour), folder=tmp_path, stalled_after=patience)
    assert type(caught.value) is kind or "interim responses" in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert "nothing was kept" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["kwmlp.pth"] * (before is not None)
    assert before is None or target.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://no-such-host.invalid/kwmlp.pth", "no-such-host.invalid can't be reached"),
        ("http://127.0.0.1:1/kwmlp.pth", "127.0.0.1:1 can't be reached.*refused"),
        ("https://127.0.0.1:{port}/good", "127.0.0.1"),  # speaks no TLS
    ],
)
def test_no_such_host_and_nobody_there(
    server: Server, tmp_path: Path, url: str, message: str
) -> None:
    checkpoint = PublishedCheckpoint("kwmlp", "0" * 64, 1, url.format(port=server.port))
    with pytest.raises(DownloadError, match=message):
        download.pull(checkpoint, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="HEARAUDIOMLP_CACHE names another"):
        download.pull(server.checkpoint("good"), folder=tmp_path / "file" / "cache")
    (tmp_path / "kwmlp.pth").mkdir()
    with pytest.raises(CacheError, match=r"kwmlp\.pth can't be written"):
        download.pull(server.checkpoint("good"), folder=tmp_path)


@pytest.mark.parametrize("content", [b"a model of mine", CONTENT + b"!", CONTENT[:-1] + b"!"])
def test_another_file_in_its_place_is_kept(server: Server, tmp_path: Path, content: bytes) -> None:
    """The cache may be any folder, and have the user's own checkpoint in it."""
    (tmp_path / "kwmlp.pth").write_bytes(content)
    (tmp_path / "kwmlp.pth.1").write_text("one more of mine")
    with pytest.warns(UserWarning, match=r"it is kwmlp\.pth\.2 now"):
        assert download.pull(server.checkpoint("good"), folder=tmp_path)[1]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "kwmlp.pth": CONTENT,
        "kwmlp.pth.1": b"one more of mine",
        "kwmlp.pth.2": content,
    }


def test_a_link_s_target_is_never_written_to(server: Server, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "kwmlp.pth").symlink_to("precious")
    with pytest.warns(UserWarning, match=r"it is kwmlp\.pth\.1 now"):
        assert download.pull(server.checkpoint("good"), folder=tmp_path)[1]
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "kwmlp.pth").is_symlink()
    assert (tmp_path / "kwmlp.pth.1").readlink() == Path("precious")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_ordinary_file_stays(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "kwmlp.pth")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "kwmlp.pth").symlink_to("/dev/zero")
    for folder in (tmp_path / "a", tmp_path / "b"):
        with pytest.raises(CacheError, match="no ordinary file"):
            download.pull(server.checkpoint("good"), folder=folder)
    assert server.requests == []


def run_pull(server: Server, folder: Path, behaviour: str, **options: object) -> subprocess.Popen:
    """Run the command in a process of its own, on a pin for this server."""
    checkpoint = server.checkpoint(behaviour)
    script = f"""
import sys
from hearaudiomlp.weights import published
from hearaudiomlp.cli import main
published.PUBLISHED["kwmlp"] = published.{checkpoint!r}
sys.exit(main(["pull", "kwmlp"]))
"""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HEARAUDIOMLP_CACHE": str(folder)},
        **options,
    )


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    running = run_pull(server, tmp_path, "good", preexec_fn=small_files)
    printed = running.communicate(timeout=60)[1]
    assert running.returncode == 1
    assert "kwmlp.pth can't be written (File too large)" in printed
    assert "Traceback" not in printed
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_the_middle(server: Server, tmp_path: Path) -> None:
    running = run_pull(server, tmp_path, "slow")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".kwmlp.pth.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(list(tmp_path.iterdir())) == 1  # a temporary file
    running.send_signal(signal.SIGINT)
    out, printed = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert printed == "hearaudiomlp: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_two_pulls_at_once(server: Server, tmp_path: Path) -> None:
    both = [run_pull(server, tmp_path, "slow") for _ in range(2)]
    deadline = time.monotonic() + 60
    while len(server.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    server.gate.set()
    for running in both:
        out, printed = running.communicate(timeout=60)
        assert (running.returncode, printed) == (0, "")
        assert "downloaded, 512,000 bytes" in out
    assert [path.name for path in tmp_path.iterdir()] == ["kwmlp.pth"]
    assert (tmp_path / "kwmlp.pth").read_bytes() == CONTENT


def test_command_prints_licence_and_place(
    server: Server, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("HEARAUDIOMLP_CACHE", str(tmp_path))
    for name in ("kwmlp", "audiomae"):
        monkeypatch.setitem(published.PUBLISHED, name, server.checkpoint("good", name))
    assert main(["pull", "kwmlp", "audiomae"]) == 0
    printed = capsys.readouterr()
    for name in ("kwmlp", "audiomae"):
        assert f"{tmp_path / name}.pth: downloaded" in printed.out
    assert "CC BY-SA 4.0" in printed.out
    assert printed.err == ""  # no progress where nobody looks
    assert main(["pull", "kwmlp"]) == 0
    assert "there already" in capsys.readouterr().out
    monkeypatch.setitem(published.PUBLISHED, "kwmlp", server.checkpoint("missing"))
    (tmp_path / "kwmlp.pth").unlink()
    assert main(["pull", "kwmlp"]) == 1
    assert "answers 404" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["pull"], ["pull", "resnet"]])
def test_wrong_usage(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "NAME" in capsys.readouterr().err


def test_missing_extra_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hearaudiomlp\[pull\]'"):
        download.pull(published.PUBLISHED["kwmlp"], folder=tmp_path)


def test_pins_are_those_of_the_published_files(shared: Path) -> None:
    for name, checkpoint in published.PUBLISHED.items():
        data = (shared / "checkpoints" / f"{name}.pth").read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (checkpoint.size, checkpoint.sha256)
        assert checkpoint.url.startswith("https://")
