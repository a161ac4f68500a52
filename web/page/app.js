/** The page: what its buttons do, and when they can be used. */

import { MODELS, SAMPLE } from "./config.js";
import { HearAudioMLPError } from "./lib/errors.js";
import { findWords, THRESHOLD } from "./lib/words.js";
import { listen, listMicrophones, stopListening } from "./live/recording.js";
import { engine, fetchModel, firstChoice, keepModel, listModels, useModel } from "./model/choice.js";
import { keepOffline } from "./offline.js";
import { toCsv, toLabelTrack } from "./sound/export.js";
import { computeShown, openFile, player } from "./sound/opening.js";
import { cancel, isBusy, onChange, run } from "./tasks.js";
import { connectTeaching, enableTeaching } from "./teach/teaching.js";
import { $, complain, save, state } from "./ui.js";
import { lookAt, redraw, secondsAt, showWords, timeline, watch } from "./view/drawing.js";

/** Enable what can be done now, and show what is on. */
function render() {
  const { model, sound, live } = state;
  const listening = live !== null;
  const ready = model !== null && !listening;
  $("microphone").disabled = model === null;
  $("microphone").setAttribute("aria-pressed", String(listening));
  $("microphone-text").textContent = listening ? "Stop" : "Microphone";
  $("level").hidden = !listening;
  for (const id of ["open", "sample"]) $(id).disabled = !ready;
  for (const id of ["model", "model-file", "device", "keep"]) $(id).disabled = listening;
  $("transport").hidden = sound === null || listening;
  const computed = Boolean(sound?.result) && !listening;
  $("compute").hidden = computed || sound === null || listening || isBusy();
  $("save").disabled = !computed;
  $("save-wav").disabled = sound === null || listening;
  for (const id of ["save-csv", "save-labels"]) $(id).disabled = !computed;
  enableTeaching({ ready });
  showThreshold();
}

/** Use a model, and compute the sound that is shown by it. */
async function changeModel(choice, bytes, tools) {
  tools.signal.throwIfAborted();
  await useModel(bytes, choice);
  if (state.sound !== null) await computeShown(tools);
  else redraw();
}

function chooseModel(choice) {
  return run(async (tools) => {
    try {
      await changeModel(choice, await fetchModel(choice.value, tools), tools);
    } finally {
      if (state.model !== null) $("model").value = state.model.value;
    }
  });
}

function open(file) {
  return run(async (tools) => {
    if (state.live !== null) throw new HearAudioMLPError("microphone", "stop the microphone before you open a file");
    if (file.name.toLowerCase().endsWith(".onnx")) {
      const value = `file:${file.name}`;
      const bytes = async () => new Uint8Array(await file.arrayBuffer());
      await changeModel({ title: file.name, value }, await bytes(), tools);
      keepModel(value, bytes);
    } else if (state.model === null) {
      throw new HearAudioMLPError("model", "open a model first");
    } else await openFile(file, tools);
  });
}

function onFiles(input) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";
    if (file) open(file);
  });
}

async function trySample() {
  const response = await fetch(SAMPLE).catch(() => null);
  if (!response?.ok) {
    complain(new HearAudioMLPError("file", "this host has no sample: npm install in web/ puts it there"));
    return;
  }
  await open(new File([await response.blob()], SAMPLE.split("/").at(-1)));
}

/** Show where the slider is: a person moves it, and a model whose file recommends a threshold. */
function showThreshold() {
  timeline.threshold = Number($("threshold").value);
  $("threshold-value").textContent = `${Math.round(100 * timeline.threshold)} %`;
}

function onThreshold() {
  showThreshold();
  const { threshold } = timeline;
  if (state.live !== null) engine.call("setThreshold", { threshold });
  else if (state.sound?.result) {
    const { logits, times } = state.sound.result;
    const { labels, otherLabel } = state.model;
    showWords(findWords(logits, times, labels, { threshold, ignore: otherLabel }));
  }
  redraw();
}

function connectFiles() {
  const stem = () => state.sound.name.replace(/\.[^.]*$/, "").replaceAll(" ", "-");
  const kept = (kind) => engine.call("file", { sound: state.sound.id, kind });
  $("save").addEventListener("click", async () => save(await kept("npz"), `${stem()}.${state.model.name}.npz`));
  $("save-wav").addEventListener("click", async () => save(await kept("wav"), `${stem()}.16k.wav`));
  $("save-csv").addEventListener("click", () => save(toCsv(timeline.words), `${stem()}.words.csv`));
  $("save-labels").addEventListener("click", () => save(toLabelTrack(timeline.words), `${stem()}.labels.txt`));
}

function connectDropping() {
  let over = 0; // dragenter and dragleave come for every element under the pointer
  const dropping = (change) => {
    over = change === 0 ? 0 : over + change;
    document.body.classList.toggle("dropping", over > 0);
  };
  addEventListener("dragenter", () => dropping(1));
  addEventListener("dragleave", () => dropping(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dropped", () => dropping(0));
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(0);
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
}

function connect() {
  onChange(render);
  $("microphone").addEventListener("click", () => run(state.live === null ? listen : stopListening));
  $("cancel").addEventListener("click", cancel);
  $("sample").addEventListener("click", trySample);
  onFiles($("open"));
  onFiles($("model-file"));
  $("play").addEventListener("click", () => player.toggle());
  $("compute").addEventListener("click", () => run(computeShown));
  connectFiles();
  $("threshold").value = String(THRESHOLD);
  $("threshold").addEventListener("input", onThreshold);
  const seek = (seconds) => {
    player.seek(seconds);
    lookAt(seconds, { centre: true });
  };
  $("position").addEventListener("input", () => seek(Number($("position").value)));
  $("pictures").addEventListener("click", (event) => {
    if (state.sound !== null && state.live === null) {
      const seconds = secondsAt(event);
      player.seek(seconds);
      lookAt(seconds);
    }
  });
  listModels();
  $("model").addEventListener("change", () => {
    const { value, selectedOptions } = $("model");
    chooseModel({ title: selectedOptions[0].text, value });
  });
  listMicrophones();
  connectTeaching();
  connectDropping();
  watch();
}

connect();
await chooseModel(firstChoice());
keepOffline();
