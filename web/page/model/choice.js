/** Which model the page uses. */

import { MODELS, RUNTIME } from "../config.js";
import { HearAudioMLPError } from "../lib/errors.js";
import { THRESHOLD } from "../lib/words.js";
import { $, say, state } from "../ui.js";
import { Engine } from "./engine.js";

const announcements = new Set();

/** The model's thread. */
export const engine = new Engine((event) => announcements.forEach((listener) => listener(event)));

/** Call `listener` with what the model's thread announces. */
export function onAnnouncement(listener) {
  announcements.add(listener);
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Bytes of the files that `npm install` put beside the page, by their addresses; for progress. */
const sizes = fetch("vendor/files.json")
  .then((response) => response.json())
  .then(({ files }) => files)
  .catch(() => ({}));

/** Fetch a file, and count its bytes as they come. */
async function fetchBytes(url, what, counted, signal) {
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (problem) {
    if (signal?.aborted) throw problem;
    throw new HearAudioMLPError("model", `${what} can't be fetched: ${problem.message}`);
  }
  if (!response.ok) {
    const advice = what === "the model" ? "open an .onnx file instead" : "npm install in web/ puts it there";
    throw new HearAudioMLPError("model", `${what} is not at ${url} on this host (${response.status}); ${advice}`);
  }
  const pieces = [];
  const reader = response.body.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value);
    counted(piece.value.length);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

let prepared = null;

/** Fetch a model and, the first time, ONNX Runtime; give the model's bytes when both are there. */
export async function fetchModel(url, { signal, progress }) {
  if (own.has(url)) return own.get(url)();
  const known = await sizes;
  const wanted = [url, ...(prepared === null ? [RUNTIME.wasm] : [])];
  const total = wanted.reduce((sum, name) => sum + (known[name] ?? NaN), 0);
  let loaded = 0;
  let over = false;
  const counted = (bytes) => {
    loaded += bytes;
    if (over) return;
    say(`Loading: ${megabytes(loaded)}${total ? ` of ${megabytes(total)}` : ""} …`);
    progress(total ? Math.min(1, loaded / total) : null);
  };
  try {
    const [bytes] = await Promise.all([fetchBytes(url, "the model", counted, signal), prepare(counted)]);
    return bytes;
  } finally {
    over = true;
  }
}

/** Give ONNX Runtime to the model's thread, once. */
export function prepare(counted = () => {}) {
  const script = new URL(RUNTIME.script, document.baseURI).href;
  prepared ??= Promise.all([
    fetchBytes(RUNTIME.wasm, "ONNX Runtime", counted),
    engine.call("importRuntime", { script }),
  ])
    .then(([{ buffer }]) => engine.call("prepare", { wasm: buffer }, { transfer: [buffer] }))
    .catch((problem) => {
      prepared = null;
      throw problem;
    });
  return prepared;
}

/**
 * Load a model into the thread, and show what it is.
 *
 * @param {Uint8Array} bytes they are handed over
 * @param {{title: string, value: string}} choice how it is called in the list, and its value there
 */
export async function useModel(bytes, { title, value }) {
  const size = bytes.length;
  await prepare();
  const begin = performance.now();
  const model = await engine.call("load", { bytes }, { transfer: [bytes.buffer] });
  const words = model.labels.filter((label) => label !== model.otherLabel);
  state.model = { ...model, title, value, words };
  $("threshold").value = String(model.keywordThreshold ?? THRESHOLD);
  document.documentElement.dataset.model = model.name;
  const spots = model.labels.length > 0;
  for (const id of ["keywords-figure", "words-section", "vocabulary-section", "threshold-label"]) $(id).hidden = !spots;
  for (const id of ["save-csv", "save-labels"]) $(id).hidden = !spots;
  $("vocabulary").textContent = words.join(", ");
  $("embedding-note").textContent = `${model.timestampEmbeddingSize} values every 10 ms, each on its own scale`;
  const ms = Math.round(performance.now() - begin);
  $("facts").textContent =
    `Model: ${title}, ${megabytes(size)}, ready in ${ms} ms` +
    (model.metadata.licence ? `; weights: ${model.metadata.licence}.` : ".");
  choose(title, value);
}

/** How to get the bytes of models that are no files of this page, by their values in the list. */
const own = new Map();

/** Keep a model of one's own in the list. */
export function keepModel(value, bytes) {
  own.clear(); // one at a time
  own.set(value, bytes);
}

/** Show a model as the chosen one in the list; one that isn't there is added. */
function choose(title, value) {
  const list = $("model");
  if (![...list.options].some((option) => option.value === value)) {
    list.querySelector("[data-own]")?.remove();
    const option = new Option(title, value);
    option.dataset.own = "";
    list.add(option);
  }
  list.value = value;
}

/** Fill the list of models. */
export function listModels() {
  for (const { title, url } of MODELS) $("model").add(new Option(title, url));
}

/** The model that the page's address asks for (`?model=models/mine.onnx`), or the first of its own. */
export function firstChoice() {
  const asked = new URLSearchParams(location.search).get("model");
  if (asked === null) return { title: MODELS[0].title, value: MODELS[0].url };
  const own = MODELS.find(({ url, name }) => asked === url || asked === name);
  return own ? { title: own.title, value: own.url } : { title: asked.split("/").at(-1), value: asked };
}
