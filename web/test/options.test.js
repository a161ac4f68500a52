/** Wrong arguments of the Node package: each an error of its own kind, whatever is wrong. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { embed, findWords, HearAudioMLPError, loadModel, readAudio, resample, Resampler, softmax, Spotter, WordFinder } from "../index.js";

const models = process.env.HEARAUDIOMLP_WEB_MODELS;
const skip = models ? false : "HEARAUDIOMLP_WEB_MODELS names no folder with models";

const FAKE = { labels: ["yes"], encode: async () => ({ logits: Float32Array.of(0) }) };
const NUMBERS = [NaN, Infinity, -1, 0, 1.5, "0.5", 2n, null, {}, Symbol("x"), true];
const NO_OBJECTS = [null, 5, "fast", true, 2n, Symbol("x")];

/** Each of `calls` has to end with an error of the package. */
async function refused(code, calls) {
  for (const [i, call] of calls.entries()) {
    const problem = await Promise.resolve().then(call).then(() => null, (thrown) => thrown);
    assert.ok(problem instanceof HearAudioMLPError, `${code} ${i}: ${call}: ${problem}`);
    assert.equal(problem.code, code, `${i}: ${call}: ${problem.message}`);
  }
}

test("options that are none", async () => {
  const logits = Float32Array.of(1);
  for (const options of [...NO_OBJECTS, { treshold: 0.5 }]) {
    await refused("option", [
      () => loadModel("model.onnx", options),
      () => embed(logits, options),
      () => new Spotter(FAKE, options),
      () => new Spotter(FAKE, {}, options),
      () => new WordFinder(["yes"], options),
      () => findWords(logits, [0], ["yes"], options),
    ]);
  }
  for (const value of NUMBERS) {
    await refused("option", [
      () => loadModel("model.onnx", { threads: value }),
      () => new Spotter(FAKE, { hits: value }),
      () => new Spotter(FAKE, { threshold: value === true ? "1" : value }),
      () => new Spotter(FAKE, {}, { word: value }),
      () => softmax(Float32Array.of(1, 2), value),
      () => softmax(value, 1),
      () => findWords(value, [0], ["yes"]),
      () => findWords(logits, value, ["yes"]),
      () => new WordFinder(value),
      () => new WordFinder([value === "0.5" ? 7 : value]),
      () => new WordFinder(["yes"]).push(0, value),
      () => new Spotter(value),
    ]);
    await refused("audio", [
      () => resample(new Float32Array(9), value),
      () => resample(new Float32Array(9), 8_000, value),
      () => resample(value, 8_000),
      () => new Resampler(8_000).process(value),
      () => new Spotter(FAKE).push(value),
    ]);
    await refused("file", [() => loadModel(value === "0.5" ? undefined : value), () => readAudio(value)]);
    await refused("runtime", [() => loadModel("model.onnx", { runtime: value })]);
  }
  await refused("option", [() => new WordFinder(["yes"]).push("0", [1]), () => new WordFinder(["yes"]).push(0, [0.5, 0.5])]);
  await refused("audio", [
    () => new Spotter(FAKE).push(Float32Array.of(NaN)),
    () => resample(new Float32Array(9), 1, 1e9),
    () => resample(new Float32Array(9), 16_000, 999_983),
  ]);
});

test("options and audio of a model", { skip }, async () => {
  const model = await loadModel(join(models, "kwmlp.onnx"));
  const sound = new Float32Array(1_000);
  for (const options of [...NO_OBJECTS, { hopp: 1 }]) await refused("option", [() => model.embed(sound, options)]);
  for (const value of NUMBERS) {
    await refused(
      "option",
      ["hop", "threshold", "hits", "warn", "progress", "signal"]
        .filter((name) => !(name === "threshold" && value === true))
        .map((name) => () => model.embed(sound, { [name]: value })),
    );
    await refused("audio", [() => model.embed(value), () => model.encode(value)]);
  }
  await refused("audio", [
    () => model.embed([1, , 2]),
    () => model.embed([1e300]),
    () => model.embed(new Int16Array(9)),
    () => model.embed(new DataView(new ArrayBuffer(8))),
    () => model.encode(new Float32Array(15_999)),
    () => model.encode(new Float32Array(0)),
  ]);
  await model.close();
  await model.close();
  await refused("model", [() => model.embed(sound)]);
});

test("files that can't be read", async () => {
  await refused("file", [() => loadModel("/"), () => readAudio("/"), () => readAudio("a\0b"), () => readAudio(new URL("http://a/b.wav"))]);
  await refused("file", [() => loadModel(new URL("http://a/b.onnx")), () => readAudio(new Uint8Array(0))]);
  await refused("model", [() => loadModel(new Uint8Array(new SharedArrayBuffer(9)))]);
});

test("memory that threads share", { skip }, async () => {
  const file = readFileSync(join(models, "kwmlp.onnx"));
  const shared = new Uint8Array(new SharedArrayBuffer(file.length));
  shared.set(file);
  const model = await loadModel(shared);
  const sound = Float32Array.from({ length: 20_000 }, (_, i) => Math.sin(i / 9));
  const sharedSound = new Float32Array(new SharedArrayBuffer(4 * sound.length));
  sharedSound.set(sound);
  assert.deepEqual(await model.embed(sharedSound), await model.embed(sound));
  await model.close();
});
