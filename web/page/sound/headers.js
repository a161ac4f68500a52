/** What the headers of sound files say that browsers don't. */

const OTHER_RATE = 48_000; // for formats whose header isn't read here

const MPEG_RATES = [44_100, 48_000, 32_000];

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

/** Length of the ID3 tag that these bytes begin with, or 0. */
export function tagLength(bytes) {
  if (text(bytes, 0, 3) !== "ID3" || bytes.length < 10) return 0;
  return 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
}

/** The sample rate of an MP3 file, from its first frame; 0 if these bytes are none. */
function mpegRate(bytes) {
  const at = tagLength(bytes);
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
export function isFlac16(bytes) {
  return text(bytes, 0, 4) === "fLaC" && (((bytes[20] & 1) << 4) | (bytes[21] >> 4)) + 1 === 16;
}

/** Bytes of an Ogg file that are searched at a time, and those at its start where streams may begin. */
const SEARCHED = 1 << 20;
const START = 4096;

/**
 * Whether another sound follows in an Ogg file: a page that begins a stream (its flag is 2).
 *
 * @param {(begin: number, end: number) => Promise<Uint8Array>} read
 * @param {number} size bytes in the file
 */
export async function isChained(read, size) {
  const begins = "OggS\0\x02";
  const latin = new TextDecoder("latin1");
  for (let at = START; at < size; at += SEARCHED) {
    const bytes = await read(at, Math.min(size, at + SEARCHED + begins.length));
    if (latin.decode(bytes).includes(begins)) return true;
  }
  return false;
}

/** Samples by which every MP3 decoder is late. */
const MPEG_DELAY = 529;

/**
 * How much of a decoded MP3 the encoder added, as its first frame says: the delay and padding that LAME and
 * FFmpeg write behind the fields of a Xing header.
 *
 * @param {Uint8Array} frame the first frame, or more
 * @returns {{before: number, behind: number, counted: boolean}} samples that come before the sound and behind
 *   it, and whether the file says how many there are
 */
export function mpegPadding(frame) {
  const at = Math.max(find(frame.subarray(0, 40), "Xing"), find(frame.subarray(0, 40), "Info"));
  if (at < 0 || frame.length < at + 148) return { before: 0, behind: 0, counted: false };
  const flags = frame[at + 7];
  const counted = (flags & 1) === 1;
  const fields = [4, 4, 100, 4]; // number of frames, of bytes, table of contents, quality
  const encoder = fields.reduce((end, size, bit) => end + (flags & (1 << bit) ? size : 0), at + 8);
  if (!["LAME", "Lavf", "Lavc"].includes(text(frame, encoder, 4))) return { before: 0, behind: 0, counted };
  const [high, middle, low] = frame.subarray(encoder + 21);
  const [delay, padding] = [(high << 4) | (middle >> 4), ((middle & 15) << 8) | low];
  return { before: delay + MPEG_DELAY, behind: Math.max(0, padding - MPEG_DELAY), counted };
}
