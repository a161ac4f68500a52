/** The page's end of the thread in worker.js. */

import { HearAudioMLPError } from "../lib/errors.js";

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

/** Calls into the thread. */
export class Engine {
  #worker = start();
  #waiting = new Map();
  #next = 0;

  /** @param {(event: object) => void} announced called with what comes from the microphone */
  constructor(announced = () => {}) {
    this.#worker.onmessage = ({ data: { id, progress, result, problem, ...event } }) => {
      if (id === undefined) {
        announced(event);
        return;
      }
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
  }

  /**
   * Call a function of the thread by its name.
   *
   * @param {string} name see CALLS in worker.js
   * @param {object} [argument]
   * @param {object} [options] `transfer`: what is handed over; `progress`: called with the share
   *   done; `signal`: an AbortSignal that stops it after the current block
   * @returns {Promise<any>}
   * @throws {HearAudioMLPError} `cancelled`, and whatever the function throws
   */
  call(name, argument = {}, { transfer = [], progress, signal } = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      this.#worker.postMessage({ id, call: name, ...argument }, transfer);
      signal?.addEventListener("abort", () => this.#worker.postMessage({ cancel: id }));
      if (signal?.aborted) this.#worker.postMessage({ cancel: id });
    });
  }
}
