"""The file that fit writes, in the runtime and in the reference implementation of ONNX."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx.reference import ReferenceEvaluator

import hearaudiomlp
from hearaudiomlp.cli import main
from hearaudiomlp.errors import ExamplesError, ModelFileError, OptionError, OutputExistsError
from hearaudiomlp.fitting.classifier import Settings
from hearaudiomlp.fitting.examples import Clip, Examples
from hearaudiomlp.fitting.report import Facts, write_report
from hearaudiomlp.fitting.run import Fitted
from hearaudiomlp.spotter import MODES
from own_sounds import call, write_calls


@pytest.fixture(scope="module")
def model(fitted: Fitted) -> hearaudiomlp.Model:
    return hearaudiomlp.load_model(fitted.path, device="cpu", threads=1)


def test_file_has_the_users_labels(fitted: Fitted, model: hearaudiomlp.Model) -> None:
    assert fitted.labels == model.labels == ("fall", "rise", "other")
    assert model.metadata["labels_kind"] == "own"
    assert model.metadata["other_label"] == "other"
    assert model.metadata["interface"] == "windows"
    bundled = hearaudiomlp.load_model(device="cpu", threads=1)
    assert model.metadata["checkpoint_sha256"] == bundled.metadata["checkpoint_sha256"]
    windows = np.stack([call(True, 90), call(False, 91)])
    ours, theirs = (one.encode(windows)["frame_embeddings"] for one in (model, bundled))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_runtime_and_reference_evaluator_agree(fitted: Fitted, model: hearaudiomlp.Model) -> None:
    windows = np.stack([call(True, 92), call(False, 93)])
    expected = ReferenceEvaluator(onnx.load(fitted.path)).run(
        ["keyword_logits"], {"windows": windows}
    )
    np.testing.assert_allclose(model.encode(windows)["keyword_logits"], expected[0], atol=2e-3)


def test_new_sounds_are_found_and_other_sound_is_not(
    model: hearaudiomlp.Model, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    sounds = {
        f"{name}{number}": call(name == "rise", number)
        for name in ("rise", "fall")
        for number in range(50, 55)
    }
    sounds["noise"] = rng.normal(0, 0.05, 160_000)
    sounds["sentence"] = hearaudiomlp.read_audio("samples/sentence.flac").samples
    for name, samples in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000)
    found = {
        Path(file.path).stem: [hit.word for hit in file.hits]
        for file in hearaudiomlp.spot_files(sorted(tmp_path.glob("*.wav")), model)
    }
    assert found.pop("noise") == found.pop("sentence") == []
    right = [words == [name[:4]] for name, words in found.items()]
    assert sum(right) >= 9


@pytest.mark.parametrize("mode", MODES)
def test_everything_else_is_no_word(model: hearaudiomlp.Model, mode: str) -> None:
    spotter = hearaudiomlp.Spotter(model, mode=mode, threshold=0.01)
    noise = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    words = {hit.word for hit in (*spotter.push(noise), *spotter.flush())}
    assert "other" not in words


def test_threshold_is_the_files_unless_given(model: hearaudiomlp.Model, tmp_path: Path) -> None:
    assert model.keyword_threshold == float(model.metadata["keyword_threshold"])
    # Both at once, so that neither is certain.
    soundfile.write(tmp_path / "both.wav", (call(True, 72) + call(False, 73)) / 2, 16_000)
    [by_default] = hearaudiomlp.spot_files([tmp_path / "both.wav"], model)
    [hit] = by_default.hits
    above = (1 + hit.probability) / 2
    assert hit.probability < above < 1
    [strict] = hearaudiomlp.spot_files([tmp_path / "both.wav"], model, threshold=above)
    assert strict.hits == ()
    assert hearaudiomlp.load_model(device="cpu").keyword_threshold is None


def test_report_names_what_it_was_fitted_on(fitted: Fitted, calls: Path) -> None:
    text = fitted.report.read_text()
    assert fitted.report.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert text.count(str(calls)) == 8
    assert "fall" in text
    assert "would help most" in text


def test_names_in_the_report_are_no_markup(fitted: Fitted, calls: Path) -> None:
    name, text = "a](javascript:b)`|<img src=x>", "<script>alert(1)</script> http://x WWW.x.y c@d.x"
    metadata = hearaudiomlp.load_model().metadata
    values = {"checkpoint_sha256": text, "licence": text, "hearaudiomlp_version": text}
    results = replace(
        fitted.results,
        labels=(name, name, "other"),
        recalls=tuple(replace(one, label=name) for one in fitted.results.recalls),
    )
    examples = Examples([Clip(name, name)], {name: "0" * 64})
    facts = Facts(name, dict(metadata) | values, b"", examples, Settings("mean", 0.03), {}, 1, 0)
    report = write_report(results, facts, f"{name}.png").decode()
    plain = re.sub(r"\\.", "", report)  # what is behind a backslash is no markup
    assert plain.count("<") == plain.count("<!--") == 1
    assert plain.count("](") == 1
    assert "](javascript" not in plain
    assert "://" not in plain
    assert "www." not in plain.lower()
    assert "c@" not in plain


def test_one_word_is_enough_and_seeds_repeat(tmp_path: Path) -> None:
    folder = write_calls(tmp_path / "calls", 3)
    for path in (folder / "fall").iterdir():
        path.unlink()
    (folder / "fall").rmdir()
    first = hearaudiomlp.fit(folder, tmp_path / "one.onnx", threads=1)
    assert first.labels == ("rise", "other")
    again = hearaudiomlp.fit(folder, tmp_path / "two.onnx", threads=1)
    assert first.path.read_bytes() == again.path.read_bytes()


def test_audiomae_and_exported_files_can_be_fitted(tmp_path: Path) -> None:
    folder = write_calls(tmp_path / "calls", 2)
    exported = hearaudiomlp.fit(
        folder, tmp_path / "a.onnx", model="onnx_models/audiomae.onnx", threads=1
    )
    bundled = hearaudiomlp.fit(folder, tmp_path / "b.onnx", name="audiomae", threads=1)
    logits = [
        hearaudiomlp.load_model(one.path, device="cpu").encode(call(True, 9)[None])[
            "keyword_logits"
        ]
        for one in (exported, bundled)
    ]
    np.testing.assert_allclose(*logits, atol=1e-3)
    again = hearaudiomlp.fit(folder, tmp_path / "c.onnx", model=exported.path, threads=1)
    assert again.labels == exported.labels


def test_nothing_is_written_when_something_is_wrong(calls: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "mine.onnx"
    foreign.write_bytes(b"somebody's")
    with pytest.raises(OutputExistsError):
        hearaudiomlp.fit(calls, foreign)
    (tmp_path / "new.report.md").write_text("my notes")
    with pytest.raises(OutputExistsError):
        hearaudiomlp.fit(calls, tmp_path / "new.onnx")
    with pytest.raises(OptionError):
        hearaudiomlp.fit(calls, tmp_path / "model.pth")
    with pytest.raises(OptionError):
        hearaudiomlp.fit(calls, tmp_path / "x.onnx", seed=-1)
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="input"):
            hearaudiomlp.fit(calls, foreign, model=foreign, overwrite=overwrite)
    examples = tmp_path / "new.report.csv"
    examples.write_text("path,label\n" + "".join(f"{path},a\n" for path in calls.rglob("*.wav")))
    (tmp_path / "new.report.md").unlink()
    (tmp_path / "new.report.md").hardlink_to(examples)
    with pytest.raises(OutputExistsError, match="input"):
        hearaudiomlp.fit(examples, tmp_path / "new.onnx", overwrite=True)
    examples.unlink()
    with pytest.raises(ModelFileError):
        hearaudiomlp.fit(calls, tmp_path / "x.onnx", model=foreign)
    (tmp_path / "calls" / "a").mkdir(parents=True)
    with pytest.raises(ExamplesError):
        hearaudiomlp.fit(tmp_path / "calls", tmp_path / "x.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calls",
        "mine.onnx",
        "new.report.md",
    ]
    assert foreign.read_bytes() == b"somebody's"


def test_command(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(calls), "-o", str(tmp_path / "mine.onnx")]) == 0
    out = capsys.readouterr().out
    assert "would help most" in out
    soundfile.write(tmp_path / "rise.wav", call(True, 60), 16_000)
    arguments = ["keywords", str(tmp_path / "rise.wav"), "--model", str(tmp_path / "mine.onnx")]
    assert main([*arguments, "--json"]) == 0
    assert [hit["word"] for hit in json.loads(capsys.readouterr().out)["keywords"]] == ["rise"]
    (tmp_path / "foreign.onnx").write_bytes(b"not ours")
    assert main(["fit", str(calls), "-o", str(tmp_path / "foreign.onnx")]) == 2
    assert main(["fit", str(tmp_path / "none"), "-o", str(tmp_path / "n.onnx")]) == 1
