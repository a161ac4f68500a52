/** Runs on the audio thread: averages the channels, resamples to 16 kHz, posts the samples. */

import { Resampler } from "./lib/resample.js";

/** Samples at 16 kHz in a message: 20 ms. */
const BATCH = 320;

class ResamplerProcessor extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate);
  #batch = new Float32Array(BATCH);
  #filled = 0;
  #on = true;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#on = false;
    };
  }

  process([input]) {
    const channels = input.length;
    if (channels > 0) {
      const mono = new Float32Array(input[0].length);
      for (const channel of input) {
        for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / channels;
      }
      for (const sample of this.#resampler.process(mono)) {
        this.#batch[this.#filled++] = sample;
        if (this.#filled === BATCH) {
          this.port.postMessage(this.#batch);
          this.#filled = 0;
        }
      }
    }
    return this.#on;
  }
}

registerProcessor("resampler", ResamplerProcessor);
