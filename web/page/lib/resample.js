/**
 * Band-limited resampling from any rate to any other: a Kaiser-windowed sinc, kept as one row of
 * taps for each of the positions that an output sample can have between two input samples.
 *
 * Cutoff, length and shape are those of soxr's high quality, which the Python package uses; they
 * were fitted to its impulse response from 48 kHz (largest difference: 3e-8). Shape of the window:
 * J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", ISCAS 1974.
 */

import { HearAudioMLPError } from "./errors.js";

/** Samples per second of all audio that the models take. */
export const SAMPLE_RATE = 16_000;

/** Where the response has fallen by 6 dB, as a share of the lower rate's half. */
const CUTOFF = 0.95687;

/** Length of the filter to each side, in samples of the lower rate. */
const REACH = 96.84;

/** Of the Kaiser window: nothing above the lower rate's half is less than 125 dB down. */
const BETA = 13.04;

function besselI0(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function commonDivisor(a, b) {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/** Taps for `phases` positions between two samples, `2 * half` each, one row after the other. */
function design(from, to, phases) {
  const scale = Math.min(1, to / from); // samples of the lower rate in one of the input
  const reach = REACH / scale;
  const half = Math.ceil(reach);
  const taps = new Float32Array(phases * 2 * half);
  const row = new Float64Array(2 * half);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let k = 0; k < 2 * half; k++) {
      const t = k - half + 1 - phase / phases; // from the output sample to this input sample
      const x = Math.PI * CUTOFF * scale * t;
      const edge = 1 - (t / reach) ** 2;
      row[k] = edge < 0 ? 0 : (x === 0 ? 1 : Math.sin(x) / x) * besselI0(BETA * Math.sqrt(edge));
      sum += row[k];
    }
    // Rows that differ in their sums would turn a constant into a tone.
    for (let k = 0; k < 2 * half; k++) taps[phase * 2 * half + k] = row[k] / sum;
  }
  return { taps, half };
}

/**
 * A resampler for audio that comes in pieces. However the input is cut, the output is the same to
 * the bit: output sample `m` is at input sample `m * from / to`, and there are
 * `round(samples * to / from)` of them after {@link Resampler.flush}.
 */
export class Resampler {
  #pending; // input from sample #start on
  #start = 0;
  #received = 0;
  #made = 0;

  /**
   * @param {number} from samples per second of the input, a whole number
   * @param {number} [to] samples per second of the output, a whole number
   * @throws {HearAudioMLPError} `audio`, if a rate is no positive whole number
   */
  constructor(from, to = SAMPLE_RATE) {
    for (const rate of [from, to]) {
      if (!Number.isInteger(rate) || rate < 1) {
        throw new HearAudioMLPError("audio", `${rate} is no sample rate; give whole Hz`);
      }
    }
    const divisor = commonDivisor(from, to);
    this.step = from / divisor;
    this.phases = to / divisor;
    if (this.step === this.phases) {
      this.half = 0;
      this.taps = new Float32Array(0);
    } else {
      Object.assign(this, design(from, to, this.phases));
    }
    this.reset();
  }

  /** Forget all input. */
  reset() {
    // Silence before the first sample, as far as its taps reach.
    this.#start = -this.half;
    this.#pending = new Float32Array(this.half);
    this.#received = 0;
    this.#made = 0;
  }

  /**
   * Take the next samples.
   *
   * @param {Float32Array} samples any number of them
   * @returns {Float32Array} the output samples that all their input is known of
   */
  process(samples) {
    if (this.half === 0) return samples.slice();
    this.#append(samples);
    this.#received += samples.length;
    // The last input sample that output m needs is floor(m * step / phases) + half.
    return this.#make(Math.ceil(((this.#received - this.half) * this.phases) / this.step));
  }

  /**
   * End the input.
   *
   * @returns {Float32Array} the remaining output samples; the resampler is as new after this
   */
  flush() {
    if (this.half === 0) return new Float32Array(0);
    this.#append(new Float32Array(this.half));
    const last = this.#make(Math.floor((this.#received * this.phases) / this.step + 0.5));
    this.reset();
    return last;
  }

  #append(samples) {
    const first = Math.floor((this.#made * this.step) / this.phases) - this.half + 1;
    const keep = this.#pending.subarray(Math.min(first - this.#start, this.#pending.length));
    this.#start += this.#pending.length - keep.length;
    const joined = new Float32Array(keep.length + samples.length);
    joined.set(keep);
    joined.set(samples, keep.length);
    this.#pending = joined;
  }

  #make(until) {
    const output = new Float32Array(Math.max(0, until - this.#made));
    const { taps, half, step, phases } = this;
    const input = this.#pending;
    for (let i = 0; i < output.length; i++) {
      const position = this.#made * step;
      const at = Math.floor(position / phases) - half + 1 - this.#start;
      const row = (position % phases) * 2 * half;
      let sum = 0;
      for (let k = 0; k < 2 * half; k++) sum += taps[row + k] * input[at + k];
      output[i] = sum;
      this.#made += 1;
    }
    return output;
  }
}

/**
 * Resample a whole sound.
 *
 * @param {Float32Array} samples mono
 * @param {number} from its samples per second
 * @param {number} [to] the samples per second wanted
 * @returns {Float32Array} `round(samples.length * to / from)` samples
 * @throws {HearAudioMLPError} `audio`
 */
export function resample(samples, from, to = SAMPLE_RATE) {
  if (!(samples instanceof Float32Array)) {
    throw new HearAudioMLPError("audio", "resample takes a Float32Array of mono samples");
  }
  const resampler = new Resampler(from, to);
  const body = resampler.process(samples);
  const rest = resampler.flush();
  const all = new Float32Array(body.length + rest.length);
  all.set(body);
  all.set(rest, body.length);
  return all;
}
