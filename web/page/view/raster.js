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

/** Draws a track of bytes as a picture: time to the right, the first value of a row at the bottom. */
export class Raster {
  #canvas;
  #map;
  #colours = new Uint32Array(256);
  #image = document.createElement("canvas");

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {"viridis" | "cividis"} colours
   * @param {boolean} smooth whether values flow into each other or are squares
   */
  constructor(canvas, colours, smooth) {
    this.#canvas = canvas;
    this.#map = colourMap(colours);
    this.smooth = smooth;
  }

  /**
   * @param {import("./track.js").Track} track
   * @param {{from: number, seconds: number}} view in seconds
   * @param {(byte: number) => number} level of a byte, 0 to 1
   */
  draw(track, { from, seconds }, level) {
    const { context, width, height } = fit(this.#canvas);
    const first = Math.max(0, Math.floor((from - track.begin) / track.step));
    const end = Math.ceil((from + seconds - track.begin) / track.step);
    const { from: begin, values } = track.rows(first, end);
    const columns = values.length / track.size;
    if (!(columns >= 1) || width === 0) return;
    for (let byte = 0; byte < 256; byte++) {
      this.#colours[byte] = this.#map[Math.round(255 * Math.min(1, Math.max(0, level(byte))))];
    }
    const image = this.#image;
    Object.assign(image, { width: columns, height: track.size });
    const pixels = new ImageData(columns, track.size);
    const colours = new Uint32Array(pixels.data.buffer);
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < track.size; j++) {
        colours[(track.size - 1 - j) * columns + i] = this.#colours[values[i * track.size + j]];
      }
    }
    image.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = this.smooth;
    const scale = width / seconds;
    const x = (track.begin + begin * track.step - from) * scale;
    context.drawImage(image, x, 0, columns * track.step * scale, height);
  }
}
