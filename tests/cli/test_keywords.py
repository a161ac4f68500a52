"""``hearaudiomlp keywords``: the table, JSON lines and label tracks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearaudiomlp import Model, keywordfiles
from hearaudiomlp.cli import main
from hearaudiomlp.embed import Failed
from hearaudiomlp.errors import AudioFileError
from hearaudiomlp.keywordfiles import Spotted
from hearaudiomlp.keywords.hits import Hit
from paths import ROOT

SAMPLE = ROOT / "samples" / "words.flac"


def test_audiomae_is_refused(checkpoints, capsys) -> None:
    assert main(["keywords", str(SAMPLE), "--model", str(checkpoints["audiomae"])]) == 1
    assert "audiomae has no keyword head; kwmlp has one" in capsys.readouterr().err


@pytest.fixture
def three_hits(monkeypatch, checkpoints) -> list[str]:
    """Arguments that name a model whose hits are known."""
    hits = (Hit("no", 0.0, 0.75, 0.8125), Hit("yes", 1.25, 1.75, 0.9), Hit("no", 60.5, 61.0, 0.61))

    def spot(paths, model, **_):
        for path in paths:
            problem = AudioFileError(f"{path}: bad")
            yield Failed(path, problem) if "bad" in path else Spotted(path, 61.25, hits)

    monkeypatch.setattr(keywordfiles, "spot_files", spot)
    return ["--model", str(checkpoints["kwmlp"])]


def test_table(three_hits, capsys) -> None:
    assert main(["keywords", "a.wav", *three_hits]) == 0
    assert capsys.readouterr().out == (
        "a.wav: 61.25 s, 3 keywords\n"
        "    start       end  word       probability\n"
        "     0.00      0.75  no                0.81\n"
        "     1.25      1.75  yes               0.90\n"
        "    60.50     61.00  no                0.61\n"
    )


def test_json(three_hits, capsys, kwmlp: Model) -> None:
    assert main(["keywords", "a.wav", "bad.wav", "--json", *three_hits]) == 1
    captured = capsys.readouterr()
    first, second = map(json.loads, captured.out.splitlines())
    assert first == {
        "path": "a.wav",
        "duration": 61.25,
        "model": "kwmlp",
        "checkpoint_sha256": kwmlp.metadata["checkpoint_sha256"],
        "keywords": [
            {"word": "no", "start": 0.0, "end": 0.75, "probability": 0.8125},
            {"word": "yes", "start": 1.25, "end": 1.75, "probability": 0.9},
            {"word": "no", "start": 60.5, "end": 61.0, "probability": 0.61},
        ],
    }
    assert second == {"path": "bad.wav", "error": "bad.wav: bad"}
    assert "1 of 2 files failed" in captured.err


def test_audacity_labels(three_hits, capsys) -> None:
    assert main(["keywords", "a.wav", "--labels", *three_hits]) == 0
    assert capsys.readouterr().out == "0.000\t0.750\tno\n1.250\t1.750\tyes\n60.500\t61.000\tno\n"
    assert main(["keywords", "a.wav", "b.wav", "--labels", *three_hits]) == 2
    assert "one file" in capsys.readouterr().err


def test_ctrl_c_ends_at_once(checkpoints, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(16000 * 60, "i2"), 16000)
    files = [str(SAMPLE), *[str(tmp_path / "long.wav")] * 2000]
    running = subprocess.Popen(
        [sys.executable, "-m", "hearaudiomlp", "keywords", *files, "--model",
         str(checkpoints["kwmlp"])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
