/**
 * Band-limited resampling from any rate to any other: a Kaiser-windowed sinc, kept as one row of
 * taps for each of the positions that an output sample can have between two input samples.
 *
 * Cutoff, lengths and shapes are those of soxr's high quality, which the Python package uses; they
 * were fitted to its impulse responses (largest difference: 1.2e-7). Shape of the window:
 * J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", ISCAS 1974.
 */

import { HearAudioMLPError } from "./errors.js";

/** Samples per second of all audio that the models take. */
export const SAMPLE_RATE = 16_000;

/** Where the response has fallen by 6 dB, as a share of the lower rate's half. */
const CUTOFF = 0.95687;

/** Where 44.1 kHz and its relatives have the response of two filters, one after the other. */
const BETWEEN = 2.756_25;

/**
 * Filters by the ratio of the rates: length to each side, in samples of the lower rate, and the
 * shape of its window. Where the ratio isn't one of small numbers, soxr interpolates between the
 * samples of an intermediate rate (as a multiple of the lower one) with a second, short filter,
 * whose lengths are in samples of that rate.
 */
const SHAPES = {
  "1:2": { reach: 389 / 4, beta: 13.04 },
  "2:1": { reach: 389 / 4, beta: 13.04 },
  "3:1": { reach: 581 / 6, beta: 13.04 },
  "3:2": { reach: 581 / 6, beta: 13.04 },
  "3:4": { reach: 777 / 8, beta: 13.04 },
  "4:1": { reach: 818 / 8, beta: 13.711 },
  "6:1": { reach: 1218 / 12, beta: 13.711 },
  "12:1": { reach: 104.835, beta: 14.1046 },
  "441:80": {
    reach: 589 / 2 / BETWEEN,
    beta: 14.383,
    second: { rate: BETWEEN, cutoff: 0.8942, reach: 6, beta: 14.07 },
  },
  "441:160": {
    reach: 561 / 2 / BETWEEN,
    beta: 13.7113,
    second: { rate: BETWEEN, cutoff: 0.894_39, reach: 6, beta: 14.061 },
  },
  "441:320": {
    reach: 561 / 2 / BETWEEN,
    beta: 13.7113,
    second: { rate: BETWEEN, cutoff: 0.894_39, reach: 6, beta: 14.061 },
  },
  "441:640": {
    reach: 409 / 4,
    beta: 13.7112,
    second: { rate: 2, cutoff: 0.908_91, reach: 7.5, beta: 14.0593 },
  },
};

/** For all other ratios: nothing above the lower rate's half is less than 125 dB down. */
const OTHER = { reach: 97, beta: 13.04 };

/** Taps that are held at most, 256 MB of them: rates with a common divisor need far fewer. */
const MOST_TAPS = 1 << 26;

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

/** A Kaiser-windowed sinc, `t` samples from its middle; not normalized. */
function kaiser(t, cutoff, reach, beta) {
  const edge = 1 - (t / reach) ** 2;
  if (edge < 0) return 0;
  const x = Math.PI * cutoff * t;
  return (x === 0 ? 1 : Math.sin(x) / x) * besselI0(beta * Math.sqrt(edge));
}

/**
 * The response `t` samples of the lower rate from its middle, as a function; not normalized. With a second
 * filter, an input sample `at` samples of the lower rate behind the first one is passed on by those samples between
 * the filters that aren't before the first one either, as in soxr.
 */
function response({ reach, beta, second }) {
  if (second === undefined) return (t) => kaiser(t, CUTOFF, reach, beta);
  const { rate } = second;
  const width = Math.ceil(second.reach);
  const middle = Math.ceil(reach * rate);
  const first = Float64Array.from({ length: 2 * middle + 1 }, (_, i) =>
    kaiser((i - middle) / rate, CUTOFF, reach, beta),
  );
  const weights = new Map(); // of the second filter, by the place between two samples
  return (t, at = Infinity) => {
    const whole = Math.floor(t * rate + 1e-9);
    const place = Math.round((t * rate - whole) * 1e9) / 1e9;
    if (!weights.has(place)) {
      const row = Float64Array.from({ length: 2 * width }, (_, i) =>
        kaiser(place + width - 1 - i, second.cutoff, second.reach, second.beta),
      );
      weights.set(place, row);
    }
    const row = weights.get(place);
    const end = Math.min(row.length, Math.floor(at * rate + 1e-9) - whole + width);
    let sum = 0;
    for (let i = 0; i < end; i++) sum += row[i] * (first[whole - width + 1 + i + middle] ?? 0);
    return sum;
  };
}

/**
 * Taps for `phases` positions between two samples, `2 * half` each, one row after the other; and before them
 * those of the first samples of the output, where they differ: `starts`.
 */
function design(step, phases) {
  const scale = Math.min(1, phases / step); // samples of the lower rate in one of the input
  const shape = SHAPES[`${step}:${phases}`] ?? OTHER;
  const beside = shape.second === undefined ? 0 : shape.second.reach / shape.second.rate;
  const half = Math.ceil((shape.reach + beside) / scale);
  if (phases * 2 * half > MOST_TAPS) {
    throw new HearAudioMLPError("audio", "these two sample rates have too small a common divisor; resample in two steps");
  }
  const taps = new Float32Array(phases * 2 * half);
  const row = new Float64Array(2 * half);
  const at = response(shape);
  const sums = new Float64Array(phases);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let k = 0; k < 2 * half; k++) {
      // From the output sample to this input sample.
      row[k] = at((k - half + 1 - phase / phases) * scale);
      sum += row[k];
    }
    sums[phase] = sum;
    // Rows that differ in their sums would turn a constant into a tone.
    for (let k = 0; k < 2 * half; k++) taps[phase * 2 * half + k] = row[k] / sum;
  }
  const starts = [];
  const end = step < 4 * phases ? beside : 0; // soxr halves higher rates first, which changes more
  for (let m = 0; m * step * scale < end * phases; m++) {
    const position = m * step;
    const first = Math.floor(position / phases) - half + 1;
    const begin = (input) => at((input - position / phases) * scale, input * scale) / sums[position % phases];
    starts.push(Float32Array.from({ length: 2 * half }, (_, k) => (first + k < 0 ? 0 : begin(first + k))));
  }
  return { taps, half, starts };
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
   * @throws {HearAudioMLPError} `audio`, if a rate is no positive whole number, or their common divisor is too small
   */
  constructor(from, to = SAMPLE_RATE) {
    for (const rate of [from, to]) {
      if (!Number.isInteger(rate) || rate < 1) {
        throw new HearAudioMLPError("audio", `${String(rate)} is no sample rate; give whole Hz`);
      }
    }
    const divisor = commonDivisor(from, to);
    this.step = from / divisor;
    this.phases = to / divisor;
    if (this.step === this.phases) {
      this.half = 0;
      this.taps = new Float32Array(0);
      this.starts = [];
    } else {
      Object.assign(this, design(this.step, this.phases));
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
   * @throws {HearAudioMLPError} `audio`
   */
  process(samples) {
    if (!(samples instanceof Float32Array)) {
      throw new HearAudioMLPError("audio", "a Resampler takes Float32Arrays of mono samples");
    }
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
    const { taps, half, starts, step, phases } = this;
    const input = this.#pending;
    for (let i = 0; i < output.length; i++) {
      const position = this.#made * step;
      const at = Math.floor(position / phases) - half + 1 - this.#start;
      const start = starts[this.#made];
      const row = start === undefined ? (position % phases) * 2 * half : 0;
      const weights = start ?? taps;
      let sum = 0;
      for (let k = 0; k < 2 * half; k++) sum += weights[row + k] * input[at + k];
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
  const resampler = new Resampler(from, to);
  const body = resampler.process(samples);
  const rest = resampler.flush();
  const all = new Float32Array(body.length + rest.length);
  all.set(body);
  all.set(rest, body.length);
  return all;
}
