/** Teaching, as the page sees it: the list of sounds, their examples, and the results. */

import { HearAudioMLPError } from "../lib/errors.js";
import { engine, keepModel, useModel } from "../model/choice.js";
import { Microphone } from "../live/microphone.js";
import { newSound, readFile } from "../sound/opening.js";
import { changed, run } from "../tasks.js";
import { $, complain, save, say } from "../ui.js";

const SECONDS = 1.5; // of a recorded example
const OTHER = "other";

const counts = new Map(); // examples by label
let taught = null; // {bytes, labels} of the last classifier

/** Add examples from sound files; those that can't be read are named at the end. */
async function addFiles(label, files, tools) {
  const problems = [];
  for (const file of files) {
    const id = newSound();
    try {
      await readFile(id, file, tools);
      await addExample(label, id);
    } catch (problem) {
      if (tools.signal.aborted || !(problem instanceof HearAudioMLPError)) throw problem;
      problems.push(problem.message);
    } finally {
      await engine.call("drop", { sound: id });
    }
  }
  if (problems.length > 0) throw new HearAudioMLPError("file", problems.join("; "));
}

async function addExample(label, id) {
  const { count } = await engine.call("addExample", { label, sound: id });
  counts.set(label, count);
  render();
}

/** Record one example. */
async function record(label, { signal }) {
  const { port1, port2 } = new MessageChannel();
  const microphone = await Microphone.open(port1, { device: $("device").value, lost: () => {} });
  const pieces = [];
  let length = 0;
  try {
    say(`Recording ${label}: now.`);
    await new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      port2.onmessage = ({ data }) => {
        pieces.push(data);
        length += data.length;
        if (length >= SECONDS * 16_000) resolve();
      };
    });
  } finally {
    port2.close();
    await microphone.close();
  }
  const piece = new Float32Array(await new Blob(pieces).arrayBuffer());
  const id = newSound();
  const part = { sound: id, name: "the example", rate: 16_000, channels: 1, frames: piece.length, piece, ends: true };
  await engine.call("gather", part, { transfer: [piece.buffer] });
  try {
    await addExample(label, id);
  } finally {
    await engine.call("drop", { sound: id });
  }
}

/** Fit a classifier to the examples, say how good it is, and use it. */
async function teach({ signal, progress }) {
  say("Teaching …");
  const begin = performance.now();
  const found = await engine.call("teach", {}, { signal, progress });
  signal.throwIfAborted();
  const wrong = found.confusions.map(({ label, taken }) => `${label} taken for ${taken}`);
  const share = Math.round((100 * found.right) / found.tried);
  taught = { bytes: found.bytes, labels: found.labels };
  keepModel("taught", async () => found.bytes.slice());
  await useModel(found.bytes.slice(), { title: `taught here: ${found.labels.slice(0, -1).join(", ")}`, value: "taught" });
  $("taught").textContent =
    `Of ${found.tried} examples, ${found.right} (${share} %) are recognized by a classifier that was taught all the others` +
    `${wrong.length > 0 ? `; wrong: ${wrong.join(", ")}` : ""}. It took ${((performance.now() - begin) / 1000).toFixed(1)} s, and is used now.`;
}

function button(text, label, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.setAttribute("aria-label", `${text}: ${label}`);
  element.addEventListener("click", act);
  return element;
}

/** One sound in the list: its name, how many examples it has, and what can be done. */
function item(label) {
  const element = document.createElement("li");
  element.dataset.label = label;
  const name = document.createElement("input");
  name.value = label;
  name.disabled = label === OTHER;
  name.setAttribute("aria-label", "Name of the sound");
  name.addEventListener("change", () => rename(label, name.value.trim()));
  const count = document.createElement("span");
  count.className = "count";
  const examples = counts.get(label);
  count.textContent = examples === 1 ? "1 example" : `${examples} examples`;
  const add = document.createElement("label");
  add.className = "button";
  const files = document.createElement("input");
  Object.assign(files, { type: "file", multiple: true, accept: $("open").accept });
  files.setAttribute("aria-label", `Add files: ${label}`);
  files.addEventListener("change", () => run((tools) => addFiles(label, [...files.files], tools)));
  add.append(files, "Add files");
  element.append(
    name,
    count,
    button("Record", label, () => run((tools) => record(label, tools))),
    add,
  );
  if (label !== OTHER) element.append(button("Remove", label, () => remove(label)));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    dispatchEvent(new Event("dropped"));
    run((tools) => addFiles(label, [...event.dataTransfer.files], tools));
  });
  return element;
}

function rename(label, to) {
  if (to === label) return;
  if (to === "" || counts.has(to)) {
    complain(new HearAudioMLPError("option", `each sound needs a name of its own, so ${label} keeps its name`));
    render();
    return;
  }
  engine.call("renameExamples", { label, to });
  const renamed = [...counts].map(([name, count]) => [name === label ? to : name, count]);
  counts.clear();
  renamed.forEach(([name, count]) => counts.set(name, count));
  render();
}

function remove(label) {
  engine.call("removeExamples", { label });
  counts.delete(label);
  render();
  $("add-class").focus();
}

function add() {
  let number = counts.size;
  while (counts.has(`sound ${number}`)) number += 1;
  counts.delete(OTHER);
  counts.set(`sound ${number}`, 0);
  counts.set(OTHER, 0);
  render();
  $("classes").querySelector(`[data-label="sound ${number}"] input`).select();
}

/** Show the list; the buttons are enabled as the page's state allows. */
export function render() {
  const focused = document.activeElement?.getAttribute("aria-label");
  const label = document.activeElement?.closest?.("#classes li")?.dataset.label;
  $("classes").replaceChildren(...[...counts.keys()].map(item));
  if (label && focused) {
    $("classes").querySelector(`[data-label="${CSS.escape(label)}"] [aria-label="${CSS.escape(focused)}"]`)?.focus();
  }
  changed();
}

/** Enable what can be done. */
export function enableTeaching({ ready }) {
  const own = [...counts].filter(([label, count]) => label !== OTHER && count > 0);
  $("teach").disabled = !ready || own.length === 0;
  $("download").disabled = taught === null;
  $("add-class").disabled = !ready;
  for (const element of $("classes").querySelectorAll("button, input[type=file]")) element.disabled = !ready;
}

/** Connect the buttons. */
export function connectTeaching() {
  counts.set(OTHER, 0);
  $("add-class").addEventListener("click", add);
  $("teach").addEventListener("click", () => run(teach));
  $("download").addEventListener("click", () => {
    const name = taught.labels.slice(0, -1).join("-").replace(/[^\p{L}\p{N}-]+/gu, "_");
    save(new Blob([taught.bytes], { type: "application/octet-stream" }), `${name}.onnx`);
  });
  add();
}
