/**
 * A classifier of one's own on a model's embeddings: softmax regression with an L2 penalty on the
 * mean and the standard deviation of the frames in a window, and the model file that it makes.
 */

import { HearAudioMLPError } from "./errors.js";
import { concat, encoderOf, field, readMetadata, valueInfo } from "./onnxfile.js";

const FRAMES = 98;

/** Strength of the L2 penalty for each row, on standardized features. */
const PENALTY = 0.15;

const FACTORS = [1, 1.5, 2, 3, 4, 6, 8];

const STEPS = 300;
const STEPS_AGAIN = 80; // from the solution with all rows on

/** Keeps the standard deviation's gradient and a feature that never varies finite. */
const TINY = 1e-6;

/**
 * Mean and standard deviation over time of each value of the frames.
 *
 * @param {Float32Array} frames `[n, 98, size]`
 * @param {number} size
 * @returns {Float32Array[]} `n` rows of `2 * size` features
 */
export function poolFrames(frames, size) {
  const rows = [];
  for (let begin = 0; begin < frames.length; begin += FRAMES * size) {
    const row = new Float32Array(2 * size);
    for (let j = 0; j < size; j++) {
      let [sum, squares] = [0, 0];
      for (let i = 0; i < FRAMES; i++) sum += frames[begin + i * size + j];
      const mean = sum / FRAMES;
      for (let i = 0; i < FRAMES; i++) squares += (frames[begin + i * size + j] - mean) ** 2;
      row[j] = mean;
      row[size + j] = Math.sqrt(squares / FRAMES + TINY);
    }
    rows.push(row);
  }
  return rows;
}

/** Mean and standard deviation of each feature. */
function scaleOf(rows) {
  const mean = new Float64Array(rows[0].length);
  const spread = new Float64Array(rows[0].length);
  for (const row of rows) row.forEach((value, j) => (mean[j] += value / rows.length));
  for (const row of rows) row.forEach((value, j) => (spread[j] += (value - mean[j]) ** 2 / rows.length));
  return { mean, spread: spread.map((variance) => Math.sqrt(variance) + TINY) };
}

/** Probabilities of the classes for one row; `weights` is `[classes, features + 1]`, the bias last. */
function probabilitiesOf(row, weights, classes) {
  const width = row.length + 1;
  const scores = new Float64Array(classes);
  for (let k = 0; k < classes; k++) {
    let sum = weights[k * width + row.length];
    for (let j = 0; j < row.length; j++) sum += weights[k * width + j] * row[j];
    scores[k] = sum;
  }
  const largest = Math.max(...scores);
  const exps = scores.map((score) => Math.exp(score - largest));
  const total = exps.reduce((a, b) => a + b, 0);
  return exps.map((value) => value / total);
}

/**
 * Minimize the penalized loss by Nesterov's accelerated gradient with restarts: Y. Nesterov, "A
 * method of solving a convex programming problem with convergence rate O(1/k^2)", 1983. Rows are
 * weighted such that all classes count alike.
 */
function descend(rows, targets, classes, start, steps) {
  const features = rows[0].length;
  const width = features + 1;
  const counts = new Float64Array(classes);
  targets.forEach((target) => (counts[target] += 1));
  const weightOf = Array.from(counts, (count) => rows.length / (classes * Math.max(1, count)));
  const penalty = PENALTY * rows.length;
  const curvature = 0.5 * largestEigenvalue(rows, targets.map((target) => weightOf[target])) + penalty;
  let weights = start.slice();
  let ahead = start.slice();
  let momentum = 1;
  for (let step = 0; step < steps; step++) {
    const gradient = new Float64Array(ahead.length);
    rows.forEach((row, i) => {
      const p = probabilitiesOf(row, ahead, classes);
      p[targets[i]] -= 1;
      for (let k = 0; k < classes; k++) {
        const error = p[k] * weightOf[targets[i]];
        for (let j = 0; j < features; j++) gradient[k * width + j] += error * row[j];
        gradient[k * width + features] += error;
      }
    });
    const next = new Float64Array(ahead.length);
    let along = 0;
    for (let i = 0; i < next.length; i++) {
      const bias = i % width === features;
      next[i] = ahead[i] - (gradient[i] + (bias ? 0 : penalty * ahead[i])) / curvature;
      along += (ahead[i] - next[i]) * (next[i] - weights[i]);
    }
    if (along > 0) momentum = 1;
    const following = (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2;
    ahead = next.map((value, i) => value + ((momentum - 1) / following) * (value - weights[i]));
    [weights, momentum] = [next, following];
  }
  return weights;
}

/** Largest eigenvalue of the rows' weighted second moments, with the constant feature, and 5 % more. */
function largestEigenvalue(rows, weights) {
  let vector = new Float64Array(rows[0].length + 1).fill(1);
  let size = 1;
  for (let step = 0; step < 20; step++) {
    const next = new Float64Array(vector.length);
    rows.forEach((row, i) => {
      let sum = vector[row.length];
      for (let j = 0; j < row.length; j++) sum += vector[j] * row[j];
      sum *= weights[i];
      for (let j = 0; j < row.length; j++) next[j] += sum * row[j];
      next[row.length] += sum;
    });
    size = Math.hypot(...next);
    vector = next.map((value) => value / size);
  }
  return 1.05 * size;
}

/**
 * How many times as sure of itself a classifier can be: the factor of its logits with the smallest
 * loss on windows that it wasn't fitted to. The penalty leaves it too unsure.
 */
function sharpness(held) {
  const loss = (factor) =>
    held.reduce((sum, { p, target }) => {
      const powers = p.map((value) => value ** factor);
      return sum - Math.log(powers[target] / powers.reduce((a, b) => a + b, 0) + 1e-9);
    }, 0);
  return FACTORS.reduce((best, factor) => (loss(factor) < loss(best) ? factor : best));
}

/**
 * Fit a classifier.
 *
 * @param {{label: string, rows: Float32Array[]}[]} examples recordings, each with the features of its
 *   windows; at least two labels
 * @param {string[]} labels in the order wanted
 * @param {{counted?: (example: object) => boolean, progress?: (share: number) => Promise<void>}} [options]
 *   which examples count for the accuracy
 * @returns {Promise<{weights: Float32Array, bias: Float32Array, right: number, tried: number,
 *   confusions: {label: string, taken: string}[]}>} weights `[labels, features]` of the features as
 *   they are; how many of the recordings are named rightly by a classifier fitted to all the others
 * @throws {HearAudioMLPError} `option`
 */
export async function fitClassifier(examples, labels, { counted = () => true, progress } = {}) {
  if (labels.length < 2 || labels.some((label) => !examples.some((example) => example.label === label))) {
    throw new HearAudioMLPError("option", "a classifier needs at least two sounds with an example each");
  }
  const classes = labels.length;
  const flat = examples.flatMap(({ label, rows }, group) => rows.map((row) => ({ row, label, group })));
  const { mean, spread } = scaleOf(flat.map(({ row }) => row));
  const scaled = flat.map(({ row }) => Float64Array.from(row, (value, j) => (value - mean[j]) / spread[j]));
  const targets = flat.map(({ label }) => labels.indexOf(label));
  const features = mean.length;
  const width = features + 1;
  const fitted = descend(scaled, targets, classes, new Float64Array(classes * width), STEPS);
  let right = 0;
  const confusions = [];
  const held = [];
  const tried = examples.map((_, group) => group).filter((group) => counted(examples[group]));
  for (const [i, group] of tried.entries()) {
    const others = flat.flatMap((one, at) => (one.group === group ? [] : [at]));
    const without = descend(
      others.map((at) => scaled[at]),
      others.map((at) => targets[at]),
      classes,
      fitted,
      STEPS_AGAIN,
    );
    const sums = new Float64Array(classes);
    flat.forEach((one, at) => {
      if (one.group !== group) return;
      const p = probabilitiesOf(scaled[at], without, classes);
      p.forEach((value, k) => (sums[k] += value));
      held.push({ p, target: targets[at] });
    });
    const taken = labels[sums.indexOf(Math.max(...sums))];
    if (taken === examples[group].label) right += 1;
    else confusions.push({ label: examples[group].label, taken });
    await progress?.((i + 1) / tried.length);
  }
  const factor = sharpness(held);
  const weights = new Float32Array(classes * features);
  const bias = new Float32Array(classes);
  for (let k = 0; k < classes; k++) {
    bias[k] = factor * fitted[k * width + features];
    for (let j = 0; j < features; j++) {
      const weight = (factor * fitted[k * width + j]) / spread[j];
      weights[k * features + j] = weight;
      bias[k] -= weight * mean[j];
    }
  }
  return { weights, bias, right, tried: tried.length, confusions };
}

// --- The model file ------------------------------------------------------------------------------

const FLOAT = 1;
const INT64 = 7;
const PREFIX = "classifier.";

function node(type, inputs, output, attributes = []) {
  return concat([
    ...inputs.map((name) => field(1, name)),
    field(2, output),
    field(3, PREFIX + output),
    field(4, type),
    ...attributes.map(([name, value]) => field(5, concat([field(1, name), field(3, value), field(20, 2)]))),
  ]);
}

function tensor(name, values, shape) {
  const type = values instanceof Float32Array ? FLOAT : INT64;
  return concat([
    ...shape.map((size) => field(1, size)),
    field(2, type),
    field(8, name),
    field(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}

/**
 * A model file with a classifier's labels instead of the keywords: from windows to frame
 * embeddings and logits, like a file that `hearaudiomlp-export --interface windows` writes.
 *
 * @param {Uint8Array} file of the model that the classifier was fitted on
 * @param {{labels: string[], other?: string, weights: Float32Array, bias: Float32Array}} classifier
 *   `other`: the label that stands for everything else
 * @returns {Uint8Array} an ONNX file
 */
export function classifierFile(file, { labels, other, weights, bias }) {
  const metadata = readMetadata(file);
  const size = Number(metadata.timestamp_embedding_size);
  const [mean, one] = ["mean", "one"].map((name) => PREFIX + name);
  const value = (name) => PREFIX + name;
  const nodes = [
    node("ReduceMean", ["frame_embeddings", one], mean, [["keepdims", 1]]),
    node("Sub", ["frame_embeddings", mean], value("difference")),
    node("Mul", [value("difference"), value("difference")], value("square")),
    node("ReduceMean", [value("square"), one], value("variance"), [["keepdims", 1]]),
    node("Add", [value("variance"), value("tiny")], value("positive")),
    node("Sqrt", [value("positive")], value("deviation")),
    node("Concat", [mean, value("deviation")], value("both"), [["axis", 1]]),
    node("Flatten", [value("both")], value("features"), [["axis", 1]]),
    node("Gemm", [value("features"), value("weights"), value("bias")], "keyword_logits", [["transB", 1]]),
  ];
  const graph = concat([
    ...nodes.map((bytes) => field(1, bytes)),
    field(5, tensor(one, BigInt64Array.of(1n), [1])),
    field(5, tensor(value("tiny"), Float32Array.of(TINY), [])),
    field(5, tensor(value("weights"), weights, [labels.length, 2 * size])),
    field(5, tensor(value("bias"), bias, [labels.length])),
    field(12, valueInfo("keyword_logits", ["n", labels.length])),
  ]);
  const entries = { interface: "windows", keyword_labels: JSON.stringify(labels), labels_kind: "own" };
  if (other !== undefined) entries.other_label = other;
  return encoderOf(file, { frame_embeddings: ["n", FRAMES, size] }, { graph, metadata: entries });
}
