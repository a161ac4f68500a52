"""The page and the Node package in ``web/``: its own tests, and the reference through both.

``HEARAUDIOMLP_WEB_MODELS`` may name a folder with other models: ``kwmlp.onnx`` and
``audiomae.onnx`` of whole pipelines, ``kwmlp-windows.onnx`` and ``audiomae-windows.onnx`` of
windows. ``HEARAUDIOMLP_WEB_WORDS`` names the words that they find in ``samples/sentence.flac``, and
``HEARAUDIOMLP_WEB_PICTURES`` a folder for screenshots.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from hearaudiomlp import find_similar, fit, load_model
from hearaudiomlp.audio import read_audio
from hearaudiomlp.cli import main as hearaudiomlp
from hearaudiomlp.cli.labels import LabelFile
from hearaudiomlp.errors import AudioFileError
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.table.scenes import read_embeddings
from hearaudiomlp_export.cli import main as export
from own_phrases import write_phrases
from own_sounds import call, write_calls

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
PLATFORMS = ROOT / "tests" / "platforms"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WORDS = "marvin happy house stop"
RUNTIMES = ["onnxruntime-node", "onnxruntime-web", "chromium"]

pytestmark = pytest.mark.web


def run(*command: str, **environment: str) -> str:
    """Run a command in ``web/`` and return what it printed."""
    done = subprocess.run(
        command,
        cwd=WEB,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Install what package-lock.json pins; the runtime's own downloads (CUDA) are left out."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    done, pinned = WEB / "node_modules" / ".package-lock.json", WEB / "package-lock.json"
    if not done.exists() or done.stat().st_mtime < pinned.stat().st_mtime:
        run("npm", "ci", ONNXRUNTIME_NODE_INSTALL="skip")
    run("npm", "run", "prepare")


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory,
    shared_or_none: Path | None,
) -> Path:
    """Folder with model files: those asked for, or of the published or the bundled weights."""
    if folder := os.environ.get("HEARAUDIOMLP_WEB_MODELS"):
        return Path(folder).resolve()
    folder = tmp_path_factory.mktemp("models")
    for name in ENCODERS:
        path = (shared_or_none or ROOT) / "checkpoints" / f"{name}.pth"
        pipeline, windows = (str(folder / f"{name}{kind}.onnx") for kind in ("", "-windows"))
        assert export([str(path), "--interface", "pipeline", "-o", pipeline]) == 0
        assert export([str(path), "-o", windows]) == 0
    return folder


@pytest.fixture(scope="module")
def shared_or_none() -> Path | None:
    """Folder with the published checkpoints and the reference arrays, if it is there."""
    from paths import SHARED

    return SHARED if (SHARED / "reference" / "reference.npz").exists() else None


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tutorials: a model file that was fitted to whistles, and a sound with two."""
    folder = tmp_path_factory.mktemp("fitted")
    wake = write_calls(folder / "wake", 8) / "fall"
    shutil.rmtree(wake)
    (folder / "wake" / "rise").rename(folder / "wake" / "whistle")
    fit(folder / "wake", folder / "wake.onnx")
    pause = np.zeros(16_000, np.float32)
    day = np.concatenate([pause, call(True, 100), pause, call(True, 101), pause])
    soundfile.write(folder / "day.wav", day, 16_000)
    return folder


def test_what_node_tests(
    models: Path, fitted: Path, shared_or_none: Path | None, tmp_path: Path
) -> None:
    pictures = Path(os.environ.get("HEARAUDIOMLP_WEB_PICTURES", tmp_path)).resolve()
    samples, rate = soundfile.read(ROOT / "samples" / "sentence.flac", dtype="float32")
    microphone = np.pad(soxr.resample(samples, rate, 48_000), (48_000, 96_000))
    soundfile.write(tmp_path / "sentence.wav", microphone, 48_000, "PCM_16")
    # The page decodes what is larger than 256 KB packet by packet.
    large = tmp_path / "large"
    large.mkdir()
    stereo = np.tile(np.stack([soxr.resample(samples, rate, 44_100)] * 2, axis=1), (2, 1))
    soundfile.write(large / "lossless.flac", stereo, 44_100, "PCM_24")
    best = {"bitrate_mode": "CONSTANT", "compression_level": 0}  # 320 kbit/s
    soundfile.write(large / "lossy.mp3", stereo, 44_100, **best)
    environment = {
        "HEARAUDIOMLP_WEB_LARGE": str(large),
        "HEARAUDIOMLP_WEB_MODELS": str(models),
        "HEARAUDIOMLP_WEB_PICTURES": str(pictures),
        "HEARAUDIOMLP_WEB_SENTENCE": str(tmp_path / "sentence.wav"),
        "HEARAUDIOMLP_WEB_FITTED": str(fitted),
    }
    if shared_or_none or "HEARAUDIOMLP_WEB_MODELS" in os.environ:  # whose words are known
        environment["HEARAUDIOMLP_WEB_WORDS"] = os.environ.get("HEARAUDIOMLP_WEB_WORDS", WORDS)
    printed = run(
        "node",
        "--test",
        "--test-concurrency=1",
        "--test-force-exit",
        "--test-reporter=tap",
        "test/",
        **environment,
    )
    counts = dict(re.findall(r"^# (pass|fail|skipped) (\d+)$", printed, re.MULTILINE))
    assert int(counts["pass"]) > 80, printed
    if Path(CHROMIUM).exists():
        assert int(counts["skipped"]) == 0, printed
        for sound in (
            *(pictures / "good.wav", pictures / "sentence.flac"),
            *(large / "lossless.flac", large / "lossy.mp3"),
        ):
            assert_like_embed(sound, sound.with_suffix(".kwmlp.npz"), models, tmp_path)


def assert_like_embed(sound: Path, saved: Path, models: Path, scratch: Path) -> None:
    """What the page saved has the names, types and numbers of what the command writes."""
    command = ["embed", sound.name, "--model", str(models / "kwmlp.onnx"), "-o", "embed.npz"]
    scratch = scratch / f"embed-{sound.stem}"  # the sound itself may be in the folder above
    scratch.mkdir()
    shutil.copy(sound, scratch / sound.name)
    with contextlib.chdir(scratch):
        assert hearaudiomlp(command) == 0
    paths, scenes = read_embeddings(saved)  # as the command ``map`` does
    assert paths == [sound.name]
    assert scenes.shape == (1, 1024)
    with np.load(saved) as page, np.load(scratch / "embed.npz") as ours:
        assert page.files == ours.files
        for name in ours.files:
            assert page[name].dtype == ours[name].dtype, name
            assert page[name].shape == ours[name].shape, name
            if page[name].dtype == np.float32:
                np.testing.assert_allclose(page[name], ours[name], atol=1e-4, err_msg=name)
            else:
                np.testing.assert_array_equal(page[name], ours[name], err_msg=name)


READ = """
    import { writeFileSync } from "node:fs";
    import { readAudio } from "./index.js";
    for (const file of process.argv.slice(1)) {
      try {
        const { samples, rate, channels, duration } = await readAudio(file);
        writeFileSync(`${file}.f32`, samples);
        console.log(JSON.stringify({ rate, channels, duration }));
      } catch ({ name, code, message }) {
        console.log(JSON.stringify({ name, code, message }));
      }
    }
"""


def read_in_node(*files: Path) -> list[dict[str, Any]]:
    """Read WAV files with the Node package; the samples are beside them, or there is an error."""
    printed = run("node", "--input-type=module", "-e", READ, *map(str, files))
    return [json.loads(line) for line in printed.splitlines()]


KINDS = {
    **{kind: {"subtype": kind} for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")},
    **{kind: {"subtype": kind} for kind in ("FLOAT", "DOUBLE", "ULAW", "ALAW")},
    "RF64": {"format": "RF64", "subtype": "PCM_24"},
    "extensible": {"format": "WAVEX", "subtype": "PCM_16"},
    "big-endian": {"subtype": "PCM_24", "endian": "BIG"},
    "stereo": {"subtype": "PCM_16", "channels": 2},
    "7.1": {"subtype": "FLOAT", "channels": 8},
    "empty": {"subtype": "PCM_16", "samples": 0},
    "one sample": {"subtype": "PCM_16", "samples": 1},
    "long": {"subtype": "PCM_16", "samples": 150_001},
    **{
        f"{rate} Hz": {"subtype": "FLOAT", "rate": rate, "samples": rate // 2}
        for rate in (
            *(8_000, 11_025, 12_000, 22_050, 24_000, 32_000),
            *(44_100, 48_000, 64_000, 88_200, 96_000, 192_000),
        )
    },
}


def test_wav_files_give_the_numbers_of_the_python_package(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    files = []
    for name, kind in KINDS.items():
        rate, channels, count = (
            kind.get(key, default)
            for key, default in (("rate", 16_000), ("channels", 1), ("samples", 9_001))
        )
        samples = rng.uniform(-0.4, 0.4, (count, channels))
        if rate >= 64_000:
            # soxr halves such rates first, by a filter that has nothing before the first sample.
            samples *= np.minimum(1, np.arange(count) / 1000)[:, None] ** 2
        files.append(tmp_path / f"{name}.wav")
        written = {k: v for k, v in kind.items() if k in ("subtype", "format", "endian")}
        soundfile.write(files[-1], samples, rate, **{"format": "WAV", **written})
    # A chunk of any size before the format, an odd one too.
    plain = (tmp_path / "PCM_16.wav").read_bytes()
    for size in (3, 5_000):
        files.append(tmp_path / f"chunk of {size}.wav")
        chunk = b"JUNK" + size.to_bytes(4, "little") + bytes(size + size % 2)
        files[-1].write_bytes(
            b"RIFF"
            + (len(plain) - 8 + len(chunk)).to_bytes(4, "little")
            + b"WAVE"
            + chunk
            + plain[12:]
        )
    for file, found in zip(files, read_in_node(*files), strict=True):
        expected = read_audio(file)
        assert found == {
            "rate": expected.sample_rate,
            "channels": expected.channels,
            "duration": expected.duration,
        }, file.name
        samples = np.fromfile(f"{file}.f32", "<f4")
        np.testing.assert_allclose(samples, expected.samples, atol=1e-5, err_msg=file.name)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    """A WAV file of these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(code: int, bits: int, *, guid: bytes | None = None) -> bytes:
    """The chunk with the format, of one channel at 16 kHz; ``guid``: in the extensible form."""
    step = (bits + 7) // 8
    plain = struct.pack("<HHIIHH", code, 1, 16_000, 16_000 * step, step, bits)
    if guid is None:
        return chunk(b"fmt ", plain)
    return chunk(b"fmt ", plain + struct.pack("<HHI", 22, bits, 4) + guid)


def structures() -> dict[str, bytes]:
    """WAV files whose chunks are odd, by what is odd about them."""
    rng = np.random.default_rng(8)
    samples = rng.integers(-9_000, 9_000, 9_001).astype("<i2").tobytes()
    pcm, guid = form(1, 16), struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    data = chunk(b"data", samples)
    whole = riff(pcm, data)
    of_zero = whole[:40] + bytes(4) + whole[44:]
    unknown = b"\xff" * 4

    def rf64(size: int, name: bytes = b"RF64") -> bytes:
        long = chunk(b"ds64", struct.pack("<QQQI", len(samples) + 100, size, 9_001, 0))
        return name + unknown + b"WAVE" + long + pcm + b"data" + unknown + samples

    return {
        **{
            f"{n} bytes before": riff(chunk(b"JUNK", bytes(n)), pcm, data) for n in (1, 7, 8, 4_097)
        },
        "samples before their format": riff(data, pcm),
        "two formats": riff(pcm, form(6, 8), data),
        "two chunks of samples": riff(pcm, data, data),
        "a list behind": riff(pcm, data, chunk(b"LIST", b"INFO")),
        "half a sample more": riff(pcm, chunk(b"data", samples + b"\1")),
        "no byte after an odd size": riff(form(1, 8), chunk(b"data", samples[:9_001])[:-1]),
        "extensible": riff(form(0xFFFE, 16, guid=guid), data),
        "extensible, unknown": riff(form(0xFFFE, 16, guid=guid[:9] + bytes(7)), data),
        "20 bits in three bytes": riff(form(1, 20), chunk(b"data", samples[:9_000])),
        "12 bits in two bytes": riff(form(1, 12), data),
        "no samples": riff(pcm, chunk(b"data", b"")),
        "no chunk of samples": riff(pcm),
        "a size of zero": of_zero,
        "sizes of zero": of_zero[:4] + bytes(4) + of_zero[8:],
        "from a pipe": whole[:4] + unknown + whole[8:40] + unknown + whole[44:],
        "a size that counts the header": whole[:40] + whole[4:8] + whole[44:],
        "a size of a first piece": whole[:40] + struct.pack("<I", 4_000) + whole[44:],
        "noise behind": whole + rng.bytes(5_000),
        "zeros behind": whole + bytes(1_000),
        "a tag behind": whole + b"ID3\3" + bytes(500),
        "text behind": whole + b"end",
        "another file behind": whole + whole,
        "RF64": rf64(len(samples)),
        "BW64": rf64(len(samples), b"BW64"),
        "RF64, never finished": rf64(0),
        "RF64 of unknown size": rf64(2**64 - 1),
        "RF64 that was cut off": rf64(len(samples))[:-1_000],
        "RF64 that promises a terabyte": rf64(2**40),
        **{f"cut off at {n}": whole[:n] for n in (*range(46), len(whole) - 1)},
        "text before": b"text" + whole,
    }


@pytest.mark.filterwarnings("ignore:.*are no sound and were left out")
def test_odd_wav_files_are_read_or_refused_as_by_the_python_package(tmp_path: Path) -> None:
    files = []
    for name, content in structures().items():
        files.append(tmp_path / f"{name}.wav")
        files[-1].write_bytes(content)
    for file, found in zip(files, read_in_node(*files), strict=True):
        try:
            expected = read_audio(file)
        except AudioFileError:
            assert (found.get("name"), found.get("code")) == ("HearAudioMLPError", "file"), file
            continue
        assert found.get("duration") == expected.duration, (file, found)
        samples = np.fromfile(f"{file}.f32", "<f4")
        np.testing.assert_allclose(samples, expected.samples, atol=1e-6, err_msg=file.name)


def test_wav_files_that_the_python_package_refuses(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.wav" for name in ("cut", "NaN", "text", "rate", "headless")}
    soundfile.write(files["cut"], np.zeros(9_000), 16_000, "PCM_16")
    whole = files["cut"].read_bytes()
    files["cut"].write_bytes(whole[:9_000])
    soundfile.write(files["NaN"], np.array([0.0, np.nan, 0.0]), 16_000, "FLOAT")
    files["text"].write_bytes(b"RIFFand a longer text")
    files["rate"].write_bytes(whole[:24] + (10).to_bytes(4, "little") + whole[28:])
    files["headless"].write_bytes(whole[:36])
    for (name, file), found in zip(files.items(), read_in_node(*files.values()), strict=True):
        assert (found["name"], found["code"]) == ("HearAudioMLPError", "file"), name
        assert file.name in found["message"]
        with pytest.raises(AudioFileError):
            read_audio(file)
    [missing] = read_in_node(tmp_path / "no such.wav")
    assert missing["code"] == "file"


def test_npm_install_leaves_the_lock_file_alone(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(WEB / name, tmp_path / name)
    command = ["npm", "install", "--package-lock-only", "--ignore-scripts"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    pinned = (WEB / "package-lock.json").read_text()
    assert (tmp_path / "package-lock.json").read_text() == pinned


def test_the_python_package_runs_what_was_taught(models: Path, tmp_path: Path) -> None:
    environment = {
        "HEARAUDIOMLP_WEB_MODELS": str(models),
        "HEARAUDIOMLP_WEB_PICTURES": str(tmp_path),
    }
    run(
        "node", "--test", "--test-name-pattern=taught with ten", "test/teach.test.js", **environment
    )
    for name in ENCODERS:
        values = np.fromfile(tmp_path / f"taught-{name}.f32", "<f4")
        window, logits = values[:16_000], values[16_000:]
        model = load_model(tmp_path / f"taught-{name}.onnx")
        np.testing.assert_allclose(model.keyword_logits(window[None])[0], logits, atol=1e-4)
        assert len(logits) == 4


@pytest.fixture(scope="module")
def phrases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of phrases, whose network has convolutions."""
    return write_phrases(tmp_path_factory.mktemp("phrases") / "own.onnx")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", ["fitted", "phrases"])
def test_logits_of_files_with_own_labels(
    runtime: str, kind: str, fitted: Path, phrases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime == "chromium" and not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}")
    monkeypatch.syspath_prepend(PLATFORMS)
    from javascript import JavaScriptModel

    day = read_audio(fitted / "day.wav").samples
    path = {"fitted": fitted / "wake.onnx", "phrases": phrases}[kind]
    model = JavaScriptModel(runtime, str(path))
    logits = model.embed(day)[3]
    model.close()
    expected = load_model(path, device="cpu").encode(day.reshape(-1, 16_000))["keyword_logits"]
    np.testing.assert_allclose(logits.reshape(expected.shape), expected, atol=1e-3)


def test_types() -> None:
    run("npm", "run", "check")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ENCODERS)
def test_reference_cases(name: str, runtime: str, models: Path, shared: Path) -> None:
    if runtime == "chromium" and not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}")
    if "HEARAUDIOMLP_WEB_MODELS" in os.environ:
        pytest.skip("the reference is of the published weights")
    printed = run(
        sys.executable,
        str(shared / "reference" / "compare.py"),
        "javascript",
        f"{runtime}:{models / name}.onnx",
        PYTHONPATH=str(PLATFORMS),
    )
    print(printed)
    assert printed.endswith("76 of 76 cases within tolerance\n")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_reference_keywords(
    runtime: str, models: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime == "chromium" and not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}")
    if "HEARAUDIOMLP_WEB_MODELS" in os.environ:
        pytest.skip("the reference is of the published weights")
    monkeypatch.syspath_prepend(PLATFORMS)
    from javascript import load_model

    with np.load(shared / "reference" / "keywords.npz") as file:
        store = dict(file)
    model = load_model(f"{runtime}:{models / 'kwmlp.onnx'}")
    got = np.stack([model.embed(window)[3] for window in store["windows"]])
    model.close()
    error = np.abs(got - store["logits"]).max()
    print(f"{runtime}: largest error of {got.size} logits: {error:.1e}")
    assert error < 5e-5


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_resampler_agrees_with_soxr(rate: int, tmp_path: Path) -> None:
    """Ours has the response of soxr's high quality; tones up to 90 % of the lower rate's half."""
    noise = 0.1 * np.random.default_rng(3).standard_normal(2 * rate)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / rate) > 0.9 * min(rate, 16_000) / 2] = 0
    sound = np.fft.irfft(spectrum, len(noise)).astype(np.float32)
    sound.tofile(tmp_path / "in.f32")
    code = """
        import { readFileSync, writeFileSync } from "node:fs";
        import { resample } from "./page/lib/resample.js";
        const [from, into, rate] = process.argv.slice(1);
        writeFileSync(into, resample(new Float32Array(readFileSync(from).buffer), Number(rate)));
    """
    paths = [str(tmp_path / name) for name in ("in.f32", "out.f32")]
    run("node", "--input-type=module", "-e", code, *paths, str(rate))
    ours = np.fromfile(tmp_path / "out.f32", "<f4")
    theirs = soxr.resample(sound, rate, 16_000, quality="HQ")
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs)[:30_000].max() < 6e-5


ANSWER = """
    import { readFileSync } from "node:fs";
    import { pathToFileURL } from "node:url";
    import { launch } from "./tools/browser.js";
    const { browser, close } = await launch({ acceptDownloads: true });
    const page = await browser.newPage(), problems = [];
    page.on("pageerror", (problem) => problems.push(String(problem)));
    page.on("console", (message) => problems.push(message.text()));
    await page.goto(pathToFileURL(process.argv[1]).href);
    const rows = page.locator("#results li"), played = [];
    for (let index = 0; index < (await rows.count()); index++) {
      await rows.nth(index).locator(".play").click();
      await rows.nth(index).locator(".play[aria-label^=Play]").waitFor();  // it has ended
      played.push(await page.evaluate(() => audio.currentTime));
    }
    const complaints = await page.locator(".problem").allTextContents();
    await rows.first().locator(".play").focus();
    for (const key of ["y", "n", "y"]) await page.keyboard.press(key);
    const saved = page.waitForEvent("download");
    await page.locator("#download").click();
    const labels = readFileSync(await (await saved).path(), "utf8");
    console.log(JSON.stringify({ played, complaints, labels, problems }));
    await close();
"""


def test_what_is_similar_is_played_and_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path(CHROMIUM).exists():
        pytest.skip("there is no Chromium")
    monkeypatch.chdir(tmp_path)
    names = ['in/<b>x&y "q"#1?.wav', "in/100%25.flac", "in/ü, =1.ogg"]
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in names:
        soundfile.write(name, rng.uniform(-0.1, 0.1, 24_000), 16_000)
    assert hearaudiomlp(["embed", "in", "--segment", "0.5", "-o", "t.npz"]) == 0
    page = tmp_path / "pages" / "p.html"
    page.parent.mkdir()
    assert hearaudiomlp(["similar", "4", "t.npz", "-k", "5", "-o", str(page), "--as", "wren"]) == 0
    seen = json.loads(run("node", "--input-type=module", "-e", ANSWER, str(page)))
    found = find_similar(4, "t.npz", k=5)
    assert seen["problems"] == []
    assert {*seen["complaints"]} == {""}
    for one, at in zip(found, seen["played"], strict=True):  # events come four times a second
        assert one.end is not None
        assert one.end - 0.05 <= at <= one.end + 0.4
    (page.parent / "labels.csv").write_text(seen["labels"], "utf-8")
    rows = csv.reader(seen["labels"].splitlines())
    assert next(rows) == ["path", "start", "end", "label"]
    for one, (path, start, end, label), expected in zip(
        found, rows, ["wren", "_other_", "wren"], strict=False
    ):
        assert (page.parent / path).samefile(one.path)
        assert (float(start), float(end), label) == (one.start, one.end, expected)
    assert all(one in LabelFile(page.parent / "labels.csv") for one in found[:3])
