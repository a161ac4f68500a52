/** Loud sounds would hide all others. */
const compress = (value) => Math.fround(Math.asinh(value));

/** Embeddings as bytes to draw: each value on its own scale, since audiomae's follow the raw power. */
export class Scaler {
  #low;
  #high;

  /** @param {number} size values of a frame */
  constructor(size) {
    this.size = size;
    this.#low = new Float32Array(size).fill(Infinity);
    this.#high = new Float32Array(size).fill(-Infinity);
  }

  /** Take frames, `[n * size]`, into account. */
  see(frames) {
    const [size, low, high] = [this.size, this.#low, this.#high];
    for (let i = 0; i < frames.length; i++) {
      const j = i % size;
      const value = compress(frames[i]);
      if (value < low[j]) low[j] = value;
      if (value > high[j]) high[j] = value;
    }
  }

  /**
   * The bytes of frames on the scales of all that were seen.
   *
   * @param {Float32Array} frames `[n * size]`
   * @returns {Uint8Array}
   */
  bytes(frames) {
    const [size, low, high] = [this.size, this.#low, this.#high];
    const bytes = new Uint8ClampedArray(frames.length);
    for (let i = 0; i < frames.length; i++) {
      const range = high[i % size] - low[i % size];
      bytes[i] = range > 0 ? (255 * (compress(frames[i]) - low[i % size])) / range : 128;
    }
    return new Uint8Array(bytes.buffer);
  }
}
