import { softmax, WordFinder } from "./lib/words.js";

const WINDOW = 16_000;

/** Seconds between windows while the microphone is on. */
export const HOP = 0.25;

/** Longest recording that is kept, in seconds. */
export const LONGEST = 600;

/** Windows that may wait for the model: two seconds of them. */
const QUEUE = 8;

/**
 * A recording that grows: runs the model on the second before each quarter of a second, and finds
 * words in what it says. A device that stalls catches up; one that is too slow leaves windows out.
 */
export class Live {
  #samples = new Float32Array(60 * WINDOW);
  #length = 0;
  #due = HOP * WINDOW;
  #queue = []; // samples at which the waiting windows end
  #busy = false;

  /**
   * @param {import("./engine.js").Engine} engine
   * @param {string[]} labels
   * @param {{threshold?: number}} settings see WordFinder
   * @param {object} listeners `window(begin, result, probabilities)` after each run, with the
   *   second at which its window begins; `word(utterance)`; `problem(error)`
   */
  constructor(engine, labels, settings, listeners) {
    this.engine = engine;
    this.labels = labels;
    this.finder = new WordFinder(labels, settings);
    this.listeners = listeners;
    this.late = 0; // windows left out because the model was too slow
  }

  /** All samples so far. */
  get samples() {
    return this.#samples.slice(0, this.#length);
  }

  get seconds() {
    return this.#length / WINDOW;
  }

  /** @param {Float32Array} samples the next ones, at 16 kHz */
  push(samples) {
    if (this.#length + samples.length > this.#samples.length) {
      const larger = new Float32Array(2 * this.#samples.length);
      larger.set(this.#samples);
      this.#samples = larger;
    }
    this.#samples.set(samples, this.#length);
    this.#length += samples.length;
    for (; this.#length >= this.#due; this.#due += HOP * WINDOW) this.#queue.push(this.#due);
    for (; this.#queue.length > QUEUE; this.late += 1) this.#queue.shift();
    if (!this.#busy) this.#work();
  }

  /** Forget the windows that wait. */
  stop() {
    this.#queue = [];
  }

  async #work() {
    this.#busy = true;
    while (this.#queue.length > 0) await this.#run(this.#queue.shift());
    this.#busy = false;
  }

  async #run(end) {
    try {
      const window = new Float32Array(WINDOW); // silence before the beginning
      window.set(this.#samples.subarray(Math.max(0, end - WINDOW), end), Math.max(0, WINDOW - end));
      const begin = end / WINDOW - 1;
      const result = await this.engine.run(window);
      const probabilities = softmax(result.logits, this.labels.length);
      this.listeners.window(begin, result, probabilities);
      if (this.labels.length > 0) {
        const word = this.finder.push(begin, probabilities);
        if (word !== null) this.listeners.word(word);
      }
    } catch (problem) {
      this.listeners.problem(problem);
    }
  }
}
