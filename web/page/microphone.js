/** The microphone, as samples at 16 kHz. */

import { HearAudioMLPError } from "./lib/errors.js";

const WHY = {
  NotAllowedError: "the browser was not allowed to use the microphone",
  NotFoundError: "there is no microphone",
  NotReadableError: "another program has the microphone",
};

/** An open microphone. Make one with {@link Microphone.open}. */
export class Microphone {
  #stream;
  #context;
  #node;

  constructor(stream, context, node) {
    this.#stream = stream;
    this.#context = context;
    this.#node = node;
    this.rate = context.sampleRate;
  }

  /**
   * @param {(samples: Float32Array) => void} give called with each 20 ms of sound
   * @param {() => void} ended called if the device goes away
   * @returns {Promise<Microphone>}
   * @throws {HearAudioMLPError} `microphone`
   */
  static async open(give, ended) {
    if (!navigator.mediaDevices) {
      throw new HearAudioMLPError("microphone", "browsers give the microphone to https pages only");
    }
    let stream;
    try {
      // What makes a call sound better takes away what a model hears.
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (problem) {
      throw new HearAudioMLPError("microphone", WHY[problem.name] ?? problem.message);
    }
    const context = new AudioContext(); // at the device's rate
    try {
      await context.audioWorklet.addModule(new URL("resampler-worklet.js", import.meta.url));
    } catch (problem) {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw new HearAudioMLPError("microphone", `the resampler can't start: ${problem.message}`);
    }
    const node = new AudioWorkletNode(context, "resampler", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => give(data);
    context.createMediaStreamSource(stream).connect(node);
    stream.getAudioTracks()[0].addEventListener("ended", ended);
    await context.resume();
    return new Microphone(stream, context, node);
  }

  /** Give the device back. */
  async close() {
    this.#node.port.onmessage = null;
    this.#node.port.postMessage("stop");
    this.#stream.getTracks().forEach((track) => track.stop());
    await this.#context.close();
  }
}
