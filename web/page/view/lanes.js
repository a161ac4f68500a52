import { fit } from "./raster.js";
import { readTheme } from "./theme.js";

const LANE_HEIGHT = 1.55; // rem that a lane takes at least
const SEEN = 0.3; // probability from which on a word gets a lane

/**
 * Draws probabilities over time, one lane a word. Words are distinguished by place and name, not by
 * colour. A word keeps its lane for as long as it is in view.
 */
export class Lanes {
  #canvas;
  #lanes = [];

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Forget which word had which lane. */
  reset() {
    this.#lanes = [];
  }

  /**
   * @param {import("./track.js").Track} track probabilities; a row's time is its window's middle
   * @param {string[]} labels
   * @param {{from: number, seconds: number}} view
   * @param {{threshold: number, words: {word: string, start: number, end: number}[]}} marks
   */
  draw(track, labels, view, { threshold, words }) {
    const { context, width, height } = fit(this.#canvas);
    if (width === 0) return;
    const { colours, family, rem } = readTheme();
    const colour = (name) => colours[name];
    const first = Math.max(0, Math.floor((view.from - track.begin) / track.step) - 1);
    const end = Math.min(track.length, Math.ceil((view.from + view.seconds - track.begin) / track.step) + 2);
    const room = Math.max(1, Math.floor(height / (LANE_HEIGHT * rem)));
    this.#assign(track, first, end, room);

    const lane = height / room;
    const x = (time) => ((time - view.from) / view.seconds) * width;
    context.font = `600 ${0.8125 * rem}px ${family}`;
    context.textBaseline = "middle";
    for (const [i, label] of this.#lanes.entries()) {
      const floor = (i + 1) * lane - 2;
      const y = (p) => floor - p * (lane - 5);
      context.strokeStyle = colour("--line");
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(0, floor + 0.5);
      context.lineTo(width, floor + 0.5);
      context.stroke();
      if (label === null) continue;

      context.beginPath();
      context.moveTo(x(track.begin + first * track.step), floor);
      for (let row = first; row < end; row++) {
        context.lineTo(x(track.begin + row * track.step), y(track.row(row)[label]));
      }
      context.lineTo(x(track.begin + (end - 1) * track.step), floor);
      context.fillStyle = colour("--lane-fill");
      context.fill();
      context.strokeStyle = colour("--lane");
      context.lineWidth = 1.5;
      context.stroke();
      context.setLineDash([2, 4]);
      context.strokeStyle = colour("--quiet");
      context.beginPath();
      context.moveTo(0, y(threshold));
      context.lineTo(width, y(threshold));
      context.lineWidth = 1;
      context.stroke();
      context.setLineDash([]);

      this.#name(context, labels[label], 6, floor - lane / 2 + 2, colour);
      for (const { word, start, end: stop } of words) {
        if (word !== labels[label]) continue;
        const half = context.measureText(word).width / 2;
        const centre = x((start + stop) / 2);
        if (centre + half < 0 || centre - half > width) continue;
        // Near the lane's own name, that name says it already.
        if (centre - half < 2 * half + 40) continue;
        const left = Math.min(centre - half, width - 2 * half - 4); // whole at the right edge
        this.#name(context, word, left, floor - lane / 2 + 2, colour);
      }
    }
  }

  #name(context, text, x, y, colour) {
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = colour("--canvas");
    context.strokeText(text, x, y);
    context.fillStyle = colour("--text");
    context.fillText(text, x, y);
  }

  /** Give the most probable words in view a lane each, in the order in which they were spoken. */
  #assign(track, first, end, room) {
    const largest = new Float32Array(track.size);
    const when = new Float32Array(track.size);
    for (let row = first; row < end; row++) {
      track.row(row).forEach((p, i) => {
        if (p <= largest[i]) return;
        largest[i] = p;
        when[i] = row;
      });
    }
    const wanted = [...largest.keys()]
      .filter((i) => largest[i] >= SEEN)
      .sort((a, b) => largest[b] - largest[a])
      .slice(0, room)
      .sort((a, b) => when[a] - when[b]);
    this.#lanes = Array.from({ length: room }, (_, i) => {
      const label = this.#lanes[i] ?? null;
      return label !== null && wanted.includes(label) ? label : null;
    });
    for (const label of wanted) {
      if (this.#lanes.includes(label)) continue;
      const free = this.#lanes.indexOf(null);
      if (free >= 0) this.#lanes[free] = label;
    }
  }
}
