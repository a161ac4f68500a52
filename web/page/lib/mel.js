/**
 * A log-mel spectrogram to look at: the 40 bands and the 10 ms steps that the models work on. Only
 * for drawing; the models compute their own, in the graph.
 *
 * Mel scale and area norm after M. Slaney, "Auditory Toolbox" (Interval Research, 1998), as librosa
 * has them.
 */

import { SAMPLE_RATE } from "./resample.js";

/** Mel bands, the lowest first. */
export const BANDS = 40;

/** Samples from one column to the next. */
export const HOP = 160;

const FRAME = 480;
const FFT = 512;

const LINEAR_HZ = 200 / 3; // Hz per mel below 1 kHz
const LOG_STEP = Math.log(6.4) / 27; // of a mel above it

function toHz(mel) {
  return mel < 15 ? mel * LINEAR_HZ : 1000 * Math.exp(LOG_STEP * (mel - 15));
}

/** For each band: its first bin and its weights from there on. */
function filters() {
  const top = 15 + Math.log(SAMPLE_RATE / 2 / 1000) / LOG_STEP;
  const edges = Array.from({ length: BANDS + 2 }, (_, i) => toHz((top * i) / (BANDS + 1)));
  return Array.from({ length: BANDS }, (_, band) => {
    const [low, centre, high] = edges.slice(band, band + 3);
    const first = Math.ceil((low * FFT) / SAMPLE_RATE);
    const last = Math.floor((high * FFT) / SAMPLE_RATE);
    const weights = Float64Array.from({ length: last - first + 1 }, (_, i) => {
      const hz = ((first + i) * SAMPLE_RATE) / FFT;
      const slope = Math.min((hz - low) / (centre - low), (high - hz) / (high - centre));
      return (Math.max(0, slope) * 2) / (high - low);
    });
    return { first, weights };
  });
}

/** In-place radix-2 transform of `FFT` complex values. */
function transform(re, im) {
  for (let i = 1, j = 0; i < FFT; i++) {
    let bit = FFT >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= FFT; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((-2 * Math.PI * k) / size);
      const sin = Math.sin((-2 * Math.PI * k) / size);
      for (let i = k; i < FFT; i += size) {
        const j = i + half;
        const r = re[j] * cos - im[j] * sin;
        const m = re[j] * sin + im[j] * cos;
        re[j] = re[i] - r;
        im[j] = im[i] - m;
        re[i] += r;
        im[i] += m;
      }
    }
  }
}

/** Turns audio that comes in pieces into columns of band levels in dB. */
export class MelStream {
  #filters = filters();
  #hann = Float64Array.from(
    { length: FRAME },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FRAME),
  );
  #rest = new Float32Array(0);

  /**
   * @param {Float32Array} samples the next ones, at 16 kHz
   * @param {(levels: Float32Array) => void} give called with each new column, `BANDS` values in dB
   */
  push(samples, give) {
    const joined = new Float32Array(this.#rest.length + samples.length);
    joined.set(this.#rest);
    joined.set(samples, this.#rest.length);
    let at = 0;
    for (; at + FRAME <= joined.length; at += HOP) give(this.#levels(joined.subarray(at, at + FRAME)));
    this.#rest = joined.slice(at);
  }

  #levels(frame) {
    const re = new Float64Array(FFT);
    const im = new Float64Array(FFT);
    for (let i = 0; i < FRAME; i++) re[i] = frame[i] * this.#hann[i];
    transform(re, im);
    return Float32Array.from(this.#filters, ({ first, weights }) => {
      let power = 0;
      for (let i = 0; i < weights.length; i++) {
        power += weights[i] * (re[first + i] ** 2 + im[first + i] ** 2);
      }
      return 10 * Math.log10(Math.max(power, 1e-10));
    });
  }
}
