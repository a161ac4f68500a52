/** What all parts of the page share: its elements, what it says, and what it knows. */

import { HearAudioMLPError } from "./lib/errors.js";

export const $ = (id) => document.getElementById(id);

/** What is loaded and shown; null where there is nothing. */
export const state = {
  /** What the model says of itself, and where it came from. */
  model: null,
  /** The sound that is shown: {id, name, seconds, result, summary}; `result` is null until it is computed. */
  sound: null,
  /** The open microphone: {microphone, seconds}. */
  live: null,
};

/** Say how things are. */
export function say(text) {
  $("status").textContent = text;
}

/** Say what went wrong, or with null that nothing did. */
export function complain(problem) {
  if (problem !== null && !(problem instanceof HearAudioMLPError)) console.error(problem);
  $("problem").textContent = problem === null ? "" : `${problem.message}.`;
  $("problem").hidden = problem === null;
}

/** The status when nothing is being done. */
export function describe() {
  const { model, sound, live } = state;
  if (live !== null) return `Listening: ${live.microphone.label || "microphone"}, ${live.microphone.rate} Hz.`;
  if (sound !== null) return sound.summary;
  if (model !== null) return `Ready: ${model.title}.`;
  return "There is no model yet: open an .onnx file in the settings.";
}

/** Let a person save a file; nothing but their own disk is involved. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
