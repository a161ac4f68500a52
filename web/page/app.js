/** The page: what the buttons do, and what is shown. */

import { MODELS, RUNTIME } from "./config.js";
import { Engine } from "./engine.js";
import { readAudioFile } from "./lib/audiofile.js";
import { HearAudioMLPError } from "./lib/errors.js";
import { MelStream } from "./lib/mel.js";
import { SAMPLE_RATE } from "./lib/resample.js";
import { findWords, softmax, THRESHOLD } from "./lib/words.js";
import { HOP, Live, LONGEST } from "./live.js";
import { Microphone } from "./microphone.js";
import { Player } from "./player.js";
import { saveResult } from "./save.js";
import { Timeline } from "./view/timeline.js";
import { WordList } from "./view/wordlist.js";

const $ = (id) => document.getElementById(id);
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

const timeline = new Timeline({
  spectrogram: $("spectrogram"),
  keywords: $("keywords"),
  embedding: $("embedding"),
  axis: $("axis"),
});
const words = new WordList($("words"));
const engine = new Engine(RUNTIME);
let model = null;
let live = null; // while the microphone is on
let microphone = null;
let sound = null; // {name, samples, result} of the last file or recording
let player = null;
let view = { from: 0, seconds: 1 };
let job = 0; // counts what the person asked for, so that what is outdated is dropped
let firstResult = null; // ms from the start of the page

function say(text) {
  $("status").textContent = text;
}

function complain(problem) {
  if (problem !== null && !(problem instanceof HearAudioMLPError)) console.error(problem);
  $("problem").textContent = problem === null ? "" : `${problem.message}.`;
  $("problem").hidden = problem === null;
}

/** Run `task`; show what goes wrong. */
async function attempt(task) {
  complain(null);
  try {
    await task();
  } catch (problem) {
    complain(problem);
  } finally {
    $("progress").hidden = true;
    enable();
  }
}

function enable() {
  $("microphone").disabled = model === null;
  $("open").disabled = model === null || live !== null;
  $("play").disabled = sound === null || live !== null;
  $("save").disabled = !sound?.result || live !== null;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

// --- The model ---------------------------------------------------------------------------------

async function fetchModel(url) {
  let response;
  try {
    response = await fetch(url);
  } catch (problem) {
    throw new HearAudioMLPError("model", `the model can't be fetched: ${problem.message}`);
  }
  if (!response.ok) {
    throw new HearAudioMLPError(
      "model",
      `there is no model at ${url} on this host (${response.status}); open an .onnx file instead`,
    );
  }
  return new Uint8Array(await response.arrayBuffer());
}

async function useModel(bytes, from) {
  const size = bytes.length;
  const begin = performance.now();
  model = await engine.load(bytes);
  document.documentElement.dataset.model = model.name;
  const spots = model.labels.length > 0;
  $("keywords-figure").hidden = !spots;
  $("words-section").hidden = !spots;
  $("vocabulary-section").hidden = !spots;
  $("vocabulary").textContent = model.labels.join(", ");
  $("embedding-note").textContent = `${model.timestampEmbeddingSize} values every 10 ms, each on its own scale`;
  const ms = Math.round(performance.now() - begin);
  $("facts").textContent =
    `Model ${model.name} from ${from}, ${megabytes(size)}, ready in ${ms} ms` +
    (model.metadata.licence ? `; weights: ${model.metadata.licence}.` : ".");
  say(`Ready: ${model.name}.`);
  timeline.reset(model.timestampEmbeddingSize, model.labels, HOP);
  redraw();
}

async function changeModel(load, from) {
  await stopListening();
  say("Loading the model …");
  await useModel(await load(), from);
  if (sound !== null) await show(sound.name, sound.samples);
}

// --- A whole sound -----------------------------------------------------------------------------

function drawMel(samples) {
  const stream = new MelStream();
  stream.push(samples, (levels) => timeline.addMel(levels));
}

/** Embed a sound and show all of it. */
async function show(name, samples) {
  const mine = ++job;
  player?.stop();
  sound = { name, samples, result: null };
  const seconds = samples.length / SAMPLE_RATE;
  timeline.reset(model.timestampEmbeddingSize, model.labels, HOP);
  words.clear();
  drawMel(samples);
  look(0);
  say(`Listening to ${name} …`);
  $("progress").hidden = seconds < 10;
  const options = { hop: HOP, threshold: Number($("threshold").value) };
  const result = await engine.embed(samples, options, (share) => ($("progress").value = share));
  if (mine !== job) return;
  sound.result = result;
  timeline.addFrames(0, result.embeddings);
  for (const [i, time] of result.logitTimes.entries()) {
    if (i === 0) timeline.probabilities.begin = time + 0.5; // the middle of the window
    const size = model.labels.length;
    timeline.probabilities.push(softmax(result.logits.slice(i * size, (i + 1) * size), size));
  }
  showWords(result.keywords);
  result.warnings.forEach((warning) => complain(new HearAudioMLPError("audio", warning)));
  firstResult ??= performance.now();
  document.documentElement.dataset.firstResult = String(firstResult);
  const speed = Math.max(1, Math.round((1000 * seconds) / result.took));
  say(`${name}: ${seconds.toFixed(1)} s, computed in ${Math.round(result.took)} ms (${speed} times as fast as it plays).`);
  describe(name, seconds);
  look(view.from);
}

function showWords(found) {
  timeline.words = found;
  words.clear();
  found.forEach((word) => words.add(word));
  if (model.labels.length > 0 && found.length === 0) words.none();
}

/** What the pictures show, in words. */
function describe(name, seconds) {
  const length = `${name}, ${seconds.toFixed(1)} seconds`;
  $("spectrogram").setAttribute("aria-label", `Spectrogram of ${length}`);
  const said = timeline.words.map((word) => word.word).join(", ") || "none";
  $("keywords").setAttribute("aria-label", `Keyword probabilities of ${length}. Words found: ${said}`);
  const size = `${timeline.frames.length} frames of ${timeline.frames.size} values`;
  $("embedding").setAttribute("aria-label", `Embedding of ${length}: ${size}`);
}

/** Look at the part of the sound that begins at `from` seconds. */
function look(from) {
  const seconds = (sound?.samples.length ?? 0) / SAMPLE_RATE;
  const span = timeline.span;
  const room = Math.max(0, seconds - span);
  view = { from: Math.min(from, room), seconds: Math.max(1, Math.min(span, seconds || span)) };
  $("position-label").hidden = live !== null || room === 0;
  $("position").max = String(room);
  $("position").value = String(view.from);
  $("position").setAttribute("aria-valuetext", `from ${view.from.toFixed(1)} seconds on`);
  redraw();
}

let drawing = false;

function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (live !== null) follow();
    timeline.draw(view);
  });
}

// --- The microphone ----------------------------------------------------------------------------

/** Show the end of the recording: it moves along, or in pages where motion isn't wanted. */
function follow() {
  const seconds = timeline.span;
  const now = live.seconds;
  const page = Math.floor(now / seconds) * seconds;
  view = { from: stillness.matches ? page : Math.max(0, now - seconds), seconds };
}

async function listen() {
  const mine = ++job;
  player?.stop();
  const mel = new MelStream();
  let recording = null;
  const opened = await Microphone.open(
    (samples) => {
      if (live !== recording || live === null) return;
      live.push(samples);
      mel.push(samples, (levels) => timeline.addMel(levels));
      if (live.seconds >= LONGEST) attempt(stopListening);
      redraw();
    },
    () => attempt(stopListening),
  );
  if (mine !== job) {
    await opened.close();
    return;
  }
  sound = null;
  words.clear();
  timeline.reset(model.timestampEmbeddingSize, model.labels, HOP);
  timeline.probabilities.begin = HOP - 0.5; // the middle of the first window
  microphone = opened;
  recording = live = new Live(engine, model.labels, { threshold: Number($("threshold").value) }, {
    window(begin, result, probabilities) {
      if (live !== recording) return; // it came after the end
      firstResult ??= performance.now();
      document.documentElement.dataset.firstResult = String(firstResult);
      // Until all is computed at the end: the newest frames of this window.
      const size = model.timestampEmbeddingSize;
      const fresh = Math.round(HOP * 100);
      timeline.addFrames(Math.round((begin + 1) * 100) - fresh, result.embeddings.slice(-fresh * size));
      if (probabilities.length > 0) {
        timeline.probabilities.set(Math.round((begin + 1) / HOP) - 1, probabilities);
      }
    },
    word(word) {
      if (live !== recording) return;
      timeline.words.push(word);
      words.add(word);
    },
    problem: complain,
  });
  $("microphone").setAttribute("aria-pressed", "true");
  $("microphone-text").textContent = "Stop";
  $("position-label").hidden = true;
  say(`Listening: microphone at ${opened.rate} Hz.`);
  redraw();
}

/** Close the microphone and show the whole recording, computed as a file would be. */
async function stopListening() {
  if (live === null) return;
  const { samples, late } = live;
  live.stop();
  live = null;
  $("microphone").setAttribute("aria-pressed", "false");
  $("microphone-text").textContent = "Microphone";
  await microphone.close();
  microphone = null;
  const found = timeline.words;
  await show("the recording", samples);
  // The words that were shown live stay: their windows began where the microphone did.
  if (found.length > 0) showWords(found);
  if (late > 0) say(`${$("status").textContent} This device is slow: ${late} windows were left out.`);
}

// --- What the person does ------------------------------------------------------------------------

async function openFile(file) {
  if (file.name.toLowerCase().endsWith(".onnx")) {
    await changeModel(async () => new Uint8Array(await file.arrayBuffer()), file.name);
    return;
  }
  if (model === null) throw new HearAudioMLPError("model", "open a model first");
  await stopListening();
  say(`Reading ${file.name} …`);
  const { samples } = await readAudioFile(file);
  await show(file.name, samples);
}

function onFiles(input) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";
    if (file) attempt(() => openFile(file));
  });
}

function togglePlay() {
  if (player !== null) {
    player.stop();
    return;
  }
  $("play").textContent = "Stop playing";
  player = new Player(sound.samples, SAMPLE_RATE, view.from > 0 ? view.from : 0, {
    at(seconds) {
      timeline.cursor = seconds;
      if (seconds > view.from + view.seconds) look(seconds);
      else redraw();
    },
    end() {
      player = null;
      timeline.cursor = null;
      $("play").textContent = "Play";
      redraw();
    },
  });
}

function onThreshold() {
  const threshold = Number($("threshold").value);
  timeline.threshold = threshold;
  $("threshold-value").textContent = `${Math.round(100 * threshold)} %`;
  if (live !== null) live.finder.threshold = threshold;
  else if (sound?.result) {
    const { logits, logitTimes } = sound.result;
    showWords(findWords(logits, logitTimes, model.labels, { threshold }));
  }
  redraw();
}

function connect() {
  $("microphone").addEventListener("click", () =>
    attempt(() => (live === null ? listen() : stopListening())),
  );
  onFiles($("open"));
  onFiles($("model-file"));
  $("play").addEventListener("click", togglePlay);
  $("save").addEventListener("click", () => saveResult(sound, model));
  $("threshold").value = String(THRESHOLD);
  $("threshold").addEventListener("input", onThreshold);
  onThreshold();
  $("position").addEventListener("input", () => look(Number($("position").value)));
  addEventListener("resize", () => look(view.from));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  for (const { title, url } of MODELS) $("model").add(new Option(title, url));
  $("model").addEventListener("change", () => {
    const { value } = $("model");
    attempt(() => changeModel(() => fetchModel(value), "this page"));
  });

  let over = 0; // dragenter and dragleave come for every element under the pointer
  const dropping = (change) => {
    over = change === 0 ? 0 : over + change;
    document.body.classList.toggle("dropping", over > 0);
  };
  addEventListener("dragenter", () => dropping(1));
  addEventListener("dragleave", () => dropping(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(0);
    const [file] = event.dataTransfer.files;
    if (file) attempt(() => openFile(file));
  });
}

connect();
attempt(async () => useModel(await fetchModel(MODELS[0].url), "this page"));
