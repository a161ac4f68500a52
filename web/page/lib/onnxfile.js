/**
 * What an ONNX file says of itself. ONNX Runtime's JavaScript interface doesn't give a model's
 * metadata, so this reads the few fields of the protobuf that hold it and skips the others.
 *
 * Wire format: https://protobuf.dev/programming-guides/encoding/, field numbers: onnx.proto.
 */

import { HearAudioMLPError } from "./errors.js";

const METADATA_PROPS = 14; // of ModelProto
const KEY = 1; // of StringStringEntryProto
const VALUE = 2;

/** Yield [field number, bytes] of every length-delimited field of a protobuf message. */
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
    if (wire === 0) varint();
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

/**
 * Read the metadata of an ONNX file.
 *
 * @param {Uint8Array} bytes the whole file
 * @returns {Record<string, string>}
 * @throws {HearAudioMLPError} `model`, if these bytes are no ONNX file
 */
export function readMetadata(bytes) {
  const text = new TextDecoder();
  const metadata = {};
  try {
    for (const [field, value] of fields(bytes)) {
      if (field !== METADATA_PROPS) continue;
      const entry = Object.fromEntries(fields(value));
      metadata[text.decode(entry[KEY])] = text.decode(entry[VALUE]);
    }
  } catch (problem) {
    throw new HearAudioMLPError("model", `this is not an ONNX file (${problem.message})`, {
      cause: problem,
    });
  }
  return metadata;
}
