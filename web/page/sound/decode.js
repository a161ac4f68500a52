/**
 * Sound files that only the browser can decode: at the rate they were recorded at, and handed over
 * in pieces, so that the page stays responsive. The browser's own resampling differs from browser
 * to browser.
 */

import { HearAudioMLPError } from "../lib/errors.js";

const OTHER_RATE = 48_000; // for formats whose header isn't read here

const MPEG_RATES = [44_100, 48_000, 32_000];

/** Samples of a channel in a piece. */
const PIECE = 1 << 16;

function text(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** Position of `name` in the first bytes, or -1. */
function find(bytes, name) {
  const limit = Math.min(bytes.length, 4096) - name.length;
  for (let at = 0; at <= limit; at++) {
    if (text(bytes, at, name.length) === name) return at;
  }
  return -1;
}

/** The sample rate of an MP3 file, from its first frame; 0 if these bytes are none. */
function mpegRate(bytes) {
  let at = 0;
  if (text(bytes, 0, 3) === "ID3" && bytes.length > 10) {
    at = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
  }
  const [sync, version, rates] = [bytes[at], bytes[at + 1], bytes[at + 2]];
  if (sync !== 0xff || (version & 0xe0) !== 0xe0 || (version & 0x06) === 0) return 0;
  const rate = MPEG_RATES[(rates >> 2) & 3] ?? 0;
  return rate / ({ 3: 1, 2: 2, 0: 4 }[(version >> 3) & 3] ?? 1);
}

/**
 * Read the sample rate from the header of a WAV, FLAC, Ogg or MP3 file.
 *
 * @param {Uint8Array} bytes of the file, from its beginning
 * @returns {number} Hz, or 48000 for other formats
 */
export function recordedRate(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let rate = 0;
  try {
    const kind = text(bytes, 0, 4);
    if (kind === "RIFF") rate = view.getUint32(find(bytes, "fmt ") + 12, true);
    else if (kind === "fLaC") rate = view.getUint32(18) >>> 12;
    else if (kind === "OggS" && find(bytes, "\x01vorbis") >= 0) {
      rate = view.getUint32(find(bytes, "\x01vorbis") + 12, true);
    } else rate = mpegRate(bytes);
  } catch (problem) {
    if (!(problem instanceof RangeError)) throw problem; // a cut header: the decoder will say so
  }
  return rate > 0 ? rate : OTHER_RATE;
}

/** Whether these are the first bytes of a FLAC file of 16-bit samples. */
function isFlac16(bytes) {
  return text(bytes, 0, 4) === "fLaC" && (((bytes[20] & 1) << 4) | (bytes[21] >> 4)) + 1 === 16;
}

/** A 16-bit sample as the Python package scales it: Chromium divides positive ones by 32767. */
function rescale(sample) {
  const whole = sample * 32_768;
  if (sample <= 0 || Math.abs(whole - Math.round(whole)) < 0.001) return sample;
  return Math.round(sample * 32_767) / 32_768;
}

async function decode(buffer, rate) {
  // A browser may not offer every rate; it has to offer 8 to 96 kHz.
  const wanted = Math.min(96_000, Math.max(8_000, rate));
  const context = new OfflineAudioContext(1, 1, wanted);
  return context.decodeAudioData(buffer);
}

/**
 * Decode a sound file.
 *
 * @param {File} file in any format that the browser can play
 * @returns {Promise<{rate: number, channels: number, frames: number, pieces: Iterable<Float32Array>}>}
 *   mono, at the rate given
 * @throws {HearAudioMLPError} `file`, if the browser can't decode it
 */
export async function decodeFile(file) {
  let decoded;
  let exact = false;
  try {
    const buffer = await file.arrayBuffer();
    const bytes = new Uint8Array(buffer);
    const recorded = recordedRate(bytes);
    const flac16 = isFlac16(bytes); // before the decoder takes the buffer
    decoded = await decode(buffer, recorded);
    exact = flac16 && decoded.sampleRate === recorded;
  } catch (problem) {
    throw new HearAudioMLPError("file", `${file.name} is not a sound file that this browser can play`, {
      cause: problem,
    });
  }
  const { sampleRate: rate, numberOfChannels: channels, length: frames } = decoded;
  function* pieces() {
    for (let first = 0; first === 0 || first < frames; first += PIECE) {
      const mono = new Float32Array(Math.min(PIECE, frames - first));
      const one = new Float32Array(mono.length);
      for (let channel = 0; channel < channels; channel++) {
        decoded.copyFromChannel(one, channel, first);
        for (let i = 0; i < mono.length; i++) mono[i] += (exact ? rescale(one[i]) : one[i]) / channels;
      }
      yield mono;
    }
  }
  return { rate, channels, frames, pieces: pieces() };
}
