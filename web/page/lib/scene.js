/**
 * The scene embedding of a sound that is too long for one run of the graph: its frames, halved as
 * often as they can be, then resized to a fixed number of steps. All positions and products are
 * float32, as in the graph.
 */

const f32 = Math.fround;

/** Frames that are read at a time. */
const BLOCK = 4096;

/** Give frame after frame; `row(index)` is fast where each index is near the one before it. */
function reader(frames, size) {
  let first = 0;
  let block = frames.subarray(0, BLOCK * size);
  return (index) => {
    if (index < first || index >= first + BLOCK) {
      first = index;
      block = frames.subarray(first * size, (first + BLOCK) * size);
    }
    const at = (index - first) * size;
    return block.subarray(at, at + size);
  };
}

/**
 * Give the rows of `length` rows resized to `steps` of them, linearly, with aligned corners. Each is
 * computed when it is asked for, so that only two rows are in memory.
 */
function resized(row, size, length, steps) {
  const scale = steps > 1 ? f32((length - 1) / (steps - 1)) : 0;
  const [below, result] = [new Float32Array(size), new Float32Array(size)];
  return (index) => {
    const position = f32(scale * index);
    const low = Math.min(Math.floor(position), length - 1);
    const t = f32(position - low);
    const u = f32(1 - t);
    below.set(row(low));
    const above = low + 1 < length ? row(low + 1) : below;
    for (let j = 0; j < size; j++) result[j] = f32(u * below[j]) + f32(t * above[j]);
    return result;
  };
}

/**
 * @param {{subarray: (begin: number, end: number) => Float32Array}} frames all of them, stitched
 * @param {number} length
 * @param {number} size values a frame
 * @param {number} steps frames that the scene embedding keeps
 * @returns {Float32Array} `[size * steps]`, the feature varying slowest
 */
export function sceneEmbedding(frames, length, size, steps) {
  const scene = new Float32Array(size * steps);
  let row = reader(frames, size);
  let rows = length;
  while (rows >= 2 * steps) {
    const next = Math.floor(rows / 2);
    row = resized(row, size, rows, next);
    rows = next;
  }
  if (rows > steps) row = resized(row, size, rows, steps);
  for (let i = 0; i < Math.min(rows, steps); i++) {
    row(i).forEach((value, j) => (scene[j * steps + i] = value));
  }
  return scene;
}
