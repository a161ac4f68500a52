/**
 * The thread that does all the work: it reads and resamples sounds, runs the model, listens, and
 * teaches. Sounds stay here, under the numbers that the page gave them, long ones in files; the page
 * gets what it draws.
 *
 * Each message is `{id, call, ...}`; the answer is `{id, result}` or `{id, problem}`, and before it
 * `{id, progress}`. `{cancel: id}` stops a call after its current block. What comes from the
 * microphone is announced as `{event, ...}`.
 */

import { HearAudioMLPError } from "../lib/errors.js";
import { HearModel } from "../lib/model.js";
import { Spool } from "../lib/spool.js";
import { Collector, readWav } from "../lib/wav.js";
import { softmax } from "../lib/words.js";
import { Listening } from "../live/listening.js";
import { toNpz, toWav } from "../sound/export.js";
import { scratch, sweep } from "../sound/scratch.js";
import { readStream } from "../sound/stream.js";
import { Classes } from "../teach/classes.js";
import { Scaler } from "./scaler.js";
import { turn } from "./turn.js";

let runtime = null;
let model = null;
let listening = null;
const sounds = new Map(); // {name, samples, rate, channels, duration, rows, result, wav}
const collectors = new Map();
const classes = new Classes();

/** Bytes from which on a file isn't decoded whole: at the lowest rates in use, minutes of sound. */
const LARGE = 1 << 18;

/** Frames that are made to bytes at a time. */
const BLOCK = 4096;

/** Numbers that may be many. */
const spool = () => new Spool(Float32Array, { overflow: scratch });

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
  const { name, metadata, labels, otherLabel, keywordThreshold, timestampEmbeddingSize, sceneEmbeddingSize } = model;
  return { name, metadata, labels, otherLabel, keywordThreshold, timestampEmbeddingSize, sceneEmbeddingSize };
}

/** Bytes of a file, piece by piece. */
function reader(file) {
  return async (begin, end) => new Uint8Array(await file.slice(begin, end).arrayBuffer());
}

/** Read a WAV file, or a large one of another kind; says so if only the page's browser can decode it. */
async function read({ sound, file }, { progress, signal }) {
  const options = { progress, signal, overflow: scratch };
  let found = await readWav(reader(file), file.size, file.name, options);
  if (found === null && file.size > LARGE) found = await readStream(file, options);
  if (found === null) return { foreign: true };
  sounds.set(sound, { name: file.name, ...found });
  return { foreign: false };
}

/** Take the next piece of a sound that the page's browser decoded; the last one has `ends`. */
async function gather({ sound, name, rate, channels, frames, piece, ends }) {
  if (!collectors.has(sound)) collectors.set(sound, new Collector(rate, spool()));
  const collector = collectors.get(sound);
  await collector.add(piece);
  if (!ends) return;
  await collector.end();
  collectors.delete(sound);
  sounds.set(sound, { name, samples: collector.samples, rate, channels, duration: frames / rate });
}

function drop({ sound }) {
  const { samples, rows, wav } = sounds.get(sound) ?? {};
  for (const kept of [samples, rows, wav?.bytes, collectors.get(sound)?.samples]) kept?.remove();
  sounds.delete(sound);
  collectors.delete(sound);
}

async function embed({ sound, options }, { progress, signal }) {
  const one = sounds.get(sound);
  const warnings = [];
  const begin = performance.now();
  const warn = (message) => warnings.push(message);
  one.rows?.remove();
  one.rows = spool();
  const result = await model.embedInto(one.rows, one.samples, { ...options, warn, progress, signal });
  const took = performance.now() - begin;
  const { count, scene, levels, logits, logitTimes: times, keywords: words } = result;
  one.result = { count, scene };
  return {
    seconds: one.samples.length / 16_000,
    levels,
    loudest: levels.reduce((a, b) => Math.max(a, b), 0),
    frames: toBytes(one.rows, count),
    probabilities: softmax(logits, model.labels.length),
    logits,
    times,
    words,
    warnings,
    took,
  };
}

/** Frames to draw. */
function toBytes(rows, count) {
  const size = model.timestampEmbeddingSize;
  const scaler = new Scaler(size);
  const bytes = new Uint8Array(count * size);
  for (const piece of rows.pieces(BLOCK * size, bytes.length)) scaler.see(piece);
  let at = 0;
  for (const piece of rows.pieces(BLOCK * size, bytes.length)) {
    bytes.set(scaler.bytes(piece), at);
    at += piece.length;
  }
  return bytes;
}

const FILES = {
  npz: (sound) => toNpz(sound, model),
  /** Made once, since it is played, too. */
  async wav(sound) {
    if (sound.wav === undefined) {
      const bytes = new Spool(Uint8Array, { overflow: scratch });
      sound.wav = { bytes, file: await toWav(sound.samples, bytes) };
    }
    return sound.wav.file;
  },
};

async function listen({ port, threshold, keep }) {
  await listening?.stop();
  listening = new Listening(model, { threshold }, { port, keep, announce: (event) => self.postMessage(event) });
}

/** End the recording, and keep it as a sound. */
async function stopListening({ sound, name }) {
  if (listening === null) throw new HearAudioMLPError("microphone", "nothing is being recorded");
  const { pieces, late, skipped } = await listening.stop();
  listening = null;
  const samples = spool();
  for (const piece of pieces) await samples.append(piece);
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
  drop,
  setThreshold: ({ threshold }) => void (listening && (listening.spotter.finder.threshold = threshold)),
  addExample: ({ label, sound }) => classes.add(model, label, sounds.get(sound)),
  removeExamples: ({ label }) => classes.remove(label),
  renameExamples: ({ label, to }) => classes.rename(label, to),
  teach: (_, { progress, signal }) => classes.fit(model, { progress, signal }),
};

sweep();

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
