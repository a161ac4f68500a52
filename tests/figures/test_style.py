"""Pictures where matplotlib's settings are somebody else's: they are drawn as always."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hearaudiomlp.figures.map import draw_map, make_map
from hearaudiomlp.figures.style import default_style

TEX = "text.usetex: True\n"


def draw_in(folder: Path, out: Path, **environment: str) -> bytes:
    """Run ``map`` in a folder, as a process of its own; return the picture."""
    table = out.parent / "t.npz"
    np.savez(table, paths=["a.wav", "b.wav"], scene_embeddings=np.eye(2, 8, dtype=np.float32))
    done = subprocess.run(
        [sys.executable, "-m", "hearaudiomlp", "map", str(table), "-o", str(out)],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return out.read_bytes()


def test_settings_in_the_current_folder_are_not_read(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (folder := tmp_path / "folder").mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("latex", "dvipng"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/run\nexit 1\n")
        (programs / name).chmod(0o755)
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    plain = draw_in(folder, tmp_path / "plain.png")
    settings = folder / "matplotlibrc"
    for content in (TEX.encode(), b"\xff\xfe\x00"):
        settings.write_bytes(content)
        assert draw_in(folder, tmp_path / "p.png", PATH=path) == plain
    assert not (tmp_path / "run").exists()
    settings.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(settings)
        assert draw_in(folder, tmp_path / "p.png") == plain


def test_variables_do_not_change_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "other.rc").write_text(TEX)
    environment = {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(tmp_path / "other.rc")}
    plain = draw_in(tmp_path, tmp_path / "plain.png")
    assert draw_in(tmp_path, tmp_path / "p.png", **environment) == plain
    for date, kind in (("abc", "svg"), ("9" * 20, "pdf")):
        picture = draw_in(tmp_path, tmp_path / f"p.{kind}", SOURCE_DATE_EPOCH=date)
        assert b"<dc:date>" not in picture
        assert b"/CreationDate" not in picture


def test_settings_of_the_process_are_neither_used_nor_changed(tmp_path: Path) -> None:
    mpl = pytest.importorskip("matplotlib")
    points = make_map(["a.wav", "b.wav"], np.eye(2, 8, dtype=np.float32), "pca")
    with mpl.rc_context({"text.usetex": True, "font.size": 40}):
        figure = draw_map(points)
        assert mpl.rcParams["font.size"] == 40
        with default_style():
            figure.savefig(tmp_path / "p.png")
    assert not figure.axes[0].title.get_usetex()
    assert figure.axes[0].xaxis.label.get_fontsize() == 10


@pytest.mark.skipif(os.name == "nt", reason="its homes can be written to")
def test_a_signal_leaves_no_cache_of_matplotlib(tmp_path: Path) -> None:
    """It makes a temporary one where there is no home."""
    code = """if True:
        import os, signal
        from hearaudiomlp.cli import interrupts
        interrupts.install()
        from hearaudiomlp.figures.style import import_matplotlib
        import_matplotlib()
        import matplotlib
        print(matplotlib.get_cachedir())
        assert os.listdir(os.environ["TMPDIR"])
        os.kill(os.getpid(), signal.SIGTERM)
    """
    home = os.fspath(tmp_path / "\x1b[31m")
    Path(home).touch()
    environment = {**os.environ, "HOME": home, "TMPDIR": str(tmp_path)}
    for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (143, "hearaudiomlp: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["\x1b[31m"]
