/** What is drawn, and which part of the sound is looked at. */

import { $, state } from "../ui.js";
import { Timeline } from "./timeline.js";
import { forgetTheme } from "./theme.js";
import { WordList } from "./wordlist.js";

const stillness = matchMedia("(prefers-reduced-motion: reduce)");

export const timeline = new Timeline({
  spectrogram: $("spectrogram"),
  keywords: $("keywords"),
  embedding: $("embedding"),
  axis: $("axis"),
});
export const words = new WordList($("words"), $("words-log"));

let view = { from: 0, seconds: 5 };
let position = 0;
let drawing = false;

/** Draw soon. */
export function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (state.live !== null) follow(state.live.seconds);
    timeline.draw(view);
    placeCursor();
  });
}

/** Show the end of the recording: it moves along, or in pages where motion isn't wanted. */
function follow(now) {
  const seconds = timeline.span;
  const page = Math.floor(now / seconds) * seconds;
  view = { from: stillness.matches ? page : Math.max(0, now - seconds), seconds };
}

function placeCursor() {
  const share = (position - view.from) / view.seconds;
  $("cursor").hidden = state.sound === null || state.live !== null || share < 0 || share > 1;
  $("cursor").style.left = `${100 * share}%`;
}

/** Look at the part of the sound in which `seconds` is, and mark it. */
export function lookAt(seconds, { centre = false } = {}) {
  const length = state.sound?.seconds ?? 0;
  const span = timeline.span;
  const room = Math.max(0, length - span);
  position = Math.min(seconds, length);
  const outside = position < view.from || position > view.from + view.seconds;
  const wanted = centre ? position - span / 2 : outside ? position : view.from;
  const from = Math.min(Math.max(0, wanted), room);
  const width = Math.max(1, Math.min(span, length || span));
  const moved = from !== view.from || width !== view.seconds;
  view = { from, seconds: width };
  $("position").max = String(length);
  $("position").value = String(position);
  const text = `${position.toFixed(1)} of ${length.toFixed(1)} s`;
  $("position").setAttribute("aria-valuetext", text);
  $("position-value").textContent = text;
  if (moved) redraw();
  else placeCursor();
}

/** The second at which somebody points. */
export function secondsAt(event) {
  const { left, width } = $("pictures").getBoundingClientRect();
  return Math.max(0, view.from + (view.seconds * (event.clientX - left)) / width);
}

/** Begin a new picture. */
export function clear() {
  const { model } = state;
  timeline.reset(model.timestampEmbeddingSize, model.labels);
  words.clear();
  redraw();
}

/** Show the words of the sound. */
export function showWords(found) {
  timeline.words = found;
  words.show(found);
  if (state.model.labels.length > 0 && found.length === 0) words.none();
}

/** What the pictures show, in words. */
export function describePictures({ name, seconds }) {
  const length = `${name}, ${seconds.toFixed(1)} seconds`;
  $("spectrogram").setAttribute("aria-label", `Spectrogram of ${length}`);
  const said = timeline.words.map((word) => word.word).join(", ") || "none";
  $("keywords").setAttribute("aria-label", `Keyword probabilities of ${length}. Words found: ${said}`);
  const size = `${timeline.frames.length} frames of ${timeline.frames.size} values`;
  $("embedding").setAttribute("aria-label", `Embedding of ${length}: ${size}`);
}

/** Draw again when the page's size, text size or colours change. */
export function watch() {
  const changed = () => {
    forgetTheme();
    lookAt(position);
    redraw();
  };
  new ResizeObserver(changed).observe($("spectrogram"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
