/** One way to embed sounds for each place where the model can run, Chromium included. */

import { readFileSync } from "node:fs";

import { loadModel } from "../index.js";
import { launch } from "./browser.js";
import { serve } from "./serve.js";

function toBase64(samples) {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString("base64");
}

function fromBase64(text) {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** In the page: its own engine, worker, runtime and policy; sounds come and go as base64. */
async function inChromium(file) {
  const { url, close: stop } = await serve({ files: { "models/under-test.onnx": file } });
  const { browser, close } = await launch();
  const page = await browser.newPage();
  await page.goto(url);
  await page.evaluate(async () => {
    const { engine, prepare } = await import("./model/choice.js");
    await prepare();
    const bytes = new Uint8Array(await (await fetch("models/under-test.onnx")).arrayBuffer());
    await engine.call("load", { bytes });
    globalThis.engine = engine;
  });
  const embed = async (samples, options) => {
    const answer = await page.evaluate(
      async ({ text, options }) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const samples = new Float32Array(bytes.buffer);
        const result = await globalThis.engine.call("whole", { samples, options });
        const encode = (array) => {
          const raw = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
          let characters = "";
          for (let i = 0; i < raw.length; i += 8192) {
            characters += String.fromCharCode(...raw.subarray(i, i + 8192));
          }
          return btoa(characters);
        };
        const { embeddings, timestamps, scene, logits } = result;
        return [embeddings, timestamps, scene, logits].map(encode);
      },
      { text: toBase64(samples), options },
    );
    const [embeddings, timestamps, scene, logits] = answer.map(fromBase64);
    return { embeddings, timestamps, scene, logits };
  };
  /** Milliseconds of runs of the encoder on whole windows, each measured in the page. */
  const times = (samples, runs) =>
    page.evaluate(
      async ({ text, runs }) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const sound = new Float32Array(bytes.buffer);
        const took = [];
        for (let i = 0; i < runs; i++) took.push((await globalThis.engine.call("time", { windows: sound })).took);
        return took;
      },
      { text: toBase64(samples), runs },
    );
  return {
    embed,
    times,
    close: async () => {
      await close();
      stop();
    },
  };
}

/** A whole-pipeline graph as it is in the file, run by Node's ONNX Runtime. */
export async function openGraph(file, runtime) {
  const module = await import(runtime);
  const { InferenceSession, Tensor } = module.InferenceSession ? module : module.default;
  const session = await InferenceSession.create(new Uint8Array(readFileSync(file)));
  return {
    run: async (samples) => {
      const output = await session.run({ audio: new Tensor("float32", samples, [1, samples.length]) });
      return {
        embeddings: output.timestamp_embeddings.data,
        scene: output.scene_embeddings.data,
        logits: output.keyword_logits?.data ?? new Float32Array(0),
      };
    },
    close: () => session.release(),
  };
}

async function inNode(file, runtime) {
  const model = await loadModel(file, { runtime });
  const times = async (samples, runs) => {
    const took = [];
    for (let i = 0; i < runs; i++) {
      const begin = performance.now();
      await model.encode(samples);
      took.push(performance.now() - begin);
    }
    return took;
  };
  return {
    embed: (samples, options) => model.embed(samples, options),
    times,
    close: () => model.close(),
  };
}

/** Where a model can run. */
export const RUNTIMES = ["onnxruntime-node", "onnxruntime-web", "chromium"];

/**
 * @param {string} file an ONNX file
 * @param {string} runtime one of RUNTIMES
 */
export async function open(file, runtime) {
  if (!RUNTIMES.includes(runtime)) throw new Error(`runtime is one of ${RUNTIMES.join(", ")}`);
  return runtime === "chromium" ? inChromium(file) : inNode(file, runtime);
}
