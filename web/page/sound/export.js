/** What was computed, as files for other programs. */

import { printable } from "../lib/errors.js";
import { toInt16, wavHeader } from "../lib/wav.js";
import { npz } from "./npz.js";

/** Samples that are written at a time. */
const PIECE = 1 << 20;

/**
 * The archive that `hearaudiomlp embed` writes for one file.
 *
 * @param {object} sound `name`; `duration`, `rate` and `channels` of the file; `rows`: a Spool with its
 *   timestamp embeddings; `result`: their `count`, and the scene embedding
 * @param {import("../lib/model.js").HearModel} model
 * @returns {Promise<Blob>}
 */
export function toNpz({ name, duration, rate, channels, rows, result }, model) {
  const { count, scene } = result;
  const whole = (...values) => BigInt64Array.from(values, BigInt);
  return npz({
    timestamp_embeddings: { data: rows, shape: [count, model.timestampEmbeddingSize] },
    paths: { data: [name], shape: [1] },
    offsets: { data: whole(0, count), shape: [2] },
    durations: { data: Float64Array.of(duration), shape: [1] },
    sample_rates: { data: whole(rate), shape: [1] },
    channels: { data: whole(channels), shape: [1] },
    truncated: { data: Uint8Array.of(0), shape: [1] }, // such files are refused
    model: { data: [model.name], shape: [] },
    checkpoint_sha256: { data: [model.metadata.checkpoint_sha256 ?? ""], shape: [] },
    timestamps: { data: Float32Array.from({ length: count }, (_, i) => 10 * (i + 1)), shape: [count] },
    scene_embeddings: { data: scene, shape: [1, model.sceneEmbeddingSize] },
  });
}

/**
 * A WAV file.
 *
 * @param {Spool} samples at 16 kHz
 * @param {Spool} bytes gets the file
 * @returns {Promise<Blob>}
 */
export async function toWav(samples, bytes) {
  await bytes.append(wavHeader(samples.length));
  for (const piece of samples.pieces(PIECE)) await bytes.append(toInt16(piece));
  return new Blob([await bytes.blob()], { type: "audio/wav" });
}

/** Text that no spreadsheet takes for a formula: those begin so, the last four in full width. */
const cell = (text) => (/^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/u.test(text) ? `'${text}` : text);

const quoted = (text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Words as a table: start and end in seconds, the word, its probability. */
export function toCsv(words) {
  const rows = words.map(({ start, end, word, probability }) =>
    [start.toFixed(3), end.toFixed(3), quoted(cell(printable(word))), probability.toFixed(4)].join(","),
  );
  return new Blob([`${["start,end,word,probability", ...rows].join("\r\n")}\r\n`], { type: "text/csv" });
}

/** Words as the label track that Audacity imports. */
export function toLabelTrack(words) {
  const rows = words.map(({ start, end, word }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${printable(word)}\n`);
  return new Blob(rows, { type: "text/plain" });
}
