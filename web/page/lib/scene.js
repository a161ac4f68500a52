/**
 * The scene embedding of a sound that is too long for one run of the graph: its frames, halved as
 * often as they can be, then resized to a fixed number of steps. All positions and products are
 * float32, as in the graph.
 */

const f32 = Math.fround;

/** Resize `length` rows of `size` values to `steps` rows, linearly, with aligned corners. */
function resize(rows, size, length, steps) {
  const resized = new Float32Array(steps * size);
  const scale = steps > 1 ? f32((length - 1) / (steps - 1)) : 0;
  for (let i = 0; i < steps; i++) {
    const position = f32(scale * i);
    const low = Math.min(Math.floor(position), length - 1);
    const high = Math.min(low + 1, length - 1);
    const t = f32(position - low);
    const u = f32(1 - t);
    for (let j = 0; j < size; j++) {
      resized[i * size + j] = f32(u * rows[low * size + j]) + f32(t * rows[high * size + j]);
    }
  }
  return resized;
}

/**
 * @param {Float32Array} frames all stitched frames `[length, size]`
 * @param {number} size values a frame
 * @param {number} steps frames that the scene embedding keeps
 * @returns {Float32Array} `[size * steps]`, the feature varying slowest
 */
export function sceneEmbedding(frames, size, steps) {
  let rows = frames;
  let length = frames.length / size;
  if (length < steps) {
    rows = new Float32Array(steps * size);
    rows.set(frames);
  } else {
    while (length >= 2 * steps) {
      const next = Math.floor(length / 2);
      rows = resize(rows, size, length, next);
      length = next;
    }
    if (length !== steps) rows = resize(rows, size, length, steps);
  }
  const scene = new Float32Array(size * steps);
  for (let i = 0; i < steps; i++) {
    for (let j = 0; j < size; j++) scene[j * steps + i] = rows[i * size + j];
  }
  return scene;
}
