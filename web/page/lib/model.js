/**
 * A model that runs: the encoder of an exported file and what is around it. The ONNX Runtime comes
 * from the caller (onnxruntime-web or onnxruntime-node), so this file is the same everywhere.
 */

import { HearAudioMLPError } from "./errors.js";
import { encoderOf, readMetadata } from "./onnxfile.js";
import { SAMPLE_RATE } from "./resample.js";
import { sceneEmbedding } from "./scene.js";
import { checkWordOptions, findWords, HITS } from "./words.js";

const WINDOW = 16_000; // samples
const HOP = 160; // samples from frame to frame
const WHOLE = 98; // frames of a window
const FRAMES = 100; // of a window, after its first and last one are repeated
const PAD_LEFT = 80; // zeros before a sound
const PADDING = 320; // zeros around it

/** Mel bands of the front end. */
export const BANDS = 40;

/**
 * Windows in one run: small blocks keep what is computed in the processor's cache, memory constant
 * however long a sound is, and the wait short for whoever cancels.
 */
const BLOCK = 8;

/** Loudest sample that is taken without a word: float audio is in [-1, 1]. */
const LOUD = 100;

/**
 * Take audio as float32.
 *
 * @returns {{samples: Float32Array, peak: number}}
 * @throws {HearAudioMLPError} `audio`
 */
export function checkAudio(samples) {
  if (Array.isArray(samples) || samples instanceof Float64Array) {
    if (!samples.every((sample) => typeof sample === "number")) {
      throw new HearAudioMLPError("audio", "audio has to be a list of numbers, mono, in [-1, 1]");
    }
    samples = Float32Array.from(samples);
  }
  if (!(samples instanceof Float32Array)) {
    throw new HearAudioMLPError(
      "audio",
      "audio has to be a Float32Array of mono samples in [-1, 1]; divide 16-bit samples by 32768",
    );
  }
  let peak = 0;
  for (let i = 0; i < samples.length; i++) {
    const size = Math.abs(samples[i]);
    if (!(size < Infinity)) {
      throw new HearAudioMLPError("audio", "audio has NaN or infinite samples; repair or drop them");
    }
    if (size > peak) peak = size;
  }
  return { samples, peak };
}

/** Repeat the first and the last frame of each window, and drop the very first and the very last. */
class Stitcher {
  #size;
  #at = -1; // the row at which the next window begins

  constructor(windows, size) {
    this.#size = size;
    this.rows = new Float32Array((FRAMES * windows - 2) * size);
  }

  /** @param {Float32Array} frames of whole windows, `[n, 98, size]` */
  add(frames) {
    const [size, rows] = [this.#size, this.rows];
    for (let begin = 0; begin < frames.length; begin += WHOLE * size) {
      const end = begin + WHOLE * size;
      if (this.#at >= 0) rows.set(frames.subarray(begin, begin + size), this.#at * size);
      rows.set(frames.subarray(begin, end), (this.#at + 1) * size);
      const last = (this.#at + FRAMES - 1) * size;
      if (last < rows.length) rows.set(frames.subarray(end - size, end), last);
      this.#at += FRAMES;
    }
  }
}

/** Power in dB above the quietest that the front end distinguishes from silence, as bytes of 0.5 dB. */
function toLevels(power) {
  const levels = new Uint8ClampedArray(power.length);
  for (let i = 0; i < power.length; i++) levels[i] = 200 + 20 * Math.log10(power[i]);
  return new Uint8Array(levels.buffer);
}

function checkNames(metadata) {
  let labels;
  try {
    labels = JSON.parse(metadata.keyword_labels ?? "[]");
  } catch {
    labels = null;
  }
  const size = Number(metadata.timestamp_embedding_size);
  const scene = Number(metadata.scene_embedding_size);
  const texts = Array.isArray(labels) && labels.every((label) => typeof label === "string");
  if (!texts || !(size > 0) || !(scene > 0) || !Number.isInteger(scene / size)) {
    throw new HearAudioMLPError(
      "model",
      "this ONNX file isn't a model from waveform to embeddings (it lacks the metadata that " +
        "hearaudiomlp-export writes); make one with hearaudiomlp-export",
    );
  }
  return { labels, size, scene };
}

/** A loaded model. Make one with {@link HearModel.create}. */
export class HearModel {
  #runtime;
  #session;

  constructor(runtime, session, metadata, file) {
    this.#runtime = runtime;
    this.#session = session;
    const { labels, size, scene } = checkNames(metadata);
    this.metadata = metadata;
    this.file = file;
    this.name = metadata.model ?? "unnamed";
    this.sampleRate = SAMPLE_RATE;
    this.timestampEmbeddingSize = size;
    this.sceneEmbeddingSize = scene;
    this.labels = session.outputNames.some((name) => name.endsWith("_logits")) ? labels : [];
    this.otherLabel = metadata.other_label;
  }

  /**
   * @param {object} runtime onnxruntime-web or onnxruntime-node, whatever module it is
   * @param {Uint8Array} bytes an ONNX file made by `hearaudiomlp-export`, with either interface
   * @param {object} [options] session options of ONNX Runtime
   * @returns {Promise<HearModel>}
   * @throws {HearAudioMLPError} `model`, if the file is something else
   */
  static async create(runtime, bytes, options = {}) {
    const metadata = readMetadata(bytes);
    const { labels, size } = checkNames(metadata);
    const encoder = encoderOf(bytes, {
      frame_embeddings: ["n", WHOLE, size],
      keyword_logits: ["n", labels.length],
      window_logits: ["n", labels.length],
      power_mel: ["n", WHOLE, BANDS],
    });
    let session;
    try {
      session = await runtime.InferenceSession.create(encoder, { logSeverityLevel: 3, ...options });
    } catch (problem) {
      throw new HearAudioMLPError("model", `ONNX Runtime can't load this file: ${problem.message}`, {
        cause: problem,
      });
    }
    return new HearModel(runtime, session, metadata, bytes);
  }

  /** Release the memory of the session. */
  async close() {
    await this.#session.release();
  }

  /**
   * Run the encoder on bare windows, without any check of them.
   *
   * @param {Float32Array} windows of 16,000 samples each, one after the other
   * @returns {Promise<{frames: Float32Array, logits: Float32Array, levels: Uint8Array}>} frame
   *   embeddings `[n, 98, size]`, keyword logits `[n, labels]`, and the levels of the mel bands
   *   `[n, 98, 40]` in half dB above -100; empty where the file doesn't compute them
   */
  async encode(windows) {
    const shape = [windows.length / WINDOW, WINDOW];
    const output = await this.#session.run({ windows: new this.#runtime.Tensor("float32", windows, shape) });
    const logits = output.keyword_logits ?? output.window_logits;
    return {
      frames: output.frame_embeddings.data,
      logits: logits?.data ?? new Float32Array(0),
      levels: toLevels(output.power_mel?.data ?? []),
    };
  }

  /** Give the result of {@link encode} for `count` windows of a sound, in blocks. */
  async *#encodeAll(samples, count, beginOf) {
    for (let first = 0; first < count; first += BLOCK) {
      const windows = new Float32Array(Math.min(BLOCK, count - first) * WINDOW);
      for (let i = 0; i * WINDOW < windows.length; i++) {
        const begin = beginOf(first + i);
        const piece = samples.subarray(Math.max(0, begin), Math.max(0, begin + WINDOW));
        windows.set(piece, i * WINDOW + Math.max(0, -begin));
      }
      yield this.encode(windows);
    }
  }

  /**
   * Embed one sound of any length. Memory grows only by what is returned.
   *
   * @param {Float32Array} audio mono at 16 kHz in [-1, 1]
   * @param {object} [options]
   * @param {number} [options.hop] seconds between keyword windows, 0.25; it has to divide 1
   * @param {number} [options.threshold] see WordFinder
   * @param {number} [options.hits] see WordFinder; 2, or 1 where windows overlap little
   * @param {(message: string) => void} [options.warn] called about audio that is far too loud
   * @param {(share: number) => void | Promise<void>} [options.progress] called with the share done
   *   after each block of windows, and waited for
   * @param {AbortSignal} [options.signal] stops the work after the current block
   * @returns {Promise<object>} see index.d.ts
   * @throws {HearAudioMLPError} `audio` or `option`
   */
  async embed(audio, { hop = 0.25, threshold, hits, warn, progress, signal } = {}) {
    const { samples, peak } = checkAudio(audio);
    const shifts = Math.round(1 / hop);
    if (typeof hop !== "number" || !(hop > 0 && hop <= 1) || Math.abs(shifts * hop - 1) > 1e-9 || WINDOW % shifts !== 0) {
      throw new HearAudioMLPError("option", `hop has to be 1, 0.5, 0.25, 0.2 ... s, not ${hop}`);
    }
    const settings = { threshold, hits: hits ?? (hop <= 0.25 ? HITS : 1), ignore: this.otherLabel };
    checkWordOptions(settings);
    if (peak > LOUD) {
      warn?.(`the loudest sample is ${peak}: 16-bit audio has to be divided by 32768`);
    }
    const windows = Math.max(1, Math.ceil((samples.length + PADDING) / WINDOW));
    const times = this.#windowTimes(samples.length / WINDOW, hop, shifts);
    let done = 0;
    const step = async (count) => {
      signal?.throwIfAborted();
      done += count;
      await progress?.(done / (windows + times.length));
      signal?.throwIfAborted();
    };
    const main = await this.#frames(samples, windows, step);
    const logits = new Float32Array(times.length * this.labels.length);
    let at = 0;
    for await (const block of this.#encodeAll(samples, times.length, (i) => Math.round(times[i] * WINDOW))) {
      logits.set(block.logits, at);
      at += block.logits.length;
      await step(block.logits.length / this.labels.length);
    }
    return { ...main, logits, logitTimes: times, keywords: findWords(logits, times, this.labels, settings) };
  }

  /** Timestamp and scene embeddings, and the levels that the encoder saw. */
  async #frames(samples, windows, step) {
    const size = this.timestampEmbeddingSize;
    const count = Math.floor(samples.length / HOP);
    const all = new Stitcher(windows, size);
    const levels = [];
    for await (const block of this.#encodeAll(samples, windows, (i) => i * WINDOW - PAD_LEFT)) {
      all.add(block.frames);
      for (let at = 0; at < block.levels.length; at += WHOLE * BANDS) {
        const window = block.levels.subarray(at, at + WHOLE * BANDS);
        levels.push(window.subarray(0, BANDS), window, window.subarray(-BANDS));
      }
      await step(block.frames.length / (WHOLE * size));
    }
    return {
      embeddings: all.rows.slice(0, count * size),
      timestamps: Float32Array.from({ length: count }, (_, i) => 10 * (i + 1)),
      scene: sceneEmbedding(all.rows, size, this.sceneEmbeddingSize / size),
      levels: joinLevels(levels, count),
    };
  }

  /** When keyword windows begin: from half a second before the sound to half a second before its end. */
  #windowTimes(seconds, hop, shifts) {
    const before = Math.floor(shifts / 2);
    const inside = Math.floor(Math.max(0, seconds - 0.5) / hop) + 1;
    const count = this.labels.length > 0 ? before + inside : 0;
    return Float32Array.from({ length: count }, (_, i) => (i - before) * hop);
  }
}

/** Rows of levels like those of the embeddings: the very first one dropped, `count` of them. */
function joinLevels(pieces, count) {
  const levels = new Uint8Array(pieces.length > 0 ? count * BANDS : 0);
  let at = -BANDS;
  for (const piece of pieces) {
    const end = Math.min(piece.length, levels.length - at);
    if (at >= 0 && end > 0) levels.set(piece.subarray(0, end), at);
    at += piece.length;
  }
  return levels;
}
