/**
 * The thread that does all the work: it reads and resamples sounds, runs the model, listens, and
 * teaches. Sounds stay here, under the numbers that the page gave them; the page gets what it draws.
 *
 * Each message is `{id, call, ...}`; the answer is `{id, result}` or `{id, problem}`, and before it
 * `{id, progress}`. `{cancel: id}` stops a call after its current block. What comes from the
 * microphone is announced as `{event, ...}`.
 */

import { HearAudioMLPError } from "../lib/errors.js";
import { HearModel } from "../lib/model.js";
import { Collector, readWav } from "../lib/wav.js";
import { softmax } from "../lib/words.js";
import { Listening } from "../live/listening.js";
import { toNpz, toWav } from "../sound/export.js";
import { Classes } from "../teach/classes.js";
import { Scaler } from "./scaler.js";
import { turn } from "./turn.js";

let runtime = null;
let model = null;
let listening = null;
const sounds = new Map(); // {name, samples, rate, channels, duration, result}
const collectors = new Map();
const classes = new Classes();

async function importRuntime({ script }) {
  try {
    runtime = await import(script);
  } catch (problem) {
    throw new HearAudioMLPError(
      "runtime",
      `ONNX Runtime is not at ${script} (${problem.message}); npm install in web/ puts it there`,
      { cause: problem },
    );
  }
}

function prepare({ wasm }) {
  runtime.env.wasm.wasmBinary = wasm;
  runtime.env.wasm.numThreads = 1; // more need headers that a static host doesn't send
}

async function load({ bytes }) {
  const loaded = await HearModel.create(runtime, bytes);
  await model?.close();
  model = loaded;
  const { name, metadata, labels, otherLabel, timestampEmbeddingSize, sceneEmbeddingSize } = model;
  return { name, metadata, labels, otherLabel, timestampEmbeddingSize, sceneEmbeddingSize };
}

/** Bytes of a file, piece by piece. */
function reader(file) {
  return async (begin, end) => new Uint8Array(await file.slice(begin, end).arrayBuffer());
}

/** Read a WAV file; says so if it is another one, which only the page's browser can decode. */
async function read({ sound, file }, { progress }) {
  const found = await readWav(reader(file), file.size, file.name, progress);
  if (found === null) return { foreign: true };
  sounds.set(sound, { name: file.name, ...found });
  return { foreign: false };
}

/** Take the next piece of a sound that the page's browser decoded; the last one has `ends`. */
function gather({ sound, name, rate, channels, frames, piece, ends }) {
  if (!collectors.has(sound)) collectors.set(sound, new Collector(rate, frames));
  const collector = collectors.get(sound);
  collector.add(piece);
  if (!ends) return;
  collectors.delete(sound);
  sounds.set(sound, { name, samples: collector.end(), rate, channels, duration: frames / rate });
}

async function embed({ sound, options }, { progress, signal }) {
  const one = sounds.get(sound);
  const warnings = [];
  const begin = performance.now();
  const warn = (message) => warnings.push(message);
  const result = await model.embed(one.samples, { ...options, warn, progress, signal });
  const took = performance.now() - begin;
  one.result = result;
  return {
    seconds: one.samples.length / 16_000,
    levels: result.levels.slice(),
    frames: new Scaler(model.timestampEmbeddingSize).add(result.embeddings),
    probabilities: softmax(result.logits, model.labels.length),
    logits: result.logits.slice(),
    times: result.logitTimes.slice(),
    words: result.keywords,
    warnings,
    took,
  };
}

const FILES = {
  npz: (sound) => toNpz(sound, model),
  wav: ({ samples }) => toWav(samples),
};

async function listen({ port, threshold, keep }) {
  await listening?.stop();
  listening = new Listening(model, { threshold }, { port, keep, announce: (event) => self.postMessage(event) });
}

/** End the recording, and keep it as a sound. */
async function stopListening({ sound, name }) {
  if (listening === null) throw new HearAudioMLPError("microphone", "nothing is being recorded");
  const { samples, late, skipped } = await listening.stop();
  listening = null;
  const seconds = samples.length / 16_000;
  sounds.set(sound, { name, samples, rate: 16_000, channels: 1, duration: seconds });
  return { seconds, late, skipped };
}

const CALLS = {
  importRuntime,
  prepare,
  load,
  read,
  gather,
  embed,
  listen,
  stopListening,
  time: async ({ windows }) => {
    const begin = performance.now();
    await model.encode(windows);
    return { took: performance.now() - begin };
  },
  whole: async ({ samples, options }) => model.embed(samples, options),
  file: ({ sound, kind }) => FILES[kind](sounds.get(sound)),
  drop: ({ sound }) => void (sounds.delete(sound), collectors.delete(sound)),
  setThreshold: ({ threshold }) => void (listening && (listening.spotter.finder.threshold = threshold)),
  addExample: ({ label, sound }) => classes.add(model, label, sounds.get(sound)),
  removeExamples: ({ label }) => classes.remove(label),
  renameExamples: ({ label, to }) => classes.rename(label, to),
  teach: (_, { progress, signal }) => classes.fit(model, { progress, signal }),
};

// One call after the other: a session runs one block at a time.
let last = Promise.resolve();
const running = new Map();

async function answer(id, call, argument) {
  const { signal } = running.get(id);
  const progress = async (share) => {
    self.postMessage({ id, progress: share });
    await turn();
    signal.throwIfAborted();
  };
  try {
    signal.throwIfAborted();
    const result = (await CALLS[call](argument, { progress, signal })) ?? {};
    const buffers = Object.values(result).filter(ArrayBuffer.isView).map((value) => value.buffer);
    self.postMessage({ id, result }, [...new Set(buffers)]);
  } catch (problem) {
    const { code, name, message } = problem;
    self.postMessage({ id, problem: { code: name === "AbortError" ? "cancelled" : code, message } });
  } finally {
    running.delete(id);
  }
}

self.onmessage = ({ data: { id, cancel, call, ...argument } }) => {
  if (cancel !== undefined) {
    running.get(cancel)?.abort();
    return;
  }
  running.set(id, new AbortController());
  last = last.then(() => answer(id, call, argument));
};
