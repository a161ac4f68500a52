/** Words in audio as it comes: windows, waiting, and words in time. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { loadModel, readAudio, Spotter } from "../index.js";

const pause = () => new Promise((resolve) => setImmediate(resolve));

/** A spotter on a model that answers when it is asked to, and what it was asked for. */
function start() {
  const asked = [];
  const begins = [];
  const model = {
    labels: ["yes"],
    encode: (window) =>
      new Promise((resolve) => asked.push({ window, answer: () => resolve({ logits: Float32Array.of(0) }) })),
  };
  const spotter = new Spotter(model, {}, { window: (begin) => begins.push(begin), problem: assert.fail });
  return { spotter, asked, begins };
}

test("a window every quarter of a second, with silence before the beginning", async () => {
  const { spotter, asked, begins } = start();
  const sound = Float32Array.from({ length: 160_000 }, (_, i) => i + 1);
  for (let at = 0; at < sound.length; at += 640) {
    spotter.push(sound.subarray(at, at + 640));
    await pause();
    for (asked.forEach(({ answer }) => answer()); begins.length < asked.length; ) await pause();
  }
  await spotter.idle();
  assert.deepEqual(begins, Array.from({ length: 40 }, (_, i) => -0.75 + 0.25 * i));
  assert.deepEqual([...asked[0].window.slice(11_999, 12_001)], [0, 1]);
  assert.deepEqual(asked[3].window, sound.slice(0, 16_000));
  // After four seconds the ring of samples wraps around.
  for (const i of [5, 18, 19, 39]) assert.deepEqual(asked[i].window, sound.slice((i - 3) * 4_000, (i + 1) * 4_000));
  assert.equal(spotter.late, 0);
});

test("windows wait for a device that stalls, and are left out on one that is too slow", async () => {
  const { spotter, asked, begins } = start();
  const finish = async () => {
    for (let i = 0; i < asked.length; i++) {
      asked[i].answer();
      await pause();
      await pause();
    }
  };
  spotter.push(new Float32Array(16_000));
  await pause();
  assert.equal(asked.length, 1);
  await finish();
  assert.deepEqual(begins, [-0.75, -0.5, -0.25, 0]);
  for (let i = 0; i < 10; i++) spotter.push(new Float32Array(16_000)); // forty windows at once
  await pause();
  await finish();
  assert.equal(spotter.late, 32);
  assert.equal(begins.at(-1), 10);
  spotter.push(new Float32Array(16_000));
  await pause();
  const stopped = spotter.stop();
  await finish();
  await stopped;
  assert.equal(begins.length, 13); // the one that was running ends
});

test("what can't be live audio is refused", () => {
  const { spotter } = start();
  for (const samples of [new Float32Array(16_001), [0.5], undefined, new Int16Array(4)]) {
    assert.throws(() => spotter.push(samples), { name: "HearAudioMLPError", code: "audio" });
  }
  for (const options of [{ threshold: 0 }, { threshold: "high" }, { hits: 1.5 }]) {
    assert.throws(() => new Spotter({ labels: ["yes"], encode: assert.fail }, options), { code: "option" });
  }
});

test("a label that stands for everything else is no word", async () => {
  const model = { labels: ["yes", "other"], otherLabel: "other", encode: async () => ({ logits: Float32Array.of(0, 9) }) };
  const spotter = new Spotter(model, {}, { word: assert.fail, problem: assert.fail });
  spotter.push(new Float32Array(16_000));
  await spotter.idle();
});

const models = process.env.HEARAUDIOMLP_WEB_MODELS;
const sentence = process.env.HEARAUDIOMLP_WEB_SENTENCE;
const words = process.env.HEARAUDIOMLP_WEB_WORDS;
const skip = models && sentence && words ? false : "no model, sentence and words are given";

test("the words of a sentence, as it is spoken", { skip }, async () => {
  const { samples } = await readAudio(sentence);
  const model = await loadModel(join(models, "kwmlp.onnx"));
  const found = [];
  const spotter = new Spotter(model, {}, { word: ({ word }) => found.push(word), problem: assert.fail });
  for (let at = 0; at < samples.length; at += 320) {
    spotter.push(samples.subarray(at, at + 320));
    await spotter.idle();
  }
  await model.close();
  assert.equal(spotter.late, 0);
  assert.equal(found.join(" "), words);
});
