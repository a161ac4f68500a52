"""The layout of heareval's embedding stage; with ``pytest -m heareval``, heareval itself."""

import json
import pickle
import random
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from environments import ROOT, Environment
from hearaudiomlp import Model
from hearaudiomlp.cli import main
from hearaudiomlp.table.formats.heareval import HearevalTask, labels_at
from heartasks import SPLITS, make_task, whistle

STAGES = ROOT / "tests" / "support" / "heareval_stages.py"


def embed(task: Path, out: Path, checkpoint: Path, *more: str) -> int:
    arguments = ["--layout", "hear", str(task), "-o", str(out), "--model", str(checkpoint)]
    return main(["embed", *arguments, "--device", "cpu", *more])


@pytest.mark.parametrize("kind", ["scene", "event"])
def test_the_layout(kind, checkpoints, kwmlp: Model, tmp_path) -> None:
    task, out = make_task(tmp_path, kind, 2, whistle), tmp_path / "out"
    assert embed(task, out, checkpoints["kwmlp"], "--shard-files", "5") == 0
    chance = random.Random(0)
    for split in SPLITS:
        labels = json.loads((task / f"{split}.json").read_text())
        names = list(labels)
        chance.shuffle(names)
        embeddings, targets, times = [], [], []
        for name in names:
            samples, _ = soundfile.read(task / "16000" / split / name, dtype="float32")
            found = kwmlp.embeddings(samples[None])
            if kind == "scene":
                embeddings.append(found.scene_embeddings)
                targets.append(labels[name])
                continue
            embeddings.append(found.timestamp_embeddings[0])
            [event] = labels[name]
            for time in found.timestamps[0].tolist():
                inside = event["start"] <= time <= event["end"]
                targets.append([event["label"]] if inside else [])
                times.append([str(out / split / name), time])
        rows, size = json.loads((out / f"{split}.embedding-dimensions.json").read_text())
        written = np.fromfile(out / f"{split}.embeddings.npy", np.float32).reshape(rows, size)
        np.testing.assert_array_equal(written, np.concatenate(embeddings))
        assert pickle.loads((out / f"{split}.target-labels.pkl").read_bytes()) == targets
        if kind == "event":
            path = out / f"{split}.filename-timestamps.json"
            assert json.loads(path.read_text()) == times
        assert (out / f"{split}.json").read_text() == (task / f"{split}.json").read_text()
        one = np.load(out / split / f"{names[0]}.embedding.npy")
        np.testing.assert_array_equal(np.atleast_2d(one), embeddings[0])
    assert (out / ".done.embeddings").exists()


def test_a_task_with_a_broken_file_stops(checkpoints, tmp_path, capsys) -> None:
    task = make_task(tmp_path, "scene", 1, whistle)
    (task / "16000" / "valid" / "no_valid_0.wav").write_bytes(b"")
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
    assert "no_valid_0.wav" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "missing", ["task_metadata.json", "labelvocabulary.csv", "test.json", "16000"]
)
def test_folders_that_are_no_task_are_refused(missing, checkpoints, tmp_path, capsys) -> None:
    task = make_task(tmp_path, "scene", 1, whistle)
    path = task / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
    assert missing.partition(".")[0] in capsys.readouterr().err


def test_labels_that_would_take_gigabytes(checkpoints, tmp_path, capsys) -> None:
    """Three bytes of JSON can be an object of seventy in memory."""
    task = make_task(tmp_path, "scene", 1, whistle)
    for text, problem in (
        ('{"a.wav": [' + "{}," * 2_500_000 + "{}]}", "has more than 4,000,000 values"),
        (" " * (1 << 26) + "{}", "has over 67,108,864 bytes"),
    ):
        (task / "test.json").write_text(text)
        assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
        assert problem in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test.json", "labelvocabulary.csv", "task_metadata.json"])
def test_a_task_that_changes_is_laid_out_again(name, checkpoints, tmp_path, monkeypatch) -> None:
    task, out = make_task(tmp_path, "scene", 1, whistle), tmp_path / "out"
    assert embed(task, out, checkpoints["kwmlp"]) == 0
    changed = (task / name).read_text().replace("yes", "no") + "\n"
    (task / name).write_text(changed)
    assert embed(task, out, checkpoints["kwmlp"]) == 0
    assert (out / name).read_text() == changed


def test_a_task_that_changes_meanwhile_is_an_error(
    checkpoints, tmp_path, monkeypatch, capsys
) -> None:
    task, out = make_task(tmp_path, "scene", 1, whistle), tmp_path / "out"
    whole = HearevalTask.publish

    def publish(*arguments) -> None:
        (task / "test.json").write_text("{}")
        whole(*arguments)

    monkeypatch.setattr(HearevalTask, "publish", publish)
    assert embed(task, out, checkpoints["kwmlp"]) == 1
    assert "test.json has changed since this run began" in capsys.readouterr().err
    assert not out.exists()


def test_times_and_labels_that_cannot_be_compared(checkpoints, tmp_path, capsys) -> None:
    task, out = make_task(tmp_path, "event", 1, whistle), tmp_path / "out"
    labels = json.loads((task / "test.json").read_text())
    name = next(iter(labels))
    labels[name] = [{"start": 0, "end": 500, "label": label} for label in ("yes", 1, "no")]
    (task / "test.json").write_text(json.dumps(labels))
    assert embed(task, out, checkpoints["kwmlp"]) == 0
    written = json.loads((out / "test" / f"{name}.target-labels.json").read_text())
    assert written[0] == [1, "no", "yes"]
    labels[name][0]["end"] = 10**400
    (task / "test.json").write_text(json.dumps(labels))
    assert embed(task, out, checkpoints["kwmlp"]) == 1
    assert "is no event" in capsys.readouterr().err


@pytest.mark.parametrize("name", [
    "a.wav.embedding.npy/b.wav", "a.wav.target-labels.json", "e" * 231, "é" * 120,
])  # fmt: skip
def test_names_that_the_layout_has_no_place_for(name, checkpoints, tmp_path, capsys) -> None:
    """Before anything is computed."""
    task = make_task(tmp_path, "scene", 1, whistle)
    (task / "test.json").write_text(json.dumps({name: ["yes"], "a.wav": ["no"]}))
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
    assert "a name that it uses itself" in capsys.readouterr().err
    (task / "test.json").write_text("{}")
    metadata = json.loads((task / "task_metadata.json").read_text())
    metadata["splits"] = ["test", "test.embedding-dimensions"]
    (task / "task_metadata.json").write_text(json.dumps(metadata))
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
    assert "a name that it uses itself" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_events_that_would_take_hours_or_gigabytes(checkpoints, tmp_path, capsys) -> None:
    """A label may be under way at each of a recording's timestamps."""
    task = make_task(tmp_path, "event", 1, whistle)
    always = {"start": 0, "end": 1e9}
    one_long, many = ["x" * 10_000], range(2000)
    for labels in one_long, many:
        given = json.loads((task / "test.json").read_text())
        given[next(iter(given))] = [{"label": label} | always for label in labels]
        (task / "test.json").write_text(json.dumps(given))
        assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
        assert "characters in all: far too many" in capsys.readouterr().err
        shutil.rmtree(tmp_path / "out.parts")
    times = [0.0, 10.0, 20.0]
    same = [{"label": n, "start": n * ((1 << 61) - 1), "end": 1e299} for n in range(50_000)]
    assert labels_at(same, times, "a.wav") == [[0]] * 3  # of one hash


def test_labels_of_two_types_are_in_the_order_of_heareval() -> None:
    events = [{"label": label, "start": 0, "end": 10} for label in ("b", 10, "a", 9, "a")]
    found = labels_at(events, [0.0, 10.0, 20.0], "a.wav")
    assert found == [[9, 10, "a", "b"], [9, 10, "a", "b"], []]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("task_metadata.json", '{"splits": ["test", "test"], "embedding_type": "event"}'),
        ("test.json", f'{{"a.wav": [{{"label": "a", "start": 1{"0" * 400}, "end": 0}}]}}'),
        ("test.json", '{"a.wav": [{"label": "a", "start": NaN, "end": 0}]}'),
    ],
)
def test_tasks_that_cannot_be(name, text, checkpoints, tmp_path, capsys) -> None:
    task = make_task(tmp_path, "event", 1, whistle)
    (task / name).write_text(text)
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
    assert "is no folder of a HEAR task" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labelvocabulary.csv", "test.json", "task_metadata.json"])
def test_a_task_copies_no_file_of_elsewhere(name, checkpoints, tmp_path, capsys) -> None:
    """What is copied may be published with the embeddings."""
    task = make_task(tmp_path / "tasks", "scene", 1, whistle)
    secret = (task / name).rename(tmp_path / "secret")
    (task / name).symlink_to(secret)
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 1
    assert f"{name} is a link to a file outside" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))
    (task / name).unlink()
    secret.rename(task / "inside")
    (task / name).symlink_to("inside")
    assert embed(task, tmp_path / "out", checkpoints["kwmlp"]) == 0


@pytest.fixture(scope="module")
def heareval(tmp_path_factory) -> Environment:
    environment = Environment(
        tmp_path_factory.mktemp("heareval") / "env",
        *("torch==2.13.0", "setuptools<81", "pytorch-lightning==1.9.5", "numpy", "pandas"),
        *(
            "scikit-learn",
            "more-itertools",
            "torchinfo",
            "pynvml",
            "python-slugify",
            "intervaltree",
        ),
        *("click", "tqdm", "sed_eval", "dcase_util", ".[cpu,audio,torch]"),
    )
    environment.run("-m", "pip", "install", "-q", "--no-deps", "heareval==2021.1.3")
    return environment


@pytest.mark.heareval
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pytorch-lightning 1.9.5 is of its time")
@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
@pytest.mark.parametrize("kind", ["scene", "event"])
def test_heareval_scores_it_like_the_torch_module(heareval, kind, checkpoints, tmp_path) -> None:
    task = make_task(tmp_path, kind, 12)
    ours, theirs = tmp_path / "ours" / task.name, tmp_path / "theirs" / task.name
    ours.parent.mkdir()
    assert embed(task, ours, checkpoints["kwmlp"]) == 0
    module = ("hearaudiomlp.torch.kwmlp", str(checkpoints["kwmlp"]))
    heareval.run(str(STAGES), "embed", *module, str(task), str(theirs))
    for split in SPLITS:
        name = f"{split}.embeddings.npy"
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    allow = ("env", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1")
    scores = heareval.run(str(STAGES), "predict", str(ours), str(theirs), prefix=allow)
    first, second = re.findall(r"^SCORE \S+ (\S+)$", scores, re.MULTILINE)
    assert first == second
    assert float(first) >= 0
