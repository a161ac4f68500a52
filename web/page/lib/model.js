/**
 * A model that runs: the exported single graph and what is needed around it. The ONNX Runtime comes
 * from the caller (onnxruntime-web or onnxruntime-node), so this file is the same everywhere.
 */

import { HearAudioMLPError } from "./errors.js";
import { readMetadata } from "./onnxfile.js";
import { SAMPLE_RATE } from "./resample.js";
import { sceneEmbedding } from "./scene.js";
import { findWords, HITS } from "./words.js";

const WINDOW = 16_000; // samples in the windows that the graph cuts
const HOP = 160; // samples from frame to frame
const FRAMES = 100; // of a window, after its first and last one are repeated
const PADDING = 320; // zeros that the graph puts around a sound

/** Windows that one run of the graph is for, so that memory stays constant however long a sound is. */
const BLOCK = 16;

const INPUT = "audio";
const OUTPUTS = ["timestamp_embeddings", "scene_embeddings"];

/** Loudest sample that is taken without a word: float audio lies in [-1, 1]. */
const LOUD = 100;

function checked(samples) {
  if (Array.isArray(samples) || samples instanceof Float64Array) samples = Float32Array.from(samples);
  if (!(samples instanceof Float32Array)) {
    throw new HearAudioMLPError(
      "audio",
      "audio has to be a Float32Array of mono samples in [-1, 1]; divide 16-bit samples by 32768",
    );
  }
  let peak = 0;
  for (const sample of samples) {
    if (!Number.isFinite(sample)) {
      throw new HearAudioMLPError("audio", "audio has NaN or infinite samples; repair or drop them");
    }
    peak = Math.max(peak, Math.abs(sample));
  }
  return { samples, peak };
}

/** `samples[from..to)`, zeros where there are none. */
function piece(samples, from, to) {
  if (from >= 0 && to <= samples.length) return samples.subarray(from, to);
  const padded = new Float32Array(to - from);
  padded.set(samples.subarray(Math.max(0, from), Math.max(0, to)), Math.max(0, -from));
  return padded;
}

/** A loaded model. Make one with {@link HearModel.create}. */
export class HearModel {
  #runtime;
  #session;

  constructor(runtime, session, metadata, bytes) {
    this.#runtime = runtime;
    this.#session = session;
    this.metadata = metadata;
    this.bytes = bytes;
    this.name = metadata.model ?? "unnamed";
    this.sampleRate = SAMPLE_RATE;
    this.timestampEmbeddingSize = Number(metadata.timestamp_embedding_size);
    this.sceneEmbeddingSize = Number(metadata.scene_embedding_size);
    this.labels = session.outputNames.includes("keyword_logits")
      ? JSON.parse(metadata.keyword_labels)
      : [];
  }

  /**
   * @param {object} runtime onnxruntime-web or onnxruntime-node, whatever module it is
   * @param {Uint8Array} bytes an ONNX file made by `hearaudiomlp-export --interface pipeline`
   * @param {object} [options] session options of ONNX Runtime
   * @returns {Promise<HearModel>}
   * @throws {HearAudioMLPError} `model`, if the file is something else
   */
  static async create(runtime, bytes, options = {}) {
    const metadata = readMetadata(bytes);
    let session;
    try {
      session = await runtime.InferenceSession.create(bytes, options);
    } catch (problem) {
      throw new HearAudioMLPError("model", `ONNX Runtime can't load this file: ${problem.message}`, {
        cause: problem,
      });
    }
    const names = [...session.inputNames, ...session.outputNames];
    const missing = [INPUT, ...OUTPUTS].filter((name) => !names.includes(name));
    if (missing.length > 0 || !metadata.timestamp_embedding_size) {
      await session.release();
      throw new HearAudioMLPError(
        "model",
        "this ONNX file isn't a model from waveform to embeddings" +
          (missing.length > 0 ? ` (it has no ${missing.join(", ")})` : " (it has no metadata)") +
          "; make one with hearaudiomlp-export --interface pipeline",
      );
    }
    return new HearModel(runtime, session, metadata, bytes.length);
  }

  /** Release the memory of the session. */
  async close() {
    await this.#session.release();
  }

  /**
   * Run the graph once on one sound, without any check of it.
   *
   * @param {Float32Array} samples
   * @returns {Promise<{embeddings: Float32Array, scene: Float32Array, logits: Float32Array}>}
   */
  async run(samples) {
    const audio = new this.#runtime.Tensor("float32", samples, [1, samples.length]);
    const output = await this.#session.run({ [INPUT]: audio });
    return {
      embeddings: output.timestamp_embeddings.data,
      scene: output.scene_embeddings.data,
      logits: output.keyword_logits?.data ?? new Float32Array(0),
    };
  }

  /**
   * Embed one sound of any length. Memory grows only by what is returned.
   *
   * @param {Float32Array} audio mono at 16 kHz in [-1, 1]
   * @param {object} [options]
   * @param {number} [options.hop] seconds between keyword windows, 0.25; it has to divide 1
   * @param {number} [options.threshold] see WordFinder
   * @param {number} [options.hits] see WordFinder; 2, or 1 where windows overlap little
   * @param {(message: string) => void} [options.warn] told of audio that is far too loud
   * @param {(share: number) => void} [options.progress] told what share is done
   * @returns {Promise<object>} see index.d.ts
   * @throws {HearAudioMLPError} `audio`
   */
  async embed(audio, { hop = 0.25, threshold, hits, warn, progress = () => {} } = {}) {
    const { samples, peak } = checked(audio);
    const shifts = Math.round(1 / hop);
    if (!(hop > 0 && hop <= 1) || Math.abs(shifts * hop - 1) > 1e-9 || WINDOW % shifts !== 0) {
      throw new HearAudioMLPError("audio", `hop has to be 1, 0.5, 0.25, 0.2 ... s, not ${hop}`);
    }
    if (peak > LOUD) {
      warn?.(`the loudest sample is ${peak}: 16-bit audio has to be divided by 32768`);
    }
    const windows = Math.max(1, Math.ceil((samples.length + PADDING) / WINDOW));
    const sound = { samples, windows, frames: Math.floor(samples.length / HOP) };
    const total = this.labels.length > 0 ? shifts : 1;
    const main = await this.#embedBlocks(sound, (share) => progress(share / total));
    const rows = [main.logits];
    for (let shift = 1; shift < total; shift++) {
      rows.push(await this.#shiftedLogits(samples, (shift * WINDOW) / shifts));
      progress((shift + 1) / total);
    }
    const { logits, times } = this.#inOrder(rows, samples.length / WINDOW);
    const settings = { threshold, hits: hits ?? (hop <= 0.25 ? HITS : 1) };
    return {
      embeddings: main.embeddings,
      timestamps: Float32Array.from({ length: sound.frames }, (_, i) => 10 * (i + 1)),
      scene: main.scene,
      logits,
      logitTimes: times,
      keywords: findWords(logits, times, this.labels, settings),
    };
  }

  /** Timestamp embeddings, scene embedding and the logits of every second. */
  async #embedBlocks({ samples, windows, frames }, progress) {
    if (windows <= BLOCK) return this.run(samples);
    const size = this.timestampEmbeddingSize;
    const all = new Float32Array((FRAMES * windows - 2) * size);
    const labels = this.labels.length;
    const logits = new Float32Array(Math.ceil(samples.length / WINDOW) * labels);
    for (let first = 0; first < windows; first += BLOCK) {
      // The graph pads what it is given at both ends. So a block takes a second before it along,
      // and ends with a whole second, whose own padding falls into a window more; the frames of
      // both are dropped.
      const lead = first === 0 ? 0 : 1;
      const last = Math.min(windows, first + BLOCK);
      const end = last < windows ? last * WINDOW : last * WINDOW - PADDING;
      const block = await this.run(piece(samples, (first - lead) * WINDOW, end));
      const from = lead === 0 ? 0 : FRAMES - 1;
      const at = lead === 0 ? 0 : FRAMES * first - 1;
      const count = Math.min(FRAMES * last - 1, FRAMES * windows - 2) - at;
      all.set(block.embeddings.subarray(from * size, (from + count) * size), at * size);
      const room = logits.subarray(first * labels);
      const fresh = block.logits.subarray(lead * labels);
      room.set(fresh.subarray(0, Math.min(fresh.length, room.length)));
      progress(last / windows);
    }
    return {
      embeddings: all.slice(0, frames * size),
      scene: sceneEmbedding(all, size, this.sceneEmbeddingSize / size),
      logits,
    };
  }

  /**
   * The logits of windows that begin `shift` samples after each whole second. Those of half a
   * second and more begin before the sound, with silence, so that its first word has its windows.
   */
  async #shiftedLogits(samples, shift) {
    const begin = 2 * shift >= WINDOW ? shift - WINDOW : shift;
    const windows = Math.max(1, Math.ceil((samples.length - begin) / WINDOW));
    const all = new Float32Array(windows * this.labels.length);
    for (let first = 0; first < windows; first += BLOCK) {
      const last = Math.min(windows, first + BLOCK);
      const block = piece(samples, begin + first * WINDOW, begin + last * WINDOW);
      all.set((await this.run(block)).logits, first * this.labels.length);
    }
    return all;
  }

  /** Sort rows of shifted windows by time; drop windows that begin in a sound's last half second. */
  #inOrder(rows, seconds) {
    const labels = this.labels.length;
    const hop = 1 / rows.length;
    const before = Math.floor(rows.length / 2); // windows that begin before the sound
    const inside = Math.floor(Math.max(0, seconds - 0.5) / hop) + 1;
    const count = labels === 0 ? 0 : before + inside;
    const logits = new Float32Array(count * labels);
    for (let i = 0; i < count; i++) {
      const row = (i - before + rows.length) % rows.length;
      const begin = 2 * row >= rows.length ? row - rows.length : row;
      const at = ((i - before - begin) / rows.length) * labels;
      logits.set(rows[row].subarray(at, at + labels), i * labels);
    }
    return { logits, times: Float32Array.from({ length: count }, (_, i) => (i - before) * hop) };
  }
}
