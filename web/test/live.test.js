/** The microphone's side of the page without a microphone: windows, waiting, and words in time. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { loadModel, resample } from "../index.js";
import { Live } from "../page/live.js";

const pause = () => new Promise((resolve) => setImmediate(resolve));

/** A live recording on an engine that answers when told, and what it asked for. */
function start() {
  const asked = [];
  const begins = [];
  const engine = {
    run: (window) => new Promise((resolve) => asked.push({ window, answer: () => resolve({ logits: Float32Array.of(0) }) })),
  };
  const listeners = {
    window: (begin) => begins.push(begin),
    word: () => {},
    problem: assert.fail,
  };
  return { live: new Live(engine, ["yes"], {}, listeners), asked, begins };
}

test("a window every quarter of a second, with silence before the beginning", async () => {
  const { live, asked, begins } = start();
  const sound = Float32Array.from({ length: 24_000 }, (_, i) => i + 1);
  for (let at = 0; at < sound.length; at += 320) {
    live.push(sound.subarray(at, at + 320));
    for (asked.forEach(({ answer }) => answer()); begins.length < asked.length; ) await pause();
    await pause();
  }
  assert.deepEqual(begins, [-0.75, -0.5, -0.25, 0, 0.25, 0.5]);
  assert.deepEqual([...asked[0].window.slice(11_999, 12_001)], [0, 1]);
  assert.deepEqual(asked[3].window, sound.slice(0, 16_000));
  assert.deepEqual(asked[5].window, sound.slice(8_000, 24_000));
  assert.equal(live.late, 0);
  assert.deepEqual(live.samples, sound);
});

test("windows wait for a device that stalls, and are left out on one that is too slow", async () => {
  const { live, asked, begins } = start();
  live.push(new Float32Array(16_000));
  await pause();
  assert.equal(asked.length, 1);
  const finish = async () => {
    for (let i = 0; i < asked.length; i++) {
      asked[i].answer();
      await pause();
      await pause();
    }
  };
  await finish();
  assert.deepEqual(begins, [-0.75, -0.5, -0.25, 0]);
  live.push(new Float32Array(16_000 * 10)); // forty windows at once
  await finish();
  assert.equal(live.late, 32);
  assert.equal(begins.at(-1), 10);
  live.push(new Float32Array(16_000));
  live.stop();
  await finish();
  assert.equal(begins.length, 13); // the one that was running ends
});

const models = process.env.HEARAUDIOMLP_WEB_MODELS;
const sentence = process.env.HEARAUDIOMLP_WEB_SENTENCE;
const words = process.env.HEARAUDIOMLP_WEB_WORDS;
const skip = models && sentence && words ? false : "no model, sentence and words are given";

test("the words of a sentence, as it is spoken", { skip }, async () => {
  const file = readFileSync(sentence);
  const samples = Float32Array.from(
    { length: (file.length - 44) >> 1 },
    (_, i) => file.readInt16LE(44 + 2 * i) / 32_768,
  );
  const sound = resample(samples, file.readUInt32LE(24));
  const model = await loadModel(join(models, "kwmlp.onnx"));
  const found = [];
  let windows = 0;
  const live = new Live(model, model.labels, {}, {
    window: () => windows++,
    word: ({ word }) => found.push(word),
    problem: assert.fail,
  });
  for (let at = 0; at < sound.length; at += 320) {
    live.push(sound.subarray(at, at + 320));
    while (windows < Math.floor(live.seconds * 4)) await pause();
  }
  await model.close();
  assert.equal(found.join(" "), words);
});
