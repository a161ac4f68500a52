import assert from "node:assert/strict";
import { test } from "node:test";

import { findWords, softmax, WordFinder } from "../page/lib/words.js";

const LABELS = ["cat", "dog"];

/** Probabilities in which one label has nearly all. */
function sure(...labels) {
  return labels.map((label) => LABELS.map((name) => (name === label ? 0.9 : 0.05)));
}

function find(rows, options) {
  const times = Float32Array.from(rows, (_, i) => 0.25 * i);
  const logits = Float32Array.from(rows.flat(), (p) => Math.log(p));
  return findWords(logits, times, LABELS, options);
}

test("softmax", () => {
  const got = softmax(Float32Array.of(0, Math.log(3), 1000, 1000, -2000, 0), 2);
  const expected = [0.25, 0.75, 0.5, 0.5, 0, 1];
  expected.forEach((value, i) => assert.ok(Math.abs(got[i] - value) < 1e-7));
});

test("neighbouring windows are one utterance", () => {
  const [cat, dog, ...more] = find(sure("", "cat", "cat", "cat", "", "dog", "dog"));
  assert.deepEqual(more, []);
  assert.deepEqual([cat.word, cat.start, cat.end], ["cat", 0.25, 1.75]);
  assert.deepEqual([dog.word, dog.start, dog.end], ["dog", 1.25, 2.5]);
  assert.ok(Math.abs(cat.probability - 0.9 / 0.95) < 1e-6);
});

test("one sure window alone is no word, unless one is asked for", () => {
  assert.deepEqual(find(sure("cat", "dog", "cat")), []);
  assert.equal(find(sure("cat", "dog", "cat"), { hits: 1 }).length, 3);
});

test("a window below the threshold doesn't end a word, a second of them does", () => {
  assert.equal(find(sure("cat", "", "cat", "cat")).length, 1);
  assert.equal(find(sure("cat", "cat", "", "", "", "cat", "cat")).length, 2);
});

test("the threshold is kept", () => {
  const rows = [[0.6, 0.4], [0.6, 0.4]];
  assert.equal(find(rows, { threshold: 0.59 }).length, 1);
  assert.equal(find(rows, { threshold: 0.61 }).length, 0);
});

test("a word is reported as soon as it is certain, and keeps growing", () => {
  const finder = new WordFinder(LABELS, { threshold: 0.5 });
  assert.equal(finder.push(0, [0.6, 0.4]), null);
  const word = finder.push(0.25, [0.7, 0.3]);
  assert.equal(word.end, 1.25);
  assert.equal(finder.push(0.5, [0.8, 0.2]), null);
  assert.deepEqual([word.end, word.probability], [1.5, 0.8]);
});

test("no labels, no words", () => {
  assert.deepEqual(findWords(new Float32Array(0), new Float32Array(0), []), []);
});

test("invalid options are refused", () => {
  const bad = [
    () => new WordFinder(LABELS, { threshold: 0 }),
    () => new WordFinder(LABELS, { threshold: "0.5" }),
    () => new WordFinder(LABELS, { hits: 0 }),
    () => new WordFinder("cat"),
    () => softmax([1, 2], 2),
    () => softmax(Float32Array.of(1, 2, 3), 2),
    () => findWords(new Float32Array(4), new Float32Array(1), LABELS),
  ];
  for (const one of bad) assert.throws(one, { name: "HearAudioMLPError", code: "option" });
});
