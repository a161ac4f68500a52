/**
 * A model that runs: the encoder of an exported file and what is around it. The ONNX Runtime comes
 * from the caller (onnxruntime-web or onnxruntime-node), so this file is the same everywhere.
 */

import { HearAudioMLPError, printable } from "./errors.js";
import { encoderOf, readMetadata } from "./onnxfile.js";
import { checkOptions } from "./options.js";
import { SAMPLE_RATE } from "./resample.js";
import { sceneEmbedding } from "./scene.js";
import { Spool } from "./spool.js";
import { findWords, HITS } from "./words.js";

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

/** Samples that are checked at a time. */
const PIECE = 1 << 20;

/**
 * Take audio as float32.
 *
 * @returns {Float32Array}
 * @throws {HearAudioMLPError} `audio`
 */
function takeAudio(samples) {
  if (Array.isArray(samples) || samples instanceof Float64Array) {
    if (!samples.every((sample) => typeof sample === "number")) {
      throw new HearAudioMLPError("audio", "audio has to be a list of numbers, mono, in [-1, 1]");
    }
    return Float32Array.from(samples);
  }
  if (!(samples instanceof Float32Array)) {
    throw new HearAudioMLPError(
      "audio",
      "audio has to be a Float32Array of mono samples in [-1, 1]; divide 16-bit samples by 32768",
    );
  }
  return samples;
}

/**
 * The loudest of the samples.
 *
 * @throws {HearAudioMLPError} `audio`, if one of them is NaN or infinite
 */
function peakOf(samples) {
  let peak = 0;
  for (let begin = 0; begin < samples.length; begin += PIECE) {
    for (const sample of samples.subarray(begin, begin + PIECE)) {
      const size = Math.abs(sample);
      if (!(size < Infinity)) {
        throw new HearAudioMLPError("audio", "audio has NaN or infinite samples; repair or drop them");
      }
      if (size > peak) peak = size;
    }
  }
  return peak;
}

/** Rows of windows, `[n, 98, size]`, with the first and the last one of each repeated: `[n, 100, size]`. */
function repeatEdges(rows, size) {
  const whole = WHOLE * size;
  const repeated = new rows.constructor((rows.length / whole) * FRAMES * size);
  for (let begin = 0, at = 0; begin < rows.length; begin += whole, at += FRAMES * size) {
    const window = rows.subarray(begin, begin + whole);
    repeated.set(window.subarray(0, size), at);
    repeated.set(window, at + size);
    repeated.set(window.subarray(-size), at + size + whole);
  }
  return repeated;
}

/** Power in dB above the quietest that the front end distinguishes from silence, as bytes of 0.5 dB. */
function toLevels(power) {
  const levels = new Uint8ClampedArray(power.length);
  for (let i = 0; i < power.length; i++) levels[i] = 200 + 20 * Math.log10(power[i]);
  return new Uint8Array(levels.buffer);
}

/** Windows that a sound of `length` samples takes. */
const windowsOf = (length) => Math.max(1, Math.ceil((length + PADDING) / WINDOW));

function checkNames(metadata) {
  let labels;
  try {
    labels = JSON.parse(metadata.keyword_labels ?? "[]");
  } catch {
    labels = null;
  }
  const size = Number(metadata.timestamp_embedding_size);
  const scene = Number(metadata.scene_embedding_size);
  const isWord = (label) => typeof label === "string" && label !== "" && label.length <= 100 && printable(label) === label;
  const texts = Array.isArray(labels) && labels.every(isWord) && new Set(labels).size === labels.length;
  if (!texts || !(size > 0) || !(scene > 0) || !Number.isInteger(scene / size)) {
    throw new HearAudioMLPError(
      "model",
      "this ONNX file isn't a model from waveform to embeddings (it lacks the metadata that " +
        "hearaudiomlp-export writes); make one with hearaudiomlp-export",
    );
  }
  const threshold = metadata.keyword_threshold === undefined ? undefined : Number(metadata.keyword_threshold);
  if (threshold !== undefined && !(threshold > 0 && threshold <= 1)) {
    throw new HearAudioMLPError("model", `this file's keyword_threshold is ${threshold}, not over 0 and at most 1`);
  }
  return { labels, size, scene, threshold };
}

/** A loaded model. Make one with {@link HearModel.create}. */
export class HearModel {
  #runtime;
  #session;

  constructor(runtime, session, metadata, file) {
    this.#runtime = runtime;
    this.#session = session;
    const { labels, size, scene, threshold } = checkNames(metadata);
    this.metadata = metadata;
    this.file = file;
    this.name = metadata.model ?? "unnamed";
    this.sampleRate = SAMPLE_RATE;
    this.timestampEmbeddingSize = size;
    this.sceneEmbeddingSize = scene;
    this.labels = session.outputNames.some((name) => name.endsWith("_logits")) ? labels : [];
    this.otherLabel = metadata.other_label;
    this.keywordThreshold = threshold;
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
    const session = this.#session;
    this.#session = null;
    await session?.release();
  }

  /**
   * Run the encoder on bare windows; what is in them isn't checked.
   *
   * @param {Float32Array} windows of 16,000 samples each, one after the other
   * @returns {Promise<{frames: Float32Array, logits: Float32Array, levels: Uint8Array}>} frame
   *   embeddings `[n, 98, size]`, keyword logits `[n, labels]`, and the levels of the mel bands
   *   `[n, 98, 40]` in half dB above -100; empty where the file doesn't compute them
   * @throws {HearAudioMLPError} `audio`, if they aren't whole windows; `model`, if it was closed; `runtime`
   */
  async encode(windows) {
    if (!(windows instanceof Float32Array) || windows.length === 0 || windows.length % WINDOW !== 0) {
      throw new HearAudioMLPError("audio", "windows have to be a Float32Array of 16,000 samples each, one at least");
    }
    if (this.#session === null) throw new HearAudioMLPError("model", "this model was closed; load it again");
    const shape = [windows.length / WINDOW, WINDOW];
    let output;
    try {
      output = await this.#session.run({ windows: new this.#runtime.Tensor("float32", windows, shape) });
    } catch (problem) {
      throw new HearAudioMLPError("runtime", `ONNX Runtime failed: ${problem.message}`, { cause: problem });
    }
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
   * @param {number} [options.threshold] see WordFinder; the file's own by default, if it has one
   * @param {number} [options.hits] see WordFinder; 2, or 1 where windows overlap little
   * @param {(message: string) => void} [options.warn] called about audio that is far too loud
   * @param {(share: number) => void | Promise<void>} [options.progress] called with the share done
   *   after each block of windows, and waited for
   * @param {AbortSignal} [options.signal] stops the work after the current block
   * @returns {Promise<object>} see index.d.ts
   * @throws {HearAudioMLPError} `audio` or `option`
   */
  async embed(audio, options) {
    const samples = takeAudio(audio);
    const size = this.timestampEmbeddingSize;
    const rows = new Spool(Float32Array, { capacity: size * FRAMES * windowsOf(samples.length) });
    const { count, ...result } = await this.embedInto(rows, samples, options);
    return {
      embeddings: rows.subarray(0, count * size).slice(),
      timestamps: Float32Array.from({ length: count }, (_, i) => 10 * (i + 1)),
      ...result,
    };
  }

  /**
   * What {@link embed} does, for sounds that needn't be in memory.
   *
   * @param {Spool} rows gets the timestamp embeddings, and up to a second of rows after them
   * @param {{length: number, subarray: (begin: number, end: number) => Float32Array}} samples
   * @param {object} [options] as for `embed`
   * @returns {Promise<object>} `count` of the timestamps, and what `embed` gives but for them and their embeddings
   */
  async embedInto(rows, samples, options) {
    checkOptions(options, ["hop", "threshold", "hits", "warn", "progress", "signal"]);
    const { hop = 0.25, threshold = this.keywordThreshold, warn, progress, signal } = options ?? {};
    const { hits = hop <= 0.25 ? HITS : 1 } = options ?? {};
    const settings = { threshold, hits, ignore: this.otherLabel };
    const peak = peakOf(samples);
    if (peak > LOUD) {
      warn?.(`the loudest sample is ${peak}: 16-bit audio has to be divided by 32768`);
    }
    const windows = windowsOf(samples.length);
    const times = this.#windowTimes(samples.length / WINDOW, hop);
    let done = 0;
    const step = async (count) => {
      signal?.throwIfAborted();
      done += count;
      await progress?.(done / (windows + times.length));
      signal?.throwIfAborted();
    };
    const main = await this.#frames(rows, samples, windows, step);
    const logits = new Float32Array(times.length * this.labels.length);
    let at = 0;
    for await (const block of this.#encodeAll(samples, times.length, (i) => Math.round(times[i] * WINDOW))) {
      logits.set(block.logits, at);
      at += block.logits.length;
      await step(block.logits.length / this.labels.length);
    }
    return { ...main, logits, logitTimes: times, keywords: findWords(logits, times, this.labels, settings) };
  }

  /** Timestamp embeddings into `rows`; the scene embedding, and the levels that the encoder saw. */
  async #frames(rows, samples, windows, step) {
    const size = this.timestampEmbeddingSize;
    const count = Math.floor(samples.length / HOP);
    const levels = new Spool(Uint8Array, { capacity: BANDS * FRAMES * windows });
    let dropped = 1; // the very first row
    for await (const block of this.#encodeAll(samples, windows, (i) => i * WINDOW - PAD_LEFT)) {
      await rows.append(repeatEdges(block.frames, size).subarray(dropped * size));
      await levels.append(repeatEdges(block.levels, BANDS).subarray(dropped * BANDS));
      dropped = 0;
      await step(block.frames.length / (WHOLE * size));
    }
    return {
      count,
      scene: sceneEmbedding(rows, FRAMES * windows - 2, size, this.sceneEmbeddingSize / size),
      levels: levels.subarray(0, count * BANDS).slice(),
    };
  }

  /** When keyword windows begin: from half a second before the sound to half a second before its end. */
  #windowTimes(seconds, hop) {
    const before = Math.floor(Math.round(1 / hop) / 2);
    const inside = Math.floor(Math.max(0, seconds - 0.5) / hop) + 1;
    const count = this.labels.length > 0 ? before + inside : 0;
    return Float32Array.from({ length: count }, (_, i) => (i - before) * hop);
  }
}
