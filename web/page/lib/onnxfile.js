/**
 * ONNX files as bytes: ONNX Runtime's JavaScript interface gives no metadata of a model, no value
 * inside its graph, and can't change it. This reads and writes the few protobuf fields that takes
 * and passes everything else through.
 *
 * Wire format: https://protobuf.dev/programming-guides/encoding/, field numbers: onnx.proto.
 */

import { HearAudioMLPError } from "./errors.js";

// Of ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto.
const GRAPH = 7;
const METADATA = 14;
const NODE = 1;
const INITIALIZER = 5;
const INPUT = 11;
const OUTPUT = 12;
const NODE_INPUT = 1;
const NODE_OUTPUT = 2;
const ATTRIBUTE = 5;
const ATTRIBUTE_GRAPH = 6;
const FLOAT = 1;

const text = new TextDecoder();
const encode = (string) => new TextEncoder().encode(string);

/** Yield [field number, value] of every field of a protobuf message: a number or bytes. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= bytes.length || scale > 2 ** 63) throw new RangeError("a number is cut off");
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) yield [Math.floor(tag / 8), varint()];
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (length > bytes.length - at) throw new RangeError("a field is cut off");
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    } else throw new RangeError(`wire type ${wire}`);
  }
}

const all = (message, number) => [...fields(message)].flatMap(([n, value]) => (n === number ? [value] : []));
const texts = (message, number) => all(message, number).map((value) => text.decode(value));

/** Join byte arrays. */
export function concat(parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.of(...bytes, value);
}

/** One field of a message: a number, a string, or the bytes of a message inside it. */
export function field(number, value) {
  if (typeof value === "number") return concat([varint(number * 8), varint(value)]);
  const bytes = typeof value === "string" ? encode(value) : value;
  return concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A float32 value with a name; a string is the name of a free dimension. */
export function valueInfo(name, shape) {
  const dims = shape.map((size) => field(1, typeof size === "number" ? field(1, size) : field(2, size)));
  const tensor = concat([field(1, FLOAT), field(2, concat(dims))]);
  return concat([field(1, name), field(2, field(1, tensor))]);
}

/** Run `task`; whatever goes wrong in it means that the bytes are no ONNX file. */
function reading(task) {
  try {
    return task();
  } catch (problem) {
    if (problem instanceof HearAudioMLPError) throw problem;
    throw new HearAudioMLPError("model", `this is not an ONNX file (${problem.message})`, { cause: problem });
  }
}

/**
 * Read the metadata of an ONNX file.
 *
 * @param {Uint8Array} bytes the whole file
 * @returns {Record<string, string>}
 * @throws {HearAudioMLPError} `model`, if these bytes are no ONNX file
 */
export function readMetadata(bytes) {
  return reading(() =>
    Object.fromEntries(
      all(bytes, METADATA).map((entry) => {
        const pair = Object.fromEntries(fields(entry));
        return [text.decode(pair[1]), text.decode(pair[2])];
      }),
    ),
  );
}

/** The nodes inside the Loop of a whole-pipeline file, or null where there is none. */
function encoderLoop(nodes) {
  for (const node of nodes) {
    for (const attribute of all(node, ATTRIBUTE)) {
      for (const body of all(attribute, ATTRIBUTE_GRAPH)) {
        const outputs = all(body, OUTPUT).map((output) => texts(output, 1)[0]);
        if (outputs.includes("frame_embeddings")) return all(body, NODE);
      }
    }
  }
  return null;
}

/**
 * The encoder of a model file by itself, from windows of 16,000 samples on: what a whole-pipeline
 * file runs in its Loop, and all of a file of windows.
 *
 * @param {Uint8Array} bytes a file that `hearaudiomlp-export` wrote, with either interface
 * @param {Record<string, (string | number)[]>} shapes of the outputs wanted, by name; any value in
 *   the encoder can be one, and those that aren't there are left out. A Loop calls the logits
 *   `window_logits`.
 * @param {{graph?: Uint8Array, metadata?: Record<string, string>}} [more] fields that are added to
 *   the graph, and metadata that is added or replaced
 * @returns {Uint8Array} an ONNX file
 * @throws {HearAudioMLPError} `model`, if there is no such encoder in it
 */
export function encoderOf(bytes, shapes, { graph: added = new Uint8Array(0), metadata = {} } = {}) {
  return reading(() => {
    const [graph] = all(bytes, GRAPH);
    if (graph === undefined) throw new RangeError("it has no graph");
    const outside = all(graph, NODE);
    const inside = encoderLoop(outside) ?? outside;
    const made = new Set(inside.flatMap((node) => texts(node, NODE_OUTPUT)));
    const outputs = Object.keys(shapes).filter((name) => made.has(name));
    const needed = new Set(outputs);
    // The constants that a Loop uses are outside of it. Nodes are in topological order.
    const kept = [...(inside === outside ? [] : outside), ...inside]
      .reverse()
      .filter((node) => {
        const gives = texts(node, NODE_OUTPUT);
        if (gives.includes("windows") || !gives.some((name) => needed.has(name))) return false;
        texts(node, NODE_INPUT).forEach((name) => needed.add(name));
        return true;
      })
      .reverse();
    if (!outputs.includes("frame_embeddings") || !needed.has("windows")) {
      throw new HearAudioMLPError(
        "model",
        "this ONNX file isn't a model from waveform to embeddings (it computes no frame_embeddings " +
          "from windows); make one with hearaudiomlp-export",
      );
    }
    const initializers = all(graph, INITIALIZER).filter((tensor) => needed.has(texts(tensor, 8)[0]));
    const parts = [
      ...kept.map((node) => field(NODE, node)),
      ...texts(graph, 2).map((name) => field(2, name)),
      ...initializers.map((tensor) => field(INITIALIZER, tensor)),
      field(INPUT, valueInfo("windows", ["n", 16_000])),
      ...outputs.map((name) => field(OUTPUT, valueInfo(name, shapes[name]))),
      added,
    ];
    const rest = [...fields(bytes)].filter(([number]) => number !== GRAPH && number !== METADATA);
    const entries = Object.entries({ ...readMetadata(bytes), ...metadata });
    return concat([
      ...rest.map(([number, value]) => field(number, value)),
      field(GRAPH, concat(parts)),
      ...entries.map(([key, value]) => field(METADATA, concat([field(1, key), field(2, value)]))),
    ]);
  });
}
