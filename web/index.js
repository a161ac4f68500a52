/**
 * Embeddings and keywords in Node. See index.d.ts for the types, README.md for examples.
 */

import { open, readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import { HearAudioMLPError } from "./page/lib/errors.js";
import { HearModel } from "./page/lib/model.js";
import { checkOptions } from "./page/lib/options.js";
import { readWav } from "./page/lib/wav.js";

export { HearAudioMLPError } from "./page/lib/errors.js";
export { HearModel } from "./page/lib/model.js";
export { resample, Resampler, SAMPLE_RATE } from "./page/lib/resample.js";
export { Spotter } from "./page/lib/spotter.js";
export { findWords, softmax, WordFinder } from "./page/lib/words.js";

const RUNTIMES = ["onnxruntime-node", "onnxruntime-web"];

/** Import the first of the named packages that is installed. */
async function findRuntime(wanted) {
  const problems = [];
  for (const name of wanted === undefined ? RUNTIMES : [wanted]) {
    if (!RUNTIMES.includes(name)) {
      throw new HearAudioMLPError("runtime", `runtime is ${RUNTIMES.join(" or ")}, not ${String(name)}`);
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

/** Run `task` on a file; what the system says of it becomes an error that names it. */
async function withFile(file, what, task) {
  if (typeof file !== "string" && !(file instanceof URL)) {
    throw new HearAudioMLPError("file", `${what} has to be a path, a file: URL or a Uint8Array`);
  }
  try {
    // A pipe would be waited for, and a device may have no end.
    if (!(await stat(file)).isFile()) throw new HearAudioMLPError("file", `${what} is not an ordinary file`);
    return await task(file);
  } catch (problem) {
    if (problem instanceof HearAudioMLPError) throw problem;
    throw new HearAudioMLPError("file", `can't read ${what}: ${problem.message}`, { cause: problem });
  }
}

/**
 * Load a model for many sounds.
 *
 * @param {string | URL | Uint8Array} file an ONNX file, or its bytes
 * @param {{runtime?: "onnxruntime-node" | "onnxruntime-web", threads?: number}} [options]
 * @returns {Promise<HearModel>}
 * @throws {HearAudioMLPError} `file`, `model`, `runtime` or `option`
 */
export async function loadModel(file, options) {
  checkOptions(options, ["runtime", "threads"]);
  const { runtime, threads = 1 } = options ?? {};
  const ort = await findRuntime(runtime);
  // Memory that threads share can't be decoded as text.
  const own = (bytes) => (bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
  const bytes = file instanceof Uint8Array ? own(file) : await withFile(file, "the model", readFile);
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
export async function embed(audio, settings) {
  checkOptions(settings, ["model", "runtime", "threads", "hop", "threshold", "hits", "warn", "progress", "signal"]);
  const { model, runtime, threads, ...options } = settings ?? {};
  if (model === undefined) {
    throw new HearAudioMLPError("model", "embed needs a model: { model: 'kwmlp-pipeline.onnx' }");
  }
  options.warn ??= (message) => process.emitWarning(message, "HearAudioMLPWarning");
  if (model instanceof HearModel) return model.embed(audio, options);
  const loaded = await loadModel(model, { runtime, threads });
  try {
    return await loaded.embed(audio, options);
  } finally {
    await loaded.close();
  }
}

/**
 * Read a WAV file.
 *
 * @param {string | URL | Uint8Array} file a WAV file of any rate, depth and number of channels, or its bytes
 * @returns {Promise<{samples: Float32Array, rate: number, channels: number, duration: number}>}
 *   `samples`: mono at 16 kHz; the others are the file's own, seconds for the duration
 * @throws {HearAudioMLPError} `file`
 */
export async function readAudio(file) {
  const read = async (from, size, name) => {
    const found = await readWav(from, size, name);
    if (found !== null) return { ...found, samples: found.samples.subarray().slice() };
    throw new HearAudioMLPError("file", `${name}: not a WAV file with plain samples; convert it, with FFmpeg for instance`);
  };
  if (file instanceof Uint8Array) {
    return read(async (begin, end) => file.subarray(begin, end), file.length, "the WAV file");
  }
  return withFile(file, "the sound", async () => {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      const from = async (begin, end) => {
        const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - begin));
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, begin);
        return bytes.subarray(0, bytesRead);
      };
      return await read(from, size, basename(file instanceof URL ? fileURLToPath(file) : file));
    } finally {
      await handle.close();
    }
  });
}
