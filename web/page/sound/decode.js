/**
 * Sound files that only the browser can decode, whole: at the rate they were recorded at, and handed over
 * in pieces, so that the page stays responsive. The browser's own resampling differs from browser
 * to browser.
 */

import { HearAudioMLPError } from "../lib/errors.js";
import { isFlac16, recordedRate } from "./headers.js";

/** Samples of a channel in a piece. */
const PIECE = 1 << 16;

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
