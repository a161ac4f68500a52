import { colourMap } from "./colours.js";

/** Fit a canvas to its place on the page and to the screen's pixels; return a context in CSS pixels. */
export function fit(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Draws a track as a picture: time to the right, the first value of a row at the bottom. */
export class Raster {
  #canvas;
  #colours;
  #image = document.createElement("canvas");

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {"viridis" | "cividis"} colours
   * @param {boolean} smooth whether values flow into each other or are squares
   */
  constructor(canvas, colours, smooth) {
    this.#canvas = canvas;
    this.#colours = colourMap(colours);
    this.smooth = smooth;
  }

  /**
   * @param {import("./track.js").Track} track
   * @param {{from: number, seconds: number}} view in seconds
   * @param {(value: number, index: number) => number} level of a value, 0 to 1
   */
  draw(track, { from, seconds }, level) {
    const { context, width, height } = fit(this.#canvas);
    const first = Math.max(0, Math.floor((from - track.begin) / track.step));
    const end = Math.min(track.length, Math.ceil((from + seconds - track.begin) / track.step));
    if (end <= first || width === 0) return;
    const image = this.#image;
    Object.assign(image, { width: end - first, height: track.size });
    const pixels = new ImageData(image.width, image.height);
    const colours = new Uint32Array(pixels.data.buffer);
    for (let i = 0; i < image.width; i++) {
      const row = track.row(first + i);
      for (let j = 0; j < track.size; j++) {
        const share = Math.min(1, Math.max(0, level(row[j], j)));
        colours[(track.size - 1 - j) * image.width + i] = this.#colours[Math.round(255 * share)];
      }
    }
    image.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = this.smooth;
    const scale = width / seconds;
    const x = (track.begin + first * track.step - from) * scale;
    context.drawImage(image, x, 0, image.width * track.step * scale, height);
  }
}
