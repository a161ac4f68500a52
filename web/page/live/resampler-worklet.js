/** Runs on the audio thread: averages the channels, resamples to 16 kHz, posts the samples. */

import { Resampler } from "../lib/resample.js";

/** Samples at 16 kHz in a message: 40 ms. */
const BATCH = 640;

class ResamplerProcessor extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate);
  #batch = new Float32Array(BATCH);
  #filled = 0;
  #out = null;
  #on = true;

  constructor() {
    super();
    // The page gives a port to the model's thread, so that samples don't pass through the page.
    this.port.onmessage = ({ data }) => {
      if (data === "stop") this.#on = false;
      else this.#out = data;
    };
  }

  process([input]) {
    const channels = input.length;
    if (channels > 0 && this.#out !== null) {
      const mono = new Float32Array(input[0].length);
      for (const channel of input) {
        for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / channels;
      }
      for (const sample of this.#resampler.process(mono)) {
        this.#batch[this.#filled++] = sample;
        if (this.#filled === BATCH) {
          this.#out.postMessage(this.#batch);
          this.#filled = 0;
        }
      }
    }
    return this.#on;
  }
}

registerProcessor("resampler", ResamplerProcessor);
