/**
 * How many bytes of samples a WAV file has. Recorders that lose power leave sizes of 0, or those of their
 * last update; programs that write to a pipe leave sizes that stand for "unknown"; and 32 bits wrap
 * round at 4 GiB. The rules are the Python package's.
 */

/** Sizes from here on stand for "unknown" in files that were written to a pipe. */
const UNKNOWN = 0x7ffff000;

const WRAP = 2 ** 32;

/** Bytes that are looked at before and behind a place. */
const LOOK = 1 << 16;

/** Chunks that are looked at: of a few bytes each, millions would take minutes. */
export const CHUNKS = 100_000;

/** Zeros that are looked at. */
const ZEROS = 1 << 24;

/** Chunks that may be behind the samples; shorter names are without their spaces here. */
const TAGS = new Set(
  (
    "LIST list INFO id3 ID3 bext iXML axml chna cue plst smpl inst acid fact PEAK levl JUNK junk PAD pad FLLR filr DISP " +
    "afsp _PMX aXML cart minf elm1 regn umid note labl ltxt strc SAUR R64m ds64 MD5 ubxt link CSET Fake SyLp AFAn LGWV wamd guan"
  ).split(" "),
);

const text = (bytes, begin, end) => String.fromCharCode(...bytes.subarray(begin, end));
const zero = (byte) => byte === 0;
const number = (value) => value.toLocaleString("en");

/** Whether nothing but chunks, tags or zeros is from here to the end. */
async function areChunks({ read, size, little, fail }, at) {
  if (at >= size) return true;
  const head = await read(at, at + 8);
  if (["TAG", "ID3"].includes(text(head, 0, 3)) || text(head, 0, 8) === "APETAGEX") return true;
  if (head.every(zero) && (await read(at, Math.min(size, at + ZEROS))).every(zero)) return true;
  for (let chunks = 1; at + 8 <= size; chunks++) {
    if (chunks > CHUNKS) fail("not a WAV file that can be read (it consists of too many chunks)");
    const bytes = await read(at, at + 8);
    const name = text(bytes, 0, 4);
    const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getUint32(4, little);
    const fits = /^[ -~]{4}$/.test(name) && at + 8 + length <= size;
    if (!(fits || TAGS.has(name.trimEnd())) || ["RIFF", "RF64", "FORM", "data"].includes(name)) return false;
    at += 8 + length + (length % 2);
  }
  return true;
}

/** Whether chunks come behind samples that end here, with or without a byte between. */
async function endsWithChunks(file, end) {
  return (await areChunks(file, end)) || (end % 2 === 1 && (await areChunks(file, end + 1)));
}

/** Root mean square of samples; null where there are none, and for the rarer kinds. */
function level({ format, little }, bytes) {
  if (![2, 4, 8].includes(format.bytes) || bytes.length < format.bytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.length / format.bytes);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += format.sample(view, i * format.bytes, little) ** 2;
  return Math.sqrt(sum / count);
}

/**
 * Whether what is behind the samples may be samples: text, archives and pictures that somebody
 * appended are near full scale, as samples.
 */
async function continues(file, start, end) {
  const look = LOOK - (LOOK % file.format.bytes);
  const before = level(file, await file.read(Math.max(start, end - look), end));
  const behind = level(file, await file.read(end, Math.min(file.size, end + look)));
  return before === null || behind === null || behind < Math.max(0.3, 2 * before);
}

/**
 * @param {object} file
 * @param {(begin: number, end: number) => Promise<Uint8Array>} file.read
 * @param {number} file.size bytes in the file
 * @param {string} file.kind RIFF, RIFX, RF64 or BW64
 * @param {number} file.riff where the header says that the file ends
 * @param {boolean} file.little
 * @param {{bytes: number, sample: Function}} file.format how to read a sample
 * @param {(what: string) => never} file.fail called if some of the samples aren't there
 * @param {{start: number, length: number, long: bigint | null}} data where the samples begin, and their
 *   bytes as their chunk says and as ds64 does
 * @returns {Promise<number>} bytes
 */
export async function sizeOfSamples(file, { start, length, long }) {
  const { read, size, kind, riff, fail } = file;
  const left = size - start;
  let unknown = length >= UNKNOWN;
  if (long !== null && (kind !== "RIFF" || length === 0xffffffff)) {
    // A recorder that was killed before it wrote the long size leaves 0.
    unknown = long === 0n || long === 2n ** 64n - 1n;
    length = unknown ? 0xffffffff : Number(long);
  }
  if (length > left) {
    const countsHeader = length - left <= start && (riff === size || riff === size - 1);
    if (unknown || countsHeader) return left;
    fail(`cut off: its header promises ${number(start + length)} bytes and there are ${number(size)}`);
  }
  const end = start + length;
  if (await endsWithChunks(file, end)) return length;
  const behind = number(size - end);
  const following = text(await read(end + (end % 2), end + (end % 2) + 4), 0, 4);
  if (following === "data") fail(`incomplete: more samples follow in a second chunk: ${behind} bytes`);
  if (["RIFF", "RF64"].includes(following)) fail(`incomplete: another file follows in it: ${behind} bytes`);
  for (let wrapped = end + WRAP; wrapped <= size; wrapped += WRAP) {
    if (await endsWithChunks(file, wrapped)) return wrapped - start;
  }
  return length > 0 && !(await continues(file, start, end)) ? length : left;
}
