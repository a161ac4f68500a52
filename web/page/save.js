/** What was computed, as the .npz file that `hearaudiomlp embed` writes, for numpy.load. */

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** An array in numpy's .npy format, version 1.0. */
function npy(data, shape) {
  const kind = data instanceof Float32Array ? "<f4" : "<i4";
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const head = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${dims}), }`;
  const text = `${head.padEnd(64 * Math.ceil((head.length + 11) / 64) - 11)}\n`;
  const bytes = new Uint8Array(10 + text.length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + text.length);
  return bytes;
}

/**
 * A zip archive whose members are not compressed.
 *
 * @param {Record<string, {data: Float32Array | Int32Array, shape: number[]}>} arrays
 * @returns {Blob}
 */
export function npz(arrays) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [key, { data, shape }] of Object.entries(arrays)) {
    const name = new TextEncoder().encode(`${key}.npy`);
    const member = npy(data, shape);
    // Version, flags, method, time, date, CRC, both sizes, lengths of the name and of extras.
    const common = [20, 0, 0, 0, 0x21, crc32(member), member.length, member.length, name.length, 0];
    const local = fields([0x04034b50, ...common], [4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2]);
    directory.push(
      fields(
        [0x02014b50, 20, ...common, 0, 0, 0, 0, at],
        [4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4],
      ),
      name,
    );
    parts.push(local, name, member);
    at += local.length + name.length + member.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = Object.keys(arrays).length;
  const end = fields([0x06054b50, 0, 0, count, count, length, at, 0], [4, 2, 2, 2, 2, 4, 4, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
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

/** Let the person save a result; nothing but their own disk is involved. */
export function saveResult({ name, result }, model) {
  const rows = result.timestamps.length;
  const arrays = {
    timestamp_embeddings: { data: result.embeddings, shape: [rows, model.timestampEmbeddingSize] },
    timestamps: { data: result.timestamps, shape: [rows] },
    offsets: { data: Int32Array.of(0, rows), shape: [2] },
    scene_embeddings: { data: result.scene, shape: [1, model.sceneEmbeddingSize] },
  };
  if (model.labels.length > 0) {
    arrays.keyword_logits = {
      data: result.logits,
      shape: [result.logitTimes.length, model.labels.length],
    };
    arrays.keyword_times = { data: result.logitTimes, shape: [result.logitTimes.length] };
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(npz(arrays));
  link.download = `${name.replace(/\.[^.]*$/, "").replaceAll(" ", "-")}.${model.name}.npz`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
