/** Rows of numbers on a time axis: one row every `step` seconds, as many as come. */
export class Track {
  #data;
  #first = 0; // the row that the data begins with

  /**
   * @param {number} size values in a row
   * @param {number} step seconds from row to row
   * @param {{begin?: number, kind?: Float32ArrayConstructor | Uint8ArrayConstructor}} [options]
   *   time of the first row; kind of the numbers
   */
  constructor(size, step, { begin = 0, kind = Float32Array } = {}) {
    this.size = size;
    this.step = step;
    this.begin = begin;
    this.length = 0;
    this.kind = kind;
    this.#data = new kind(0);
  }

  /** Take `values` as all rows that there are. */
  replace(values) {
    this.#data = values;
    this.#first = 0;
    this.length = this.size > 0 ? values.length / this.size : 0;
  }

  /** Put `values`, one row or several, at row `index`, which is kept or a new one; gaps are zero. */
  set(index, values) {
    const at = Math.max(0, index - this.#first);
    const end = at * this.size + values.length;
    if (end > this.#data.length) {
      const larger = new this.kind(2 * end + 1024 * this.size);
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data.set(values, at * this.size);
    this.length = Math.max(this.length, this.#first + end / this.size);
  }

  /** Forget all but the last `rows`, now and then. */
  keep(rows) {
    const kept = this.length - this.#first;
    if (kept < 2 * rows) return;
    this.#data.copyWithin(0, (kept - rows) * this.size, kept * this.size);
    this.#data.fill(0, rows * this.size);
    this.#first = this.length - rows;
  }

  row(index) {
    const at = (index - this.#first) * this.size;
    return this.#data.subarray(Math.max(0, at), Math.max(0, at + this.size));
  }

  /** The rows from `first` to `end`, and where the first of them is: older ones may be forgotten. */
  rows(first, end) {
    const from = Math.max(first, this.#first);
    const to = Math.min(end, this.length);
    return { from, values: this.#data.subarray((from - this.#first) * this.size, (to - this.#first) * this.size) };
  }
}
