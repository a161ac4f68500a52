/** The microphone, as samples at 16 kHz that go straight to the model's thread. */

import { HearAudioMLPError } from "../lib/errors.js";

const WHY = {
  NotAllowedError: "the browser was not allowed to use the microphone",
  NotFoundError: "there is no microphone",
  OverconstrainedError: "this microphone is not connected any more; choose another one in the settings",
  NotReadableError: "another program is using the microphone",
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
    this.label = stream.getAudioTracks()[0].label;
  }

  /**
   * @param {MessagePort} port gets a Float32Array for each 40 ms of sound; it is handed over
   * @param {{device?: string, lost: () => void}} options `device`: which microphone, by its
   *   deviceId; `lost` is called if the device goes away
   * @returns {Promise<Microphone>}
   * @throws {HearAudioMLPError} `microphone`
   */
  static async open(port, { device, lost }) {
    if (!navigator.mediaDevices) {
      throw new HearAudioMLPError("microphone", "browsers give the microphone to https pages only");
    }
    let stream;
    try {
      // What makes a call sound better takes away what a model hears.
      const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({
        audio: device ? { ...plain, deviceId: { exact: device } } : plain,
      });
    } catch (problem) {
      throw new HearAudioMLPError("microphone", WHY[problem.name] ?? problem.message);
    }
    const context = new AudioContext(); // at the device's rate
    const node = await Microphone.#resampler(context).catch(async (problem) => {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw new HearAudioMLPError("microphone", `the resampler can't start: ${problem.message}`);
    });
    node.port.postMessage(port, [port]);
    context.createMediaStreamSource(stream).connect(node);
    stream.getAudioTracks()[0].addEventListener("ended", lost);
    await context.resume();
    return new Microphone(stream, context, node);
  }

  static async #resampler(context) {
    await context.audioWorklet.addModule(new URL("resampler-worklet.js", import.meta.url));
    return new AudioWorkletNode(context, "resampler", { numberOfOutputs: 0 });
  }

  /** Microphones to choose from; browsers name them once one has been allowed. */
  static async list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId !== "");
  }

  /** Give the device back. */
  async close() {
    this.#node.port.postMessage("stop");
    this.#stream.getTracks().forEach((track) => track.stop());
    await this.#context.close();
  }
}
