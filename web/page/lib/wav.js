/**
 * WAV files, read to the numbers that are in them: RIFF, RIFX and RF64 (EBU Tech 3306), PCM of 8 to
 * 32 bits, 32 and 64-bit float, A-law and mu-law (ITU-T G.711). They are read in pieces, so that
 * their length costs no memory but that of the result.
 */

import { HearAudioMLPError } from "./errors.js";
import { Resampler, SAMPLE_RATE } from "./resample.js";
import { Spool } from "./spool.js";
import { CHUNKS, sizeOfSamples } from "./wavsize.js";

/** Samples per second that a header may give: bats are recorded at up to 500 kHz. */
const RATES = [1_000, 2_000_000];

/** Bytes read at a time: as many as are resampled within a tenth of a second. */
const PIECE = 1 << 17;

const PCM = 1;
const FLOAT = 3;
const ALAW = 6;
const MULAW = 7;
const EXTENSIBLE = 0xfffe;

/** Behind the code in an extensible format: of Microsoft's formats, and of Ambisonic B-format. */
const GUIDS = ["000000001000800000aa00389b71", "00002107d3118644c8c1ca000000"];

function alaw(code) {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = ((bits & 15) << 4) + 8;
  const size = exponent === 0 ? mantissa : (mantissa + 256) << (exponent - 1);
  return (bits & 128 ? size : -size) / 32_768;
}

function mulaw(code) {
  const bits = ~code & 255;
  const size = (((bits & 15) << 3) + 132) << ((bits >> 4) & 7);
  return (bits & 128 ? 132 - size : size - 132) / 32_768;
}

/** How to read one sample of a format, by its code and bytes. */
function readerOf(code, bytes) {
  switch (`${code}:${bytes}`) {
    case `${PCM}:1`:
      return (view, at) => (view.getUint8(at) - 128) / 128;
    case `${PCM}:2`:
      return (view, at, little) => view.getInt16(at, little) / 32_768;
    case `${PCM}:3`:
      return (view, at, little) =>
        little
          ? ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 8_388_608
          : ((view.getInt8(at) << 16) | view.getUint16(at + 1, false)) / 8_388_608;
    case `${PCM}:4`:
      return (view, at, little) => view.getInt32(at, little) / 2_147_483_648;
    case `${FLOAT}:4`:
      return (view, at, little) => view.getFloat32(at, little);
    case `${FLOAT}:8`:
      return (view, at, little) => view.getFloat64(at, little);
    case `${ALAW}:1`:
      return (view, at) => alaw(view.getUint8(at));
    case `${MULAW}:1`:
      return (view, at) => mulaw(view.getUint8(at));
    default:
      return null;
  }
}

const name = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

/** What a "fmt " chunk says; `view` begins with its name. */
function readFormat(view, length, little) {
  let code = view.getUint16(8, little);
  if (code === EXTENSIBLE && length >= 40 && view.byteLength >= 48) {
    const guid = Array.from({ length: 14 }, (_, i) => view.getUint8(34 + i).toString(16).padStart(2, "0")).join("");
    code = GUIDS.includes(guid) || !little ? view.getUint16(32, little) : code;
  }
  const channels = view.getUint16(10, little);
  return { code, channels, rate: view.getUint32(12, little), step: view.getUint16(20, little) };
}

/**
 * @typedef {object} WavHeader
 * @property {number} rate samples per second
 * @property {number} channels
 * @property {number} frames samples in each channel
 * @property {number} at where they begin in the file
 * @property {number} step bytes of one sample of all channels
 * @property {number} bytes of one sample
 * @property {boolean} little whether it is little-endian
 * @property {(view: DataView, at: number, little: boolean) => number} sample
 */

/**
 * Read a WAV header.
 *
 * @param {(begin: number, end: number) => Promise<Uint8Array>} read gives bytes of the file; fewer at its end
 * @param {number} size bytes in the file
 * @param {string} file its name, for messages
 * @returns {Promise<WavHeader | null>} null for other files, and for WAVs whose samples are compressed
 * @throws {HearAudioMLPError} `file`, if it is cut off or says what can't be
 */
export async function readHeader(read, size, file) {
  const fail = (what) => {
    throw new HearAudioMLPError("file", `${file}: ${what}`);
  };
  const head = await read(0, 12);
  const kind = name(head, 0);
  if (!["RIFF", "RIFX", "RF64", "BW64"].includes(kind) || name(head, 8) !== "WAVE") return null;
  const little = kind !== "RIFX";
  let format = null;
  let data = null;
  let long = null; // the size of the samples, where 32 bits don't hold it
  let chunks = 0;
  for (let at = 12; at + 8 <= size && (format === null || data === null); ) {
    if (++chunks > CHUNKS) fail("not a WAV file that can be read (it consists of too many chunks)");
    const bytes = await read(at, at + 48);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const chunk = name(bytes, 0);
    const length = view.getUint32(4, little);
    if (chunk === "ds64" && bytes.length >= 24) long = view.getBigUint64(16, little);
    if (chunk === "fmt " && bytes.length >= 24) format ??= readFormat(view, length, little);
    if (chunk === "data") data ??= { start: at + 8, length };
    at += 8 + length + (length % 2);
  }
  if (data === null) fail("not a WAV file that can be read (there are no samples in it)");
  if (format === null) fail("not a WAV file that can be read (it doesn't say what its samples are)");
  const { code, channels, rate, step } = format;
  if (channels === 0 || step === 0 || step % channels !== 0) {
    fail("not a WAV file that can be read (its format is impossible)");
  }
  if (rate < RATES[0] || rate >= RATES[1]) fail(`${rate} Hz is not a plausible sample rate`);
  const bytes = step / channels;
  const sample = readerOf(code, bytes);
  if (sample === null) return null; // compressed: the browser may know it
  const riff = 8 + new DataView(head.buffer, head.byteOffset).getUint32(4, little);
  const facts = { read, size, kind, riff, little, format: { bytes, sample }, fail };
  const length = await sizeOfSamples(facts, { ...data, long });
  return { rate, channels, frames: Math.floor(length / step), at: data.start, step, bytes, little, sample };
}

/**
 * The samples of a WAV file, in pieces: channels averaged, at the rate of the file.
 *
 * @param {WavHeader} header
 * @param {(begin: number, end: number) => Promise<Uint8Array>} read
 * @param {string} file its name, for messages
 * @yields {Float32Array}
 * @throws {HearAudioMLPError} `file`, if there are NaN or infinite samples
 */
export async function* readSamples({ frames, channels, at, step, bytes, little, sample }, read, file) {
  const count = Math.max(1, Math.floor(PIECE / step));
  for (let first = 0; first < frames; first += count) {
    const length = Math.min(count, frames - first);
    const raw = await read(at + first * step, at + (first + length) * step);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const mono = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += sample(view, i * step + c * bytes, little);
      mono[i] = sum / channels;
      if (!Number.isFinite(mono[i])) {
        throw new HearAudioMLPError("file", `${file}: has NaN or infinity in its samples`);
      }
    }
    yield mono;
  }
}

/** Collects pieces of a sound at any rate as samples at 16 kHz. */
export class Collector {
  #resampler;

  /**
   * @param {number} rate of the pieces
   * @param {import("./spool.js").Spool} samples gets the samples
   */
  constructor(rate, samples) {
    this.#resampler = new Resampler(rate);
    this.samples = samples;
  }

  /** @param {Float32Array} piece */
  async add(piece) {
    await this.samples.append(this.#resampler.process(piece));
  }

  async end() {
    await this.samples.append(this.#resampler.flush());
  }
}

/**
 * Read a whole WAV file.
 *
 * @param {(begin: number, end: number) => Promise<Uint8Array>} read
 * @param {number} size bytes in the file
 * @param {string} file its name, for messages
 * @param {object} [options] `progress`: called with the share done after each piece, and waited for;
 *   `overflow`: see Spool
 * @returns {Promise<{samples: Spool, rate: number, channels: number, duration: number} | null>}
 *   mono at 16 kHz; rate, channels and seconds of the file; null for what is no WAV that can be read here
 * @throws {HearAudioMLPError} `file`
 */
export async function readWav(read, size, file, { progress, overflow } = {}) {
  const header = await readHeader(read, size, file);
  if (header === null) return null;
  const { rate, channels, frames } = header;
  const samples = new Spool(Float32Array, { capacity: Math.ceil((frames * SAMPLE_RATE) / rate) + 1, overflow });
  try {
    const collector = new Collector(rate, samples);
    let done = 0;
    for await (const piece of readSamples(header, read, file)) {
      await collector.add(piece);
      done += piece.length;
      await progress?.(done / frames);
    }
    await collector.end();
  } catch (problem) {
    samples.remove();
    throw problem;
  }
  return { samples, rate, channels, duration: frames / rate };
}

/** 16-bit samples, little-endian. */
export function toInt16(samples) {
  const body = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    body[i] = Math.max(-32_768, Math.min(32_767, Math.round(32_768 * samples[i])));
  }
  return new Uint8Array(body.buffer);
}

/** The header of a WAV file of `count` 16-bit samples at 16 kHz. */
export function wavHeader(count) {
  const header = new DataView(new ArrayBuffer(44));
  const put = (at, text) => [...text].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  put(0, "RIFF");
  header.setUint32(4, 36 + 2 * count, true);
  put(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint32(20, 0x10001, true); // PCM, one channel
  header.setUint32(24, SAMPLE_RATE, true);
  header.setUint32(28, 2 * SAMPLE_RATE, true);
  header.setUint32(32, 0x100002, true); // two bytes, 16 bits
  put(36, "data");
  header.setUint32(40, 2 * count, true);
  return new Uint8Array(header.buffer);
}

/**
 * A WAV file of samples at 16 kHz, 16 bits; for players and other programs.
 *
 * @param {Float32Array} samples
 * @returns {Uint8Array[]} header and body
 */
export const wavOf = (samples) => [wavHeader(samples.length), toInt16(samples)];
