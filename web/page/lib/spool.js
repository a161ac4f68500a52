/** Bytes that are kept in memory; more of them go to a file, where there is one to be had. */
const MOST = 1 << 24;

/**
 * Numbers that come in pieces, as many as come. A few are in memory; many are in a file, if `overflow`
 * gives one, so that a long sound takes no more memory than a short one.
 */
export class Spool {
  #kind;
  #memory;
  #overflow;
  #file = null;

  /** Numbers so far. */
  length = 0;

  /**
   * @param {Float32ArrayConstructor | Uint8ArrayConstructor} kind of the numbers
   * @param {object} [options]
   * @param {number} [options.capacity] how many there will be, if that is known
   * @param {() => Promise<object | null>} [options.overflow] a new file: {write, read, blob, remove} as
   *   in scratch.js; null where there is none
   */
  constructor(kind, { capacity = 0, overflow } = {}) {
    this.#kind = kind;
    this.#overflow = overflow;
    const bytes = capacity * kind.BYTES_PER_ELEMENT;
    this.#memory = new kind(overflow && bytes > MOST ? 0 : capacity);
  }

  /** @param {Float32Array | Uint8Array} values the next ones */
  async append(values) {
    const length = this.length + values.length;
    const size = this.#kind.BYTES_PER_ELEMENT;
    if (this.#file === null && this.#overflow && length * size > MOST) {
      this.#file = await this.#overflow();
      this.#overflow = undefined;
      if (this.#file !== null) this.#moveToFile();
    }
    if (this.#file !== null && !this.#file.write(values, this.length * size)) this.#moveToMemory();
    if (this.#file === null) {
      if (length > this.#memory.length) this.#grow(2 * length);
      this.#memory.set(values, this.length);
    }
    this.length = length;
  }

  #grow(capacity) {
    const larger = new this.#kind(capacity);
    larger.set(this.#memory.subarray(0, this.length));
    this.#memory = larger;
  }

  #moveToFile() {
    if (!this.#file.write(this.#memory.subarray(0, this.length), 0)) {
      this.#file.remove();
      this.#file = null;
    } else this.#memory = new this.#kind(0);
  }

  /** The disk is full. */
  #moveToMemory() {
    const memory = new this.#kind(2 * this.length);
    this.#file.read(memory.subarray(0, this.length), 0);
    this.#file.remove();
    this.#file = null;
    this.#memory = memory;
  }

  /** The numbers from `begin` to `end`: not to be changed. */
  subarray(begin = 0, end = this.length) {
    const [from, to] = [begin, end].map((at) => Math.min(this.length, at));
    if (this.#file === null) return this.#memory.subarray(from, to);
    const values = new this.#kind(Math.max(0, to - from));
    this.#file.read(values, from * this.#kind.BYTES_PER_ELEMENT);
    return values;
  }

  /** Give the first `count` numbers, in pieces of `size`. */
  *pieces(size, count = this.length) {
    for (let begin = 0; begin < count; begin += size) yield this.subarray(begin, Math.min(count, begin + size));
  }

  /** @returns {Promise<Blob>} their bytes */
  async blob(count = this.length) {
    const bytes = count * this.#kind.BYTES_PER_ELEMENT;
    return this.#file === null ? new Blob([this.subarray(0, count)]) : (await this.#file.blob()).slice(0, bytes);
  }

  /** Forget them. */
  remove() {
    this.#file?.remove();
    this.#file = null;
    this.#memory = new this.#kind(0);
    this.length = 0;
  }
}
