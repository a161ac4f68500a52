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

  /**
   * Take frames, and give their bytes on the scales of all frames so far.
   *
   * @param {Float32Array} frames `[n * size]`
   * @returns {Uint8Array}
   */
  add(frames) {
    const [size, low, high] = [this.size, this.#low, this.#high];
    const values = frames.map(Math.asinh); // compressed: loud sounds would hide all others
    for (let i = 0; i < values.length; i++) {
      const j = i % size;
      if (values[i] < low[j]) low[j] = values[i];
      if (values[i] > high[j]) high[j] = values[i];
    }
    const bytes = new Uint8ClampedArray(values.length);
    for (let i = 0; i < values.length; i++) {
      const range = high[i % size] - low[i % size];
      bytes[i] = range > 0 ? (255 * (values[i] - low[i % size])) / range : 128;
    }
    return new Uint8Array(bytes.buffer);
  }
}
