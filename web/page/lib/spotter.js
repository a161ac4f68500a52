import { HearAudioMLPError } from "./errors.js";
import { checkOptions } from "./options.js";
import { softmax, WordFinder } from "./words.js";

const WINDOW = 16_000;

/** Seconds between windows of live audio. */
export const HOP = 0.25;

/** Windows that may wait for the model: two seconds of them. */
const QUEUE = 8;

/** Samples that are kept: the windows that wait, and the one that is computed. */
const KEPT = 4 * WINDOW;

/**
 * Finds words in audio as it comes: runs the model on the second before each quarter of a second. A
 * device that stalls catches up; one that is too slow leaves windows out. Memory stays constant.
 */
export class Spotter {
  #model;
  #listeners;
  #ring = new Float32Array(KEPT);
  #length = 0; // samples so far
  #due = HOP * WINDOW;
  #queue = []; // samples at which the waiting windows end
  #working = null;

  /** Windows that were left out because the model was too slow. */
  late = 0;

  /**
   * @param {import("./model.js").HearModel} model one that knows words, or none: then only windows
   *   are given
   * @param {{threshold?: number, hits?: number}} [settings] see WordFinder; the model's own threshold by
   *   default, if it has one
   * @param {object} [listeners] `word(utterance)`; `window(begin, result, probabilities)` after each
   *   run, with the second at which its window begins; `problem(error)`, which is thrown as an
   *   unhandled rejection otherwise
   * @throws {HearAudioMLPError} `option`
   */
  constructor(model, settings, listeners) {
    if (typeof model?.encode !== "function") {
      throw new HearAudioMLPError("option", "a Spotter needs a model: await loadModel(...)");
    }
    checkOptions(settings, ["threshold", "hits"]);
    checkOptions(listeners, ["word", "window", "problem"]);
    this.#model = model;
    const threshold = settings?.threshold ?? model.keywordThreshold;
    this.finder = new WordFinder(model.labels, { ...settings, threshold, ignore: model.otherLabel });
    this.#listeners = listeners ?? {};
  }

  /** Seconds of audio so far. */
  get seconds() {
    return this.#length / WINDOW;
  }

  /**
   * @param {Float32Array} samples the next ones, at 16 kHz, at most a second of them
   * @throws {HearAudioMLPError} `audio`
   */
  push(samples) {
    if (!(samples instanceof Float32Array) || samples.length > WINDOW) {
      throw new HearAudioMLPError("audio", "live audio comes as Float32Arrays of at most 16,000 samples at 16 kHz");
    }
    if (!samples.every(Number.isFinite)) {
      throw new HearAudioMLPError("audio", "audio has NaN or infinite samples; repair or drop them");
    }
    const at = this.#length % KEPT;
    const room = KEPT - at;
    this.#ring.set(samples.subarray(0, room), at);
    this.#ring.set(samples.subarray(room), 0);
    this.#length += samples.length;
    for (; this.#length >= this.#due; this.#due += HOP * WINDOW) this.#queue.push(this.#due);
    for (; this.#queue.length > QUEUE; this.late += 1) this.#queue.shift();
    this.#working ??= this.#work();
  }

  /** Resolves when no window waits: for audio that comes faster than it is spoken. */
  async idle() {
    await this.#working;
  }

  /** Forget the windows that wait; resolves when the one that is computed has ended. */
  async stop() {
    this.#queue = [];
    await this.#working;
  }

  async #work() {
    await null; // so that #working is set before it ends
    while (this.#queue.length > 0) await this.#run(this.#queue.shift());
    this.#working = null;
  }

  /** The window that ends with sample `end`, with silence before the beginning. */
  #window(end) {
    const window = new Float32Array(WINDOW);
    const begin = Math.max(0, end - WINDOW);
    const at = begin % KEPT;
    const first = this.#ring.subarray(at, Math.min(KEPT, at + end - begin));
    window.set(first, WINDOW - (end - begin));
    window.set(this.#ring.subarray(0, end - begin - first.length), WINDOW - (end - begin) + first.length);
    return window;
  }

  async #run(end) {
    try {
      const begin = end / WINDOW - 1;
      const result = await this.#model.encode(this.#window(end));
      const { labels } = this.#model;
      const probabilities = labels.length > 0 ? softmax(result.logits, labels.length) : new Float32Array(0);
      this.#listeners.window?.(begin, result, probabilities);
      const word = labels.length > 0 ? this.finder.push(begin, probabilities) : null;
      if (word !== null) this.#listeners.word?.(word);
    } catch (problem) {
      if (this.#listeners.problem === undefined) throw problem;
      this.#listeners.problem(problem);
    }
  }
}
