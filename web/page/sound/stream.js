/**
 * Sound files that the browser would decode whole: an hour of stereo is 1.3 GB then, twice while it is
 * copied. Here a demuxer (Mediabunny) cuts the file into packets, and the browser's decoder (WebCodecs)
 * takes them one by one, so that memory stays the same however long the sound is.
 */

import { DEMUXER } from "../config.js";
import { HearAudioMLPError } from "../lib/errors.js";
import { Spool } from "../lib/spool.js";
import { Collector } from "../lib/wav.js";
import { isChained, mpegPadding, tagLength } from "./headers.js";

/** Samples that are resampled at a time, at least. */
const PIECE = 1 << 16;

/** Seconds that a file may lack of what its header promises. */
const LOST = 0.1;

/**
 * How much of the decoded sound isn't part of it: samples `before` and `behind`; its `length` where the file has
 * it; and whether the file knows how long it is (`counted`).
 */
async function edges(file, track, kind, rate) {
  const bytes = async (begin, end) => new Uint8Array(await file.slice(begin, end).arrayBuffer());
  if (kind === "MP3") {
    const begin = tagLength(await bytes(0, 10));
    return { ...mpegPadding(await bytes(begin, begin + 512)), length: Infinity };
  }
  if (kind === "Ogg" && (await isChained(bytes, file.size))) throw new Error("a second sound in the same file");
  const begin = await track.getFirstTimestamp();
  const hasLength = ["Ogg", "MP4", "QuickTime File Format"].includes(kind);
  const length = hasLength ? Math.round(rate * ((await track.computeDuration()) - Math.max(0, begin))) : Infinity;
  return { before: Math.round(rate * Math.max(0, -begin)), behind: 0, length, counted: kind === "FLAC" };
}

/** The channels of a decoded packet, averaged. */
function toMono(sample) {
  const mono = new Float32Array(sample.numberOfFrames);
  const one = new Float32Array(mono.length);
  for (let planeIndex = 0; planeIndex < sample.numberOfChannels; planeIndex++) {
    sample.copyTo(one, { planeIndex, format: "f32-planar" });
    for (let i = 0; i < mono.length; i++) mono[i] += one[i] / sample.numberOfChannels;
  }
  return mono;
}

/** Hands on samples in pieces: not the first `before`, not the last `behind`, and `length` at most. */
class Cutter {
  #held = [];
  #count = 0;

  constructor({ before, behind, length }, collector) {
    Object.assign(this, { before, behind, length, collector, decoded: 0, frames: 0 });
  }

  async add(samples) {
    this.decoded += samples.length;
    const kept = samples.subarray(Math.min(this.before, samples.length));
    this.before -= samples.length - kept.length;
    this.#held.push(kept);
    this.#count += kept.length;
    if (this.#count >= PIECE + this.behind) await this.end();
  }

  /** Hand on all but the last `behind`. */
  async end() {
    const all = new Float32Array(this.#count);
    this.#held.reduce((at, piece) => (all.set(piece, at), at + piece.length), 0);
    const ready = Math.max(0, Math.min(this.#count - this.behind, this.length - this.frames));
    this.#held = [all.slice(this.#count - Math.min(this.behind, this.#count))];
    this.#count = this.#held[0].length;
    this.frames += ready;
    await this.collector.add(all.subarray(0, ready));
  }
}

async function demux(file) {
  const { Input, BlobSource, AudioSampleSink, ...formats } = await import(new URL(`../${DEMUXER}`, import.meta.url));
  const { MP4, QTFF, MATROSKA, WEBM, MP3, OGG, ADTS, FLAC } = formats;
  const input = new Input({ formats: [MP4, QTFF, MATROSKA, WEBM, MP3, OGG, ADTS, FLAC], source: new BlobSource(file) });
  const track = await input.getPrimaryAudioTrack();
  if (!(await track?.canDecode())) throw new Error("a codec that this browser doesn't decode packet by packet");
  return { input, track, kind: (await input.getFormat()).name, packets: new AudioSampleSink(track).samples() };
}

/**
 * Decode a sound file piece by piece.
 *
 * @param {File} file
 * @param {object} options `progress`: called with the share done after each piece, and waited for; `signal`: see
 *   Engine; `overflow`: see Spool
 * @returns {Promise<{samples: Spool, rate: number, channels: number, duration: number} | null>} mono at
 *   16 kHz; null for what only the whole file's decoder may know
 * @throws {HearAudioMLPError} `file`, if it is cut off
 */
export async function readStream(file, { progress, signal, overflow }) {
  const samples = new Spool(Float32Array, { overflow });
  let opened = null;
  try {
    opened = await demux(file);
    const { track, kind, packets } = opened;
    const expected = (await track.getDurationFromMetadata()) ?? NaN;
    let first = null;
    let cutter = null;
    let reported = 0;
    let promised = 0;
    for await (const sample of packets) {
      const { sampleRate: rate, numberOfChannels: channels, timestamp } = sample;
      const mono = toMono(sample);
      sample.close();
      if (first === null) {
        first = { rate, channels };
        const found = await edges(file, track, kind, rate);
        cutter = new Cutter(found, new Collector(rate, samples));
        promised = found.counted ? expected : 0;
      }
      if (rate !== first.rate || channels !== first.channels) throw new Error("a second sound in the same file");
      await cutter.add(mono);
      if (cutter.frames < reported + PIECE) continue;
      reported = cutter.frames;
      await progress(Number.isNaN(expected) ? null : Math.min(1, timestamp / expected));
    }
    if (cutter === null) throw new Error("no sound");
    const seconds = cutter.decoded / first.rate;
    if (seconds < promised - LOST) {
      const [there, whole] = [seconds, promised].map((value) => value.toFixed(1));
      throw new HearAudioMLPError("file", `${file.name}: cut off: its header promises ${whole} s and there are ${there} s`);
    }
    await cutter.end();
    await cutter.collector.end();
    return { samples, ...first, duration: cutter.frames / first.rate };
  } catch (problem) {
    samples.remove();
    if (signal.aborted || problem instanceof HearAudioMLPError) throw problem;
    return null;
  } finally {
    opened?.input.dispose();
  }
}
