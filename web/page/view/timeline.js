import { BANDS, HOP } from "../lib/mel.js";
import { SAMPLE_RATE } from "../lib/resample.js";
import { Lanes } from "./lanes.js";
import { fit, Raster } from "./raster.js";
import { Track } from "./track.js";

const STEP = HOP / SAMPLE_RATE; // seconds from one frame to the next
const RANGE_DB = 70; // of the spectrogram, down from its loudest

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
    this.reset(1, [], 0.25);
  }

  /**
   * Begin a new sound.
   *
   * @param {number} size values of the model's frames
   * @param {string[]} labels its keywords
   * @param {number} hop seconds between keyword windows
   */
  reset(size, labels, hop) {
    this.labels = labels;
    this.mel = new Track(BANDS, STEP);
    this.frames = new Track(size, STEP);
    this.probabilities = new Track(labels.length, hop, 0);
    this.words = [];
    this.cursor = null;
    this.peak = -40;
    this.#keywords.reset();
    this.#low = new Float32Array(size).fill(Infinity);
    this.#high = new Float32Array(size).fill(-Infinity);
  }

  #low;
  #high;

  /** Add a column to the spectrogram. */
  addMel(levels) {
    this.mel.push(levels);
    for (const level of levels) this.peak = Math.max(this.peak, level);
  }

  /** Put frames of the embedding from time index `at` on. */
  addFrames(at, values) {
    this.frames.set(at, values);
    const size = this.frames.size;
    for (let i = 0; i < values.length; i++) {
      const value = Math.asinh(values[i]);
      const j = i % size;
      this.#low[j] = Math.min(this.#low[j], value);
      this.#high[j] = Math.max(this.#high[j], value);
    }
  }

  /** Seconds of the view that fit the width of the page. */
  get span() {
    return Math.min(12, Math.max(5, this.#canvases.spectrogram.clientWidth / 85));
  }

  /** @param {{from: number, seconds: number}} view */
  draw(view) {
    this.#spectrogram.draw(this.mel, view, (level) => 1 + (level - this.peak) / RANGE_DB);
    // Each value on its own scale, compressed: audiomae's follow the sound's raw power.
    const [low, high] = [this.#low, this.#high];
    this.#embedding.draw(this.frames, view, (value, j) => {
      const range = high[j] - low[j];
      return range > 0 ? (Math.asinh(value) - low[j]) / range : 0.5;
    });
    if (this.labels.length > 0) {
      this.#keywords.draw(this.probabilities, this.labels, view, this);
    }
    this.#drawAxis(view);
    this.#drawCursor(view);
  }

  #drawAxis({ from, seconds }) {
    const { context, width } = fit(this.#canvases.axis);
    const style = getComputedStyle(this.#canvases.axis);
    context.font = `12px ${style.fontFamily}`;
    context.fillStyle = style.getPropertyValue("--quiet").trim();
    context.textBaseline = "top";
    const every = seconds > 8 && width < 500 ? 2 : 1;
    for (let t = Math.ceil(from / every) * every; t <= from + seconds; t += every) {
      const x = ((t - from) / seconds) * width;
      const text = `${t} s`;
      context.fillRect(Math.min(x, width - 1), 0, 1, 5);
      const room = context.measureText(text).width;
      context.fillText(text, Math.min(Math.max(0, x - room / 2), width - room), 7);
    }
  }

  #drawCursor({ from, seconds }) {
    if (this.cursor === null) return;
    for (const name of ["spectrogram", "keywords", "embedding"]) {
      const canvas = this.#canvases[name];
      const context = canvas.getContext("2d");
      const x = ((this.cursor - from) / seconds) * canvas.clientWidth;
      context.fillStyle = "#ffffff";
      context.fillRect(x - 1.5, 0, 3, canvas.clientHeight);
      context.fillStyle = "#000000";
      context.fillRect(x - 0.5, 0, 1, canvas.clientHeight);
    }
  }
}
