import { BANDS } from "../lib/model.js";
import { HOP } from "../lib/spotter.js";
import { Lanes } from "./lanes.js";
import { fit, Raster } from "./raster.js";
import { readTheme } from "./theme.js";
import { Track } from "./track.js";

const STEP = 0.01; // seconds from one frame to the next
const RANGE = 140; // of the spectrogram, down from its loudest, in half dB
const FAINT = 120; // the loudest is taken to be this at least: -40 dB

/** The three pictures over one time axis. */
export class Timeline {
  #canvases;
  #spectrogram;
  #keywords;
  #embedding;

  /** @param {Record<"spectrogram" | "keywords" | "embedding" | "axis", HTMLCanvasElement>} canvases */
  constructor(canvases) {
    this.#canvases = canvases;
    this.#spectrogram = new Raster(canvases.spectrogram, "viridis", true);
    this.#embedding = new Raster(canvases.embedding, "cividis", false);
    this.#keywords = new Lanes(canvases.keywords);
    this.threshold = 0.5;
    this.reset(1, []);
  }

  /**
   * Begin a new sound.
   *
   * @param {number} size values of the model's frames
   * @param {string[]} labels its keywords
   */
  reset(size, labels) {
    this.labels = labels;
    this.levels = new Track(BANDS, STEP, { kind: Uint8Array });
    this.frames = new Track(size, STEP, { kind: Uint8Array });
    this.probabilities = new Track(labels.length, HOP, { begin: HOP - 0.5 });
    this.words = [];
    this.loudest = FAINT;
    this.#keywords.reset();
  }

  /** Show a whole sound, as the model's thread gives it. */
  show({ levels, loudest, frames, probabilities, times, words }) {
    this.levels.replace(levels);
    this.frames.replace(frames);
    this.probabilities.begin = (times[0] ?? 0) + 0.5; // the middle of the window
    this.probabilities.replace(probabilities);
    this.words = words;
    this.loudest = Math.max(FAINT, loudest);
  }

  /** Add a window of live sound that ends at `end` seconds: its newest frames, its probabilities. */
  add({ end, levels, frames, probabilities }) {
    const at = Math.round(end * 100) - frames.length / this.frames.size;
    this.frames.set(at, frames);
    if (levels.length > 0) this.levels.set(at, levels);
    for (const level of levels) this.loudest = Math.max(this.loudest, level);
    if (probabilities.length > 0) this.probabilities.set(Math.round(end / HOP) - 1, probabilities);
    for (const track of [this.frames, this.levels]) track.keep(6_000);
    this.probabilities.keep(240);
  }

  /** Seconds of the view that fit the width of the page. */
  get span() {
    return Math.min(12, Math.max(5, this.#canvases.spectrogram.clientWidth / 85));
  }

  /** @param {{from: number, seconds: number}} view */
  draw(view) {
    this.#spectrogram.draw(this.levels, view, (level) => 1 + (level - this.loudest) / RANGE);
    this.#embedding.draw(this.frames, view, (byte) => byte / 255);
    if (this.labels.length > 0) this.#keywords.draw(this.probabilities, this.labels, view, this);
    this.#drawAxis(view);
  }

  #drawAxis({ from, seconds }) {
    const { context, width } = fit(this.#canvases.axis);
    const { colours, family, rem } = readTheme();
    context.font = `${0.75 * rem}px ${family}`;
    context.fillStyle = colours["--quiet"];
    context.textBaseline = "top";
    const every = Math.max(1, Math.ceil((2.5 * rem * seconds) / width));
    for (let t = Math.ceil(from / every) * every; t <= from + seconds; t += every) {
      const x = ((t - from) / seconds) * width;
      const text = `${t} s`;
      context.fillRect(Math.min(x, width - 1), 0, 1, 5);
      const room = context.measureText(text).width;
      context.fillText(text, Math.min(Math.max(0, x - room / 2), width - room), 7);
    }
  }
}
