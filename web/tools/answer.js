/**
 * Embeds sounds for another program: `node answer.js MODEL.onnx RUNTIME`. In, for each sound: the
 * number of samples (uint32), then the samples (float32). Out: four numbers of values (uint32), then
 * those of the timestamp embeddings, the timestamps, the scene embedding and the keyword logits of
 * whole seconds (float32). All little-endian. Ends with its input.
 */

import { open } from "./runtimes.js";

const [file, runtime] = process.argv.slice(2);
const model = await open(file, runtime);

let pending = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  pending = Buffer.concat([pending, chunk]);
  while (pending.length >= 4) {
    const end = 4 + 4 * pending.readUInt32LE(0);
    if (pending.length < end) break;
    const sound = new Float32Array(new Uint8Array(pending.subarray(4, end)).buffer);
    pending = pending.subarray(end);
    const { embeddings, timestamps, scene, logits } = await model.embed(sound, { hop: 1 });
    const arrays = [embeddings, timestamps, scene, logits];
    process.stdout.write(new Uint8Array(Uint32Array.from(arrays, (a) => a.length).buffer));
    for (const array of arrays) {
      process.stdout.write(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    }
  }
}
await model.close();
