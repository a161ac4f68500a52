/**
 * Embeddings and keywords in Node. See index.d.ts for the types, README.md for examples.
 */

import { readFile } from "node:fs/promises";

import { HearAudioMLPError } from "./page/lib/errors.js";
import { HearModel } from "./page/lib/model.js";

export { HearAudioMLPError } from "./page/lib/errors.js";
export { HearModel } from "./page/lib/model.js";
export { resample, Resampler, SAMPLE_RATE } from "./page/lib/resample.js";
export { findWords, softmax, WordFinder } from "./page/lib/words.js";

const RUNTIMES = ["onnxruntime-node", "onnxruntime-web"];

/** Import the first of the named packages that is installed. */
async function findRuntime(wanted) {
  const problems = [];
  for (const name of wanted === undefined ? RUNTIMES : [wanted]) {
    if (!RUNTIMES.includes(name)) {
      throw new HearAudioMLPError("runtime", `runtime is ${RUNTIMES.join(" or ")}, not ${name}`);
    }
    try {
      const module = await import(name);
      return module.InferenceSession ? module : module.default;
    } catch (problem) {
      problems.push(problem.message);
    }
  }
  throw new HearAudioMLPError(
    "runtime",
    `ONNX Runtime can't be loaded: npm install onnxruntime-node, or onnxruntime-web where that ` +
      `has no binary (${problems.join("; ")})`,
  );
}

/**
 * Load a model for many sounds.
 *
 * @param {string | URL | Uint8Array} file an ONNX file, or its bytes
 * @param {{runtime?: "onnxruntime-node" | "onnxruntime-web", threads?: number}} [options]
 * @returns {Promise<HearModel>}
 */
export async function loadModel(file, { runtime, threads = 1 } = {}) {
  let bytes = file;
  if (!(file instanceof Uint8Array)) {
    try {
      bytes = await readFile(file);
    } catch (problem) {
      throw new HearAudioMLPError("file", `can't read the model: ${problem.message}`, {
        cause: problem,
      });
    }
  }
  const ort = await findRuntime(runtime);
  // The web assembly takes threads from its environment, and reads it when it starts.
  if (ort.env.wasm) ort.env.wasm.numThreads = threads;
  return HearModel.create(ort, bytes, { intraOpNumThreads: threads });
}

/**
 * Embed one sound.
 *
 * @param {Float32Array} audio mono at 16 kHz in [-1, 1]
 * @param {object} options `model`: a HearModel, or a file for this one call
 */
export async function embed(audio, { model, runtime, threads, ...options } = {}) {
  if (model === undefined) {
    throw new HearAudioMLPError("model", "embed needs a model: { model: 'kwmlp-pipeline.onnx' }");
  }
  const warn = options.warn ?? ((message) => process.emitWarning(message, "HearAudioMLPWarning"));
  if (model instanceof HearModel) return model.embed(audio, { warn, ...options });
  const loaded = await loadModel(model, { runtime, threads });
  try {
    return await loaded.embed(audio, { warn, ...options });
  } finally {
    await loaded.close();
  }
}
