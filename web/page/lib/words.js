/**
 * From keyword logits to the words that were spoken: softmax, threshold, and neighbouring windows
 * merged. Windows are a second long and overlap, so that one word is seen by several of them.
 */

import { HearAudioMLPError } from "./errors.js";
import { checkLabels, checkOptions } from "./options.js";

/** Probability from which on a window is taken as one with a word in it. */
export const THRESHOLD = 0.75;

/** Windows that have to say so, one after the other: the edge of a long word is often a short one. */
export const HITS = 2;

const WINDOW_SECONDS = 1;

/** The same word again within this time, in seconds, is still the same utterance. */
const AGAIN = 0.75;

/**
 * @param {Float32Array} logits `[n * labels]`
 * @param {number} labels
 * @returns {Float32Array} probabilities, each row with the sum 1
 * @throws {HearAudioMLPError} `option`
 */
export function softmax(logits, labels) {
  const whole = Number.isInteger(labels) && labels >= 0 && (labels === 0 ? logits?.length === 0 : logits?.length % labels === 0);
  if (!(logits instanceof Float32Array) || !whole) {
    throw new HearAudioMLPError("option", "softmax takes a Float32Array of whole rows, and the number of labels in a row");
  }
  const probabilities = new Float32Array(logits.length);
  for (let row = 0; row < logits.length; row += labels) {
    const scores = logits.subarray(row, row + labels);
    const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const exps = Float64Array.from(scores, (score) => Math.exp(score - largest));
    const sum = exps.reduce((a, b) => a + b, 0);
    for (let i = 0; i < labels; i++) probabilities[row + i] = exps[i] / sum;
  }
  return probabilities;
}

/**
 * Finds words in windows that come one by one, in the order of time.
 *
 * A window hits if its most probable word reaches the threshold. Hits of one word that follow each
 * other are one utterance.
 */
export class WordFinder {
  #open = null;
  #count = 0;

  /**
   * @param {string[]} labels
   * @param {{threshold?: number, hits?: number, ignore?: string}} [options] `ignore`: a label that
   *   stands for everything else, and is no word
   * @throws {HearAudioMLPError} `option`
   */
  constructor(labels, options) {
    checkLabels(labels);
    checkOptions(options, ["threshold", "hits", "ignore"]);
    const { threshold = THRESHOLD, hits = HITS, ignore } = options ?? {};
    this.ignore = ignore;
    this.labels = labels;
    this.threshold = threshold;
    this.hits = hits;
  }

  /**
   * Take the next window.
   *
   * @param {number} start of the window, in seconds
   * @param {Float32Array} probabilities of the labels in it
   * @returns {{word: string, start: number, end: number, probability: number} | null} an utterance
   *   that has just become certain, from the beginning of its first window to the end of its last
   *   one; `end` and `probability` still grow as more windows of it come
   * @throws {HearAudioMLPError} `option`
   */
  push(start, probabilities) {
    if (!Number.isFinite(start) || probabilities?.length !== this.labels.length) {
      throw new HearAudioMLPError("option", `a window has its second and ${this.labels.length} probabilities`);
    }
    let best = 0;
    for (let i = 1; i < probabilities.length; i++) {
      if (probabilities[i] > probabilities[best]) best = i;
    }
    const probability = probabilities[best];
    if (!(probability >= this.threshold) || this.labels[best] === this.ignore) return null;
    const open = this.#open;
    const end = start + WINDOW_SECONDS;
    if (open?.word === this.labels[best] && end - open.end <= AGAIN) {
      open.end = end;
      open.probability = Math.max(open.probability, probability);
      this.#count += 1;
    } else {
      this.#open = { word: this.labels[best], start, end, probability };
      this.#count = 1;
    }
    return this.#count === this.hits ? this.#open : null;
  }
}

/**
 * Find the words in all windows of a sound.
 *
 * @param {Float32Array} logits `[n * labels.length]`
 * @param {Float32Array} times when each window begins, in seconds
 * @param {string[]} labels
 * @param {{threshold?: number, hits?: number, ignore?: string}} [options] see WordFinder
 * @throws {HearAudioMLPError} `option`
 */
export function findWords(logits, times, labels, options) {
  const finder = new WordFinder(labels, options);
  if (!(logits instanceof Float32Array) || !(Array.isArray(times) || times instanceof Float32Array)) {
    throw new HearAudioMLPError("option", "findWords takes logits as a Float32Array, and when each window begins");
  }
  if (logits.length !== times.length * labels.length) {
    throw new HearAudioMLPError("option", `${logits.length} logits are not ${times.length} rows of ${labels.length}`);
  }
  const probabilities = softmax(logits, labels.length);
  const found = [];
  for (const [i, time] of times.entries()) {
    const row = probabilities.subarray(i * labels.length, (i + 1) * labels.length);
    const utterance = finder.push(time, row);
    if (utterance !== null) found.push(utterance);
  }
  return found.map((utterance) => ({ ...utterance, start: Math.max(0, utterance.start) }));
}
