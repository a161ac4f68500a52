/**
 * The model's own thread, so that drawing and the microphone never wait for it. Each message is
 * `{id, call, ...}`; the answer is `{id, result}` or `{id, problem}`, or `{id, progress}` before it.
 */

import { HearAudioMLPError } from "./lib/errors.js";
import { HearModel } from "./lib/model.js";

let model = null;
let runtime = null;

async function prepare({ script, wasm }) {
  try {
    runtime = await import(script);
  } catch (problem) {
    throw new HearAudioMLPError(
      "runtime",
      `ONNX Runtime is not at ${script} (${problem.message}); npm install in web/ puts it there`,
      { cause: problem },
    );
  }
  runtime.env.wasm.wasmPaths = { wasm };
  runtime.env.wasm.numThreads = 1; // more need headers that a static host doesn't send
  return {};
}

async function load({ bytes }) {
  const loaded = await HearModel.create(runtime, bytes);
  await model?.close();
  model = loaded;
  const { name, metadata, labels, timestampEmbeddingSize, sceneEmbeddingSize } = model;
  return { name, metadata, labels, timestampEmbeddingSize, sceneEmbeddingSize };
}

const CALLS = {
  prepare,
  load,
  run: ({ samples }) => model.run(samples),
  async embed({ samples, options }, progress) {
    const warnings = [];
    const warn = (message) => warnings.push(message);
    return { ...(await model.embed(samples, { ...options, warn, progress })), warnings };
  },
};

// One call after the other: a session runs one sound at a time.
let last = Promise.resolve();

self.onmessage = ({ data: { id, call, ...argument } }) => {
  const progress = (share) => self.postMessage({ id, progress: share });
  last = last.then(async () => {
    try {
      const begin = performance.now();
      const result = await CALLS[call](argument, progress);
      const buffers = Object.values(result)
        .filter((value) => ArrayBuffer.isView(value))
        .map((value) => value.buffer);
      const took = performance.now() - begin;
      self.postMessage({ id, result: { ...result, took } }, [...new Set(buffers)]);
    } catch (problem) {
      const { code, message } = problem;
      self.postMessage({ id, problem: { code, message } });
    }
  });
};
