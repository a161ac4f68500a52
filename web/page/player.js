/** Plays samples once, and tells where it is. */
export class Player {
  #context = new AudioContext();
  #source;
  #end;
  #on = true;

  /**
   * @param {Float32Array} samples
   * @param {number} rate
   * @param {number} from seconds at which to begin
   * @param {{at: (seconds: number) => void, end: () => void}} listeners
   */
  constructor(samples, rate, from, { at, end }) {
    this.#end = end;
    const buffer = this.#context.createBuffer(1, Math.max(1, samples.length), rate);
    buffer.copyToChannel(samples, 0);
    this.#source = new AudioBufferSourceNode(this.#context, { buffer });
    this.#source.connect(this.#context.destination);
    this.#source.onended = () => this.stop();
    const begin = this.#context.currentTime;
    this.#source.start(0, from);
    const tell = () => {
      if (!this.#on) return;
      at(from + this.#context.currentTime - begin);
      requestAnimationFrame(tell);
    };
    tell();
  }

  stop() {
    if (!this.#on) return;
    this.#on = false;
    this.#source.onended = null;
    this.#source.stop();
    this.#context.close();
    this.#end();
  }
}
