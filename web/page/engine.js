/** The page's end of the thread in worker.js. */

import { HearAudioMLPError } from "./lib/errors.js";

/**
 * Start the thread. A worker from an address of its own would have no content security policy on a
 * static host; one from a blob inherits the page's, so that it can't send anything anywhere either.
 */
function start() {
  const script = new URL("worker.js", import.meta.url).href;
  const source = new Blob([`import ${JSON.stringify(script)};`], { type: "text/javascript" });
  const url = URL.createObjectURL(source);
  return new Worker(url, { type: "module" });
}

/** Calls into the model's thread. */
export class Engine {
  #worker = start();
  #waiting = new Map();
  #next = 0;

  #prepared;

  /** @param {{script: string, wasm: string}} runtime ONNX Runtime's files, relative to the page */
  constructor({ script, wasm }) {
    this.#worker.onmessage = ({ data: { id, result, problem, progress } }) => {
      const waiting = this.#waiting.get(id);
      if (progress !== undefined) {
        waiting.progress?.(progress);
        return;
      }
      this.#waiting.delete(id);
      if (problem === undefined) waiting.resolve(result);
      else waiting.reject(new HearAudioMLPError(problem.code ?? "runtime", problem.message));
    };
    this.#worker.onerror = (event) => {
      const problem = new HearAudioMLPError("runtime", event.message || "worker.js can't be loaded");
      for (const waiting of this.#waiting.values()) waiting.reject(problem);
      this.#waiting.clear();
    };
    const full = (path) => new URL(path, import.meta.url).href;
    this.#prepared = this.#call("prepare", { script: full(script), wasm: full(wasm) });
    this.#prepared.catch(() => {}); // load() tells of it
  }

  #call(call, argument, { transfer = [], progress } = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      this.#worker.postMessage({ id, call, ...argument }, transfer);
    });
  }

  /**
   * @param {Uint8Array} bytes of the model; they are handed over
   * @returns {Promise<object>} what the model says of itself
   */
  async load(bytes) {
    await this.#prepared;
    return this.#call("load", { bytes }, { transfer: [bytes.buffer] });
  }

  /** Run the graph once; see HearModel.run. */
  run(samples) {
    return this.#call("run", { samples });
  }

  /** Embed a sound of any length; see HearModel.embed. */
  embed(samples, options = {}, progress = undefined) {
    return this.#call("embed", { samples, options }, { progress });
  }
}
