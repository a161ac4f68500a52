/** What was computed, as files for other programs. */

import { wavOf } from "../lib/wav.js";
import { npz } from "./npz.js";

/**
 * The archive that `hearaudiomlp embed` writes for one file.
 *
 * @param {{name: string, duration: number, rate: number, channels: number, result: object}} sound
 * @param {import("../lib/model.js").HearModel} model
 * @returns {Blob}
 */
export function toNpz({ name, duration, rate, channels, result }, model) {
  const rows = result.timestamps.length;
  const whole = (...values) => BigInt64Array.from(values, BigInt);
  return npz({
    timestamp_embeddings: { data: result.embeddings, shape: [rows, model.timestampEmbeddingSize] },
    paths: { data: [name], shape: [1] },
    offsets: { data: whole(0, rows), shape: [2] },
    durations: { data: Float64Array.of(duration), shape: [1] },
    sample_rates: { data: whole(rate), shape: [1] },
    channels: { data: whole(channels), shape: [1] },
    truncated: { data: Uint8Array.of(0), shape: [1] }, // such files are refused
    model: { data: [model.name], shape: [] },
    checkpoint_sha256: { data: [model.metadata.checkpoint_sha256 ?? ""], shape: [] },
    timestamps: { data: result.timestamps, shape: [rows] },
    scene_embeddings: { data: result.scene, shape: [1, model.sceneEmbeddingSize] },
  });
}

/** @param {Float32Array} samples at 16 kHz */
export function toWav(samples) {
  return new Blob(wavOf(samples), { type: "audio/wav" });
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Words as a table: start and end in seconds, the word, its probability. */
export function toCsv(words) {
  const rows = words.map(({ start, end, word, probability }) =>
    [start.toFixed(3), end.toFixed(3), quoted(word), probability.toFixed(4)].join(","),
  );
  return new Blob([`${["start,end,word,probability", ...rows].join("\r\n")}\r\n`], { type: "text/csv" });
}

/** Words as the label track that Audacity imports. */
export function toLabelTrack(words) {
  const rows = words.map(({ start, end, word }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${word}\n`);
  return new Blob(rows, { type: "text/plain" });
}
