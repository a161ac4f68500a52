"""Which weights are loaded: bundled, pulled, or a file; and how they are described."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest
from platformdirs import macos, unix, windows

import hearaudiomlp
from hearaudiomlp import audiomlp, kwmlp
from hearaudiomlp.cli import main
from hearaudiomlp.errors import CacheError, ModelFileError, ModelNotFoundError, OptionError
from hearaudiomlp.weights import locate, published
from hearaudiomlp.weights.published import PublishedCheckpoint
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"


@pytest.fixture
def bundle(checkpoints: dict[str, Path], monkeypatch) -> Path:
    """Random weights instead of the bundled ones."""
    folder = checkpoints["kwmlp"].parent
    monkeypatch.setattr(locate, "BUNDLES", [folder])
    return folder


@pytest.fixture
def cache(checkpoints: dict[str, Path], monkeypatch, tmp_path: Path) -> Path:
    """A cache folder with random weights instead of the published ones."""
    monkeypatch.setenv("HEARAUDIOMLP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    for name, path in checkpoints.items():
        shutil.copy(path, tmp_path / "cache")
        data = path.read_bytes()
        pin = PublishedCheckpoint(name, hashlib.sha256(data).hexdigest(), len(data), "")
        monkeypatch.setitem(published.PUBLISHED, name, pin)
    return tmp_path / "cache"


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_a_path_the_bundled_weights(bundle: Path, nothing: str | None) -> None:
    assert kwmlp.load_model(nothing).name == "kwmlp"
    assert audiomlp.load_model(nothing).name == "audiomae"
    assert hearaudiomlp.load_model(nothing).name == "kwmlp"
    assert hearaudiomlp.load_model(nothing, name="audiomae").name == "audiomae"
    card = hearaudiomlp.load_model(nothing).metadata
    assert card["licence"] == locate.BUNDLED_LICENCE
    assert "bundled as checkpoints/kwmlp.pth" in card["source"]


def test_torch_modules_have_them_too(bundle: Path) -> None:
    from hearaudiomlp.torch import audiomlp as torch_audiomlp
    from hearaudiomlp.torch import kwmlp as torch_kwmlp

    assert torch_kwmlp.load_model().model.name == "kwmlp"
    assert torch_audiomlp.load_model().model.name == "audiomae"


def test_a_copy_of_the_bundled_weights_is_known(bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(bundle / "kwmlp.pth", tmp_path / "mine.pth"))
    assert hearaudiomlp.load_model(path).metadata["licence"] == locate.BUNDLED_LICENCE


def test_where_nothing_is_bundled(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locate, "BUNDLES", [tmp_path])
    with pytest.raises(ModelNotFoundError, match="no weights of audiomae are bundled"):
        audiomlp.load_model()


def test_names_are_the_pulled_checkpoints(cache: Path) -> None:
    assert hearaudiomlp.load_model("kwmlp").name == "kwmlp"
    assert kwmlp.load_model("kwmlp").name == "kwmlp"
    assert hearaudiomlp.load_model("audiomae").metadata["licence"] == "CC BY-SA 4.0"
    with pytest.raises(ModelFileError, match="of audiomae, not of kwmlp"):
        kwmlp.load_model("audiomae")


def test_a_name_that_was_not_pulled_says_how(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEARAUDIOMLP_CACHE", str(tmp_path / "none"))
    with pytest.raises(ModelNotFoundError, match="run `hearaudiomlp pull audiomae`"):
        hearaudiomlp.load_model("audiomae")
    assert not (tmp_path / "none").exists()  # looking makes no folder


@pytest.mark.parametrize("damage", [b"", b"other"])
def test_a_pulled_file_is_checked_again(cache: Path, damage: bytes) -> None:
    data = (cache / "kwmlp.pth").read_bytes()
    (cache / "kwmlp.pth").write_bytes(data[:-5] + damage)
    with pytest.raises(ModelFileError, match="run `hearaudiomlp pull kwmlp`"):
        hearaudiomlp.load_model("kwmlp")


@pytest.mark.parametrize("path", ["./kwmlp", Path("kwmlp")])
def test_files_that_are_called_so_are_paths(
    checkpoints, monkeypatch, tmp_path: Path, path: str | Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEARAUDIOMLP_CACHE", str(tmp_path / "none"))
    shutil.copy(checkpoints["kwmlp"], "kwmlp")
    assert hearaudiomlp.load_model(path).name == "kwmlp"
    with pytest.raises(ModelNotFoundError, match="hearaudiomlp pull kwmlp"):
        hearaudiomlp.load_model("kwmlp")  # a name, whatever files there are


@pytest.mark.parametrize("path", [b"", [], 0, False])
def test_other_empty_things_are_no_path(path: object) -> None:
    with pytest.raises(OptionError, match="no path"):
        hearaudiomlp.load_model(path)


def printed(capsys) -> dict[str, str]:
    return dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())


def test_info_distinguishes_bundled_pulled_and_own(bundle: Path, capsys, checkpoints) -> None:
    assert main(["info", "--encoder", "audiomae"]) == 0
    facts = printed(capsys)
    assert facts["model"].startswith(f"audiomae ({bundle / 'audiomae.pth'}")
    assert facts["weights"].startswith("bundled")
    assert facts["licence"] == locate.BUNDLED_LICENCE
    digest = hashlib.sha256((bundle / "audiomae.pth").read_bytes()).hexdigest()
    assert facts["checkpoint"] == f"SHA-256 {digest}"
    assert main(["info"]) == 0
    assert printed(capsys)["model"].startswith("kwmlp")
    assert main(["info", str(checkpoints["kwmlp"])]) == 0
    assert "your own" in printed(capsys)["weights"]
    assert main(["info", str(checkpoints["kwmlp"]), "--encoder", "audiomae"]) == 1
    assert "kwmlp, not of audiomae" in capsys.readouterr().err


def test_info_of_a_pulled_checkpoint(cache: Path, capsys) -> None:
    assert main(["info", "kwmlp"]) == 0
    facts = printed(capsys)
    assert facts["weights"] == "the published checkpoint, pulled"
    assert facts["licence"] == "CC BY-SA 4.0"
    assert str(cache) in facts["model"]


def test_embed_takes_the_bundled_weights(bundle: Path, tmp_path: Path, capsys) -> None:
    out = str(tmp_path / "out.npz")
    assert main(["embed", str(SAMPLE), "-o", out]) == 0
    assert "kwmlp on cpu" in capsys.readouterr().out
    assert main(["embed", str(SAMPLE), "-o", out, "--encoder", "audiomae"]) == 0
    assert "audiomae on cpu" in capsys.readouterr().out


@pytest.fixture
def plain(monkeypatch, tmp_path: Path):
    for variable in ("HEARAUDIOMLP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize("xdg", [None, "", "/some/where", "relative/folder", "~/odd"])
@pytest.mark.parametrize(
    ("platform", "oracle"),
    [("linux", unix.Unix), ("freebsd14", unix.Unix), ("darwin", macos.MacOS)],
)
def test_cache_folder_is_that_of_platformdirs(plain, platform: str, oracle, xdg) -> None:
    if xdg is not None:
        plain.setenv("XDG_CACHE_HOME", xdg)
    expected = oracle("hearaudiomlp", appauthor=False).user_cache_dir
    plain.setattr(sys, "platform", platform)
    assert str(locate.cache_folder()) == expected


def test_cache_folder_on_windows(plain) -> None:
    local = os.path.join(os.sep, "Users", "me", "AppData", "Local")  # noqa: PTH118
    plain.setenv("LOCALAPPDATA", local)
    plain.setattr(windows, "get_win_folder", windows.get_win_folder_from_env_vars)
    expected = windows.Windows("hearaudiomlp", appauthor=False).user_cache_dir
    plain.setattr(sys, "platform", "win32")
    assert str(locate.cache_folder()) == expected


def test_own_cache_folder(plain, tmp_path: Path) -> None:
    plain.setenv("HEARAUDIOMLP_CACHE", "~/mine")
    assert locate.cache_folder() == tmp_path / "mine"
    plain.setenv("HEARAUDIOMLP_CACHE", "")
    assert locate.cache_folder() == tmp_path / ".cache" / "hearaudiomlp"
    plain.setenv("HEARAUDIOMLP_CACHE", "~nobody-of-that-name/x")
    with pytest.raises(CacheError, match="set HEARAUDIOMLP_CACHE"):
        locate.cache_folder()


def test_the_bundled_weights_themselves(tmp_path: Path, capsys) -> None:
    for module, name in ((kwmlp, "kwmlp"), (audiomlp, "audiomae")):
        model = module.load_model()
        assert model.name == name
        assert locate.bundled(name) == str(ROOT / "checkpoints" / f"{name}.pth")
        assert published.find_published(model.metadata["checkpoint_sha256"]) is None
    assert main(["keywords", str(SAMPLE), "--labels"]) == 0
    words = [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()]
    assert words == ["marvin", "seven", "happy", "stop"]
