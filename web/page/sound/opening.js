/** Opening sounds: read, computed, and only then shown instead of the previous one. */

import { HearAudioMLPError } from "../lib/errors.js";
import { HOP } from "../lib/spotter.js";
import { engine } from "../model/choice.js";
import { changed } from "../tasks.js";
import { $, complain, say, state } from "../ui.js";
import { clear, describePictures, lookAt, redraw, showWords, timeline } from "../view/drawing.js";
import { decodeFile } from "./decode.js";
import { Player } from "./player.js";

let next = 0;

/** A number for a sound that the model's thread is about to keep. */
export const newSound = () => next++;

export const player = new Player({
  at: (seconds) => lookAt(seconds),
  changed: () => ($("play").textContent = player.playing ? "Pause" : "Play"),
});

/** Read a file into the model's thread, under the number `id`. */
export async function readFile(id, file, { signal, progress }) {
  say(`Reading ${file.name} …`);
  const { foreign } = await engine.call("read", { sound: id, file }, { signal, progress });
  if (!foreign) return;
  const { rate, channels, frames, pieces } = await decodeFile(file);
  signal.throwIfAborted();
  let done = 0;
  for (const piece of pieces) {
    done += piece.length;
    const part = { sound: id, name: file.name, rate, channels, frames, piece, ends: done === frames };
    await engine.call("gather", part, { signal, transfer: [piece.buffer] });
    progress(frames > 0 ? done / frames : 1);
  }
}

/** Compute a sound that the thread has. */
async function compute(id, name, { signal, progress }) {
  say(`Computing ${name} …`);
  const options = { hop: HOP, threshold: Number($("threshold").value) };
  return engine.call("embed", { sound: id, options }, { signal, progress });
}

function summarize(name, { seconds, took }) {
  const times = Math.round((1000 * seconds) / took);
  const speed = times > 1 ? ` (${times} times as fast as it plays)` : "";
  return `${name}: ${seconds.toFixed(1)} s, computed in ${Math.round(took)} ms${speed}.`;
}

/** Show a sound instead of the previous one; without a result, one that isn't computed. */
async function show(id, name, result, seconds, signal) {
  const blob = await engine.call("file", { sound: id, kind: "wav" });
  signal?.throwIfAborted();
  const before = state.sound;
  const summary = result ? summarize(name, result) : `${name}: ${seconds.toFixed(1)} s, not computed.`;
  state.sound = { id, name, seconds, result, summary };
  if (before?.id !== id) {
    player.load(blob);
    if (before !== null) engine.call("drop", { sound: before.id });
  }
  clear();
  lookAt(0);
  changed();
  if (result === null) return;
  timeline.show(result);
  showWords(result.words);
  describePictures(state.sound);
  result.warnings.forEach((warning) => complain(new HearAudioMLPError("audio", warning)));
  document.documentElement.dataset.firstResult ??= String(performance.now());
  redraw();
}

/** Open a sound file; what is shown stays until all of it is computed. */
export async function openFile(file, tools) {
  const id = newSound();
  try {
    await readFile(id, file, tools);
    const result = await compute(id, file.name, tools);
    tools.signal.throwIfAborted();
    await show(id, file.name, result, result.seconds, tools.signal);
  } catch (problem) {
    await engine.call("drop", { sound: id });
    throw problem;
  }
}

/** Compute the sound that is shown, by the model that is there now. */
export async function computeShown(tools) {
  const { id, name, seconds } = state.sound;
  await show(id, name, null, seconds, tools.signal);
  const result = await compute(id, name, tools);
  tools.signal.throwIfAborted();
  await show(id, name, result, seconds, tools.signal);
}

/**
 * Show a recording: at once, and computed when that is done. The words that were found while it was
 * recorded stay.
 */
export async function showRecording(id, { name, seconds, found, note }, tools) {
  await show(id, name, null, seconds);
  state.sound.summary += note;
  if (found.length > 0) showWords(found);
  const result = await compute(id, name, tools);
  tools.signal.throwIfAborted();
  // Live windows began where the microphone did, so their words stay.
  if (found.length > 0) result.words = found;
  await show(id, name, result, seconds, tools.signal);
  state.sound.summary += note;
}
