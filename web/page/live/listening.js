/** In the model's thread: the microphone's sound, recorded and searched for words. */

import { BANDS } from "../lib/model.js";
import { HOP, Spotter } from "../lib/spotter.js";
import { Scaler } from "../model/scaler.js";
import { turn } from "../model/turn.js";

/** Longest recording that is kept, in seconds. */
export const LONGEST = 600;

const RATE = 16_000;
const PIECE = RATE; // samples in a piece of the recording
const METER = RATE / 10; // samples between two levels
const FRESH = HOP * 100; // frames of a window that the one before it didn't have

/** The newest pieces of a recording; older ones are dropped. */
class Recording {
  #pieces = [];
  #last = new Float32Array(PIECE);
  #filled = 0;

  add(samples) {
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + PIECE - this.#filled);
      this.#last.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < PIECE) continue;
      this.#pieces.push(this.#last);
      if (this.#pieces.length > LONGEST) this.#pieces.shift();
      this.#last = new Float32Array(PIECE);
      this.#filled = 0;
    }
  }

  get length() {
    return this.#pieces.length * PIECE + this.#filled;
  }

  /** Give all of it, and forget it. */
  *take() {
    while (this.#pieces.length > 0) yield this.#pieces.shift();
    yield this.#last.subarray(0, this.#filled);
  }
}

/** A microphone that is on. */
export class Listening {
  #port;
  #recording = new Recording();
  #peak = 0;
  #measured = 0;

  /**
   * @param {import("../lib/model.js").HearModel} model
   * @param {{threshold?: number}} settings
   * @param {{port: MessagePort, keep: boolean, announce: (event: object) => void}} ends where samples
   *   come from; whether to listen on when the longest recording is full; `announce` is called with
   *   `window`, `word`, `level`, `full` and `problem` events
   */
  constructor(model, settings, { port, keep, announce }) {
    const scaler = new Scaler(model.timestampEmbeddingSize);
    // Sound comes in between windows, however long the model takes.
    const encode = async (window) => {
      await turn();
      return model.encode(window);
    };
    const { labels, otherLabel } = model;
    this.spotter = new Spotter({ labels, otherLabel, encode }, settings, {
      window: (begin, { frames, levels }, probabilities) => {
        const fresh = frames.subarray(-FRESH * scaler.size);
        scaler.see(fresh);
        announce({
          event: "window",
          end: begin + 1,
          frames: scaler.bytes(fresh),
          levels: levels.slice(-FRESH * BANDS),
          probabilities,
        });
      },
      word: (word) => announce({ event: "word", word: { ...word, start: Math.max(0, word.start) } }),
      problem: ({ code, message }) => announce({ event: "problem", code, message }),
    });
    this.#port = port;
    let full = false;
    port.onmessage = ({ data }) => {
      if (full) return;
      this.#recording.add(data);
      this.spotter.push(data);
      this.#meter(data, announce);
      if (this.spotter.seconds >= LONGEST && !keep) {
        full = true;
        announce({ event: "full" });
      }
    };
  }

  #meter(samples, announce) {
    for (const sample of samples) this.#peak = Math.max(this.#peak, Math.abs(sample));
    this.#measured += samples.length;
    if (this.#measured < METER) return;
    announce({ event: "level", peak: this.#peak, seconds: this.spotter.seconds });
    this.#measured = this.#peak = 0;
  }

  /**
   * @returns {Promise<{pieces: Iterable<Float32Array>, late: number, skipped: number}>} the recording, the
   *   windows that were left out, and the seconds before it that weren't kept
   */
  async stop() {
    this.#port.onmessage = null;
    this.#port.close();
    await this.spotter.stop();
    const skipped = this.spotter.seconds - this.#recording.length / RATE;
    return { pieces: this.#recording.take(), late: this.spotter.late, skipped };
  }
}
