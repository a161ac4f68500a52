/** Rows of numbers on a time axis: one row every `step` seconds, as many as come. */
export class Track {
  #data;

  /**
   * @param {number} size values in a row
   * @param {number} step seconds from row to row
   * @param {number} [begin] time of the first row
   */
  constructor(size, step, begin = 0) {
    this.size = size;
    this.step = step;
    this.begin = begin;
    this.length = 0;
    this.#data = new Float32Array(1024 * size);
  }

  /** Put `values`, one row or several, at row `index`; what lies between is zero. */
  set(index, values) {
    const end = index + values.length / this.size;
    if (end * this.size > this.#data.length) {
      const larger = new Float32Array(2 * end * this.size);
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data.set(values, index * this.size);
    this.length = Math.max(this.length, end);
  }

  push(values) {
    this.set(this.length, values);
  }

  row(index) {
    return this.#data.subarray(index * this.size, (index + 1) * this.size);
  }
}
