/** The microphone, as the page sees it: on and off, level, words, and the recording at the end. */

import { HearAudioMLPError } from "../lib/errors.js";
import { engine, onAnnouncement } from "../model/choice.js";
import { newSound, player, showRecording } from "../sound/opening.js";
import { changed, run } from "../tasks.js";
import { $, complain, state } from "../ui.js";
import { clear, redraw, timeline, words } from "../view/drawing.js";
import { Microphone } from "./microphone.js";

const FULL = " Ten minutes are the longest recording, so it ended here.";
const QUIETEST = 60; // dB below full scale, at the left end of the meter

/** Open the microphone; what is shown stays until it is open. */
export async function listen({ signal }) {
  const { port1, port2 } = new MessageChannel();
  const lost = () => run((tools) => stopListening(tools, { lost: true }));
  const microphone = await Microphone.open(port1, { device: $("device").value, lost });
  try {
    signal.throwIfAborted();
    const settings = { port: port2, threshold: Number($("threshold").value), keep: $("keep").checked };
    await engine.call("listen", settings, { transfer: [port2], signal });
    signal.throwIfAborted();
  } catch (problem) {
    await microphone.close();
    throw problem;
  }
  player.load(null);
  if (state.sound !== null) engine.call("drop", { sound: state.sound.id });
  state.sound = null;
  state.live = { microphone, seconds: 0 };
  clear();
  listMicrophones();
}

/** Close the microphone, and show the whole recording, computed as a file would be. */
export async function stopListening(tools, { full = false, lost = false } = {}) {
  if (state.live === null) return;
  const { microphone } = state.live;
  const found = timeline.words;
  const id = newSound();
  state.live = null;
  changed();
  await microphone.close();
  const name = "the recording";
  const { seconds, late, skipped } = await engine.call("stopListening", { sound: id, name });
  if (lost) complain(new HearAudioMLPError("microphone", "the microphone was disconnected; what it heard until then is kept"));
  const kept = found
    .map((word) => ({ ...word, start: word.start - skipped, end: word.end - skipped }))
    .filter(({ start }) => start >= 0);
  const slow = late > 0 ? ` This device is slow: ${late} windows were left out.` : "";
  await showRecording(id, { name, seconds, found: kept, note: (full ? FULL : "") + slow }, tools);
}

const HEARD = {
  window(announcement) {
    timeline.add(announcement);
    document.documentElement.dataset.firstResult ??= String(performance.now());
  },
  word({ word }) {
    timeline.words.push(word);
    if (timeline.words.length > 500) timeline.words.shift();
    words.add(word);
    document.documentElement.dataset.firstWord ??= String(performance.now());
  },
  level({ peak, seconds }) {
    state.live.seconds = seconds;
    $("level").value = Math.max(0, 1 + (20 * Math.log10(peak)) / QUIETEST);
    redraw();
  },
  full: () => run((tools) => stopListening(tools, { full: true })),
  problem: ({ code, message }) => complain(new HearAudioMLPError(code, message)),
};

onAnnouncement((announcement) => {
  if (state.live !== null) HEARD[announcement.event](announcement);
});

/** Fill the list of microphones; it is hidden while there is no choice. */
export async function listMicrophones() {
  const devices = await Microphone.list();
  const list = $("device");
  const { value } = list;
  list.replaceChildren(new Option("the system's", ""), ...devices.map(({ label, deviceId }, i) => new Option(label || `Microphone ${i + 1}`, deviceId)));
  list.value = devices.some(({ deviceId }) => deviceId === value) ? value : "";
  $("device-label").hidden = devices.length < 2;
}
