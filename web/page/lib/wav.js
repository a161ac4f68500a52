/**
 * WAV files, read to the numbers that are in them: RIFF, RIFX and RF64 (EBU Tech 3306), PCM of 8 to
 * 32 bits, 32 and 64-bit float, A-law and mu-law (ITU-T G.711). They are read in pieces, so that
 * their length costs no memory but that of the result.
 */

import { HearAudioMLPError } from "./errors.js";
import { Resampler, SAMPLE_RATE } from "./resample.js";

/** Sizes from here on stand for "unknown" in files that were written to a pipe. */
const UNKNOWN = 0x7ffff000;

/** Samples per second that a header may give: bats are recorded at up to 500 kHz. */
const RATES = [1_000, 2_000_000];

/** Bytes read at a time: as many as are resampled within a tenth of a second. */
const PIECE = 1 << 17;

const PCM = 1;
const FLOAT = 3;
const ALAW = 6;
const MULAW = 7;
const EXTENSIBLE = 0xfffe;

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
  let long = null; // the size of the samples, where 32 bits don't hold it
  for (let at = 12; at + 8 <= size; ) {
    const bytes = await read(at, at + 48);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const chunk = name(bytes, 0);
    let length = view.getUint32(4, little);
    const body = at + 8;
    if (chunk === "ds64" && bytes.length >= 24) long = Number(view.getBigUint64(16, true));
    if (chunk === "fmt " && bytes.length >= 24) {
      let code = view.getUint16(8, little);
      if (code === EXTENSIBLE && length >= 26 && bytes.length >= 34) code = view.getUint16(32, little);
      const channels = view.getUint16(10, little);
      format = { code, channels, rate: view.getUint32(12, little), step: view.getUint16(20, little) };
    }
    if (chunk === "data") {
      if (format === null) fail("not a WAV file that can be read (its samples come before their format)");
      const { code, channels, rate, step } = format;
      if (channels === 0 || step === 0 || step % channels !== 0) {
        fail("not a WAV file that can be read (its format is impossible)");
      }
      if (rate < RATES[0] || rate >= RATES[1]) fail(`${rate} Hz is not a plausible sample rate`);
      const sample = readerOf(code, step / channels);
      if (sample === null) return null; // compressed: the browser may know it
      if (length === 0xffffffff && long !== null) length = long;
      else if (length >= UNKNOWN) length = size - body;
      if (body + length > size) {
        fail(`cut off: its header promises ${(body + length).toLocaleString("en")} bytes and there are ${size.toLocaleString("en")}`);
      }
      // A recorder that was killed leaves sizes that cover its first piece at most.
      const riff = view.byteLength > 0 && kind === "RIFF" ? 8 + new DataView(head.buffer, head.byteOffset).getUint32(4, true) : size;
      const behind = size - Math.max(body + length + (length % 2), riff);
      if (behind > 8 && !/^[ -~]{4}$/.test(name(await read(size - behind, size - behind + 4), 0))) {
        fail(`its recording was not finished: ${behind.toLocaleString("en")} bytes follow what its header describes`);
      }
      const frames = Math.floor(length / step);
      return { rate, channels, frames, at: body, step, bytes: step / channels, little, sample };
    }
    at = body + length + (length % 2);
  }
  return fail("not a WAV file that can be read (there are no samples in it)");
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
  #samples;
  #length = 0;

  /**
   * @param {number} rate of the pieces
   * @param {number} [frames] how many samples there will be in all, if that is known
   */
  constructor(rate, frames = 0) {
    this.#resampler = new Resampler(rate);
    this.#samples = new Float32Array(Math.ceil((frames * SAMPLE_RATE) / rate) + 1);
  }

  /** @param {Float32Array} piece */
  add(piece) {
    this.#put(this.#resampler.process(piece));
  }

  #put(samples) {
    if (this.#length + samples.length > this.#samples.length) {
      const larger = new Float32Array(2 * (this.#length + samples.length));
      larger.set(this.#samples.subarray(0, this.#length));
      this.#samples = larger;
    }
    this.#samples.set(samples, this.#length);
    this.#length += samples.length;
  }

  /** @returns {Float32Array} all of it, at 16 kHz */
  end() {
    this.#put(this.#resampler.flush());
    return this.#samples.slice(0, this.#length);
  }
}

/**
 * Read a whole WAV file.
 *
 * @param {(begin: number, end: number) => Promise<Uint8Array>} read
 * @param {number} size bytes in the file
 * @param {string} file its name, for messages
 * @param {(share: number) => void | Promise<void>} [progress] called after each piece, and waited for
 * @returns {Promise<{samples: Float32Array, rate: number, channels: number, duration: number} | null>}
 *   mono at 16 kHz; rate, channels and seconds of the file; null for what is no WAV that can be read here
 * @throws {HearAudioMLPError} `file`
 */
export async function readWav(read, size, file, progress) {
  const header = await readHeader(read, size, file);
  if (header === null) return null;
  const { rate, channels, frames } = header;
  const collector = new Collector(rate, frames);
  let done = 0;
  for await (const piece of readSamples(header, read, file)) {
    collector.add(piece);
    done += piece.length;
    await progress?.(done / frames);
  }
  return { samples: collector.end(), rate, channels, duration: frames / rate };
}

/**
 * A WAV file of samples at 16 kHz, 16 bits; for players and other programs.
 *
 * @param {Float32Array} samples
 * @returns {Uint8Array[]} header and body
 */
export function wavOf(samples) {
  const header = new DataView(new ArrayBuffer(44));
  const body = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    body[i] = Math.max(-32_768, Math.min(32_767, Math.round(32_768 * samples[i])));
  }
  const put = (at, text) => [...text].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  put(0, "RIFF");
  header.setUint32(4, 36 + body.byteLength, true);
  put(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint32(20, 0x10001, true); // PCM, one channel
  header.setUint32(24, SAMPLE_RATE, true);
  header.setUint32(28, 2 * SAMPLE_RATE, true);
  header.setUint32(32, 0x100002, true); // two bytes, 16 bits
  put(36, "data");
  header.setUint32(40, body.byteLength, true);
  return [new Uint8Array(header.buffer), new Uint8Array(body.buffer)];
}
