/** In the model's thread: examples of the sounds that a person teaches, and what is fitted to them. */

import { classifierFile, fitClassifier, poolFrames } from "../lib/classifier.js";
import { HearAudioMLPError } from "../lib/errors.js";

/** The label of everything that isn't one of the sounds taught. */
export const OTHER = "other";

const WINDOW = 16_000;
const HOP = WINDOW / 4;
const MOST = 8; // windows of one example
const LOUD = 0.7; // share of the loudest window's level that a window of an example has
const LONGEST = 30 * WINDOW; // samples of an example that are looked at

/** The windows of an example in which its sound is. */
function windowsOf(sound) {
  const padded = new Float32Array(sound.length + 2 * WINDOW);
  padded.set(sound, WINDOW / 2);
  const windows = [];
  for (let begin = 0; begin <= sound.length; begin += HOP) {
    const window = padded.subarray(begin, begin + WINDOW);
    windows.push({ window, level: Math.sqrt(window.reduce((sum, s) => sum + s * s, 0) / WINDOW) });
  }
  const loudest = Math.max(...windows.map(({ level }) => level));
  const loud = windows.filter(({ level }) => level >= LOUD * loudest).map(({ window }) => window);
  const step = Math.max(1, loud.length / MOST);
  return Array.from({ length: Math.min(MOST, loud.length) }, (_, i) => loud[Math.floor(i * step)]);
}

/** Noises that are none of anybody's sounds: from hiss to rumble, from faint to loud, some in beats. */
function noises() {
  let seed = 7;
  const random = () => (seed = (seed * 48_271) % 0x7fffffff) / 0x7fffffff - 0.5;
  return Array.from({ length: 24 }, (_, i) => {
    const [rumble, beats, size] = [(i % 4) / 4, i % 3, 10 ** (-4 + (i % 8) / 2)];
    let last = 0;
    return Float32Array.from({ length: WINDOW }, (__, t) => {
      last = rumble * last + random();
      return size * last * (beats === 0 ? 1 : Math.abs(Math.sin((Math.PI * (beats + 1) * t) / WINDOW)));
    });
  });
}

/** Examples by their labels. */
export class Classes {
  #examples = []; // {label, windows, rows, file}
  #others = null;

  /** @returns {{count: number}} examples of that label now */
  add(model, label, { samples, name }) {
    const sound = samples.subarray(0, LONGEST);
    if (sound.every((sample) => Math.abs(sample) < 1e-4)) {
      throw new HearAudioMLPError("audio", `${name} is silent: nothing can be learnt from it`);
    }
    this.#examples.push({ label, windows: windowsOf(sound) });
    return { count: this.#examples.filter((example) => example.label === label).length };
  }

  remove(label) {
    this.#examples = this.#examples.filter((example) => example.label !== label);
  }

  rename(label, to) {
    for (const example of this.#examples) if (example.label === label) example.label = to;
  }

  /** Put the features of its windows, by the model in use, into an example. */
  async #compute(example, model) {
    if (example.file === model.file) return;
    const joined = new Float32Array(example.windows.length * WINDOW);
    example.windows.forEach((window, i) => joined.set(window, i * WINDOW));
    const { frames } = await model.encode(joined);
    Object.assign(example, { rows: poolFrames(frames, model.timestampEmbeddingSize), file: model.file });
  }

  /**
   * Fit a classifier to all examples, on the embeddings of `model`.
   *
   * @returns {Promise<{bytes: Uint8Array, labels: string[], right: number, tried: number, confusions: object[]}>}
   *   the model file, and how it does on each example when fitted to the others
   */
  async fit(model, { progress }) {
    const own = [...new Set(this.#examples.map(({ label }) => label))].filter((label) => label !== OTHER);
    if (own.length === 0) throw new HearAudioMLPError("option", "record or add examples of a sound first");
    this.#others ??= noises().map((noise) => ({ label: OTHER, windows: [noise] }));
    const examples = [...this.#examples, ...this.#others];
    for (const [i, example] of examples.entries()) {
      await this.#compute(example, model);
      await progress((0.5 * (i + 1)) / examples.length);
    }
    const labels = [...own, OTHER];
    const taught = new Set(this.#examples);
    const fitted = await fitClassifier(examples, labels, {
      counted: (example) => taught.has(example),
      progress: (share) => progress(0.5 + 0.5 * share),
    });
    const { weights, bias, ...rest } = fitted;
    const bytes = classifierFile(model.file, { labels, other: OTHER, weights, bias });
    return { ...rest, labels, bytes };
  }
}
