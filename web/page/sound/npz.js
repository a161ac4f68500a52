/** Arrays as the .npz files that numpy.load reads. */

import { Spool } from "../lib/spool.js";

/** Numbers of a Spool that are read at a time. */
const PIECE = 1 << 20;

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(pieces) {
  let crc = 0xffffffff;
  for (const bytes of pieces) {
    for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const KINDS = new Map([
  [Float32Array, "<f4"],
  [Float64Array, "<f8"],
  [BigInt64Array, "<i8"],
  [Uint8Array, "|b1"], // truth values
]);

/** Text as numpy has it: UTF-32, all of one length. */
function textArray(texts) {
  const points = texts.map((text) => [...text].map((c) => c.codePointAt(0)));
  const width = Math.max(1, ...points.map((list) => list.length));
  const data = new Uint32Array(width * texts.length);
  points.forEach((list, i) => data.set(list, i * width));
  return { descr: `<U${width}`, data };
}

/** Head of an array in numpy's .npy format, version 1.0. */
function npyHead(descr, shape) {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const head = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  const text = `${head.padEnd(64 * Math.ceil((head.length + 11) / 64) - 11)}\n`;
  const begin = new Uint8Array(10 + text.length);
  begin.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  begin.set(new TextEncoder().encode(text), 10);
  return begin;
}

const bytesOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** An array in numpy's .npy format: its bytes, as pieces and as parts of a Blob, and how many they are. */
async function npy(values, shape) {
  if (values instanceof Spool) {
    const count = shape.reduce((a, b) => a * b, 1);
    const head = npyHead("<f4", shape);
    const body = await values.blob(count);
    const bytes = function* () {
      yield head;
      for (const piece of values.pieces(PIECE, count)) yield bytesOf(piece);
    };
    return { bytes: bytes(), parts: [head, body], size: head.length + body.size };
  }
  const isText = typeof values[0] === "string";
  const { descr, data } = isText ? textArray(values) : { descr: KINDS.get(values.constructor), data: values };
  const parts = [npyHead(descr, shape), bytesOf(data)];
  return { bytes: parts, parts, size: parts[0].length + parts[1].length };
}

/** Little-endian numbers of the given widths in bytes. */
function fields(values, widths) {
  const bytes = new Uint8Array(widths.reduce((a, b) => a + b, 0));
  let at = 0;
  values.forEach((value, i) => {
    for (let byte = 0; byte < widths[i]; byte++) bytes[at++] = Math.floor(value / 256 ** byte) & 255;
  });
  return bytes;
}

/**
 * A zip archive whose members are not compressed.
 *
 * @param {Record<string, {data: Float32Array | Float64Array | BigInt64Array | Uint8Array | string[] | Spool, shape: number[]}>} arrays
 *   a Spool, of float32, may have more numbers than its shape
 * @returns {Promise<Blob>}
 */
export async function npz(arrays) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [key, { data, shape }] of Object.entries(arrays)) {
    const name = new TextEncoder().encode(`${key}.npy`);
    const { bytes, parts: member, size } = await npy(data, shape);
    // Version, flags, method, time, date, CRC, both sizes, lengths of the name and of extras.
    const common = [20, 0, 0, 0, 0x21, crc32(bytes), size, size, name.length, 0];
    const local = fields([0x04034b50, ...common], [4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2]);
    directory.push(
      fields(
        [0x02014b50, 20, ...common, 0, 0, 0, 0, at],
        [4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4],
      ),
      name,
    );
    parts.push(local, name, ...member);
    at += local.length + name.length + size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = Object.keys(arrays).length;
  const end = fields([0x06054b50, 0, 0, count, count, length, at, 0], [4, 2, 2, 2, 2, 4, 4, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
