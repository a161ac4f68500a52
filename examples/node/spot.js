/**
 * Prints words as they are spoken: 16-bit samples at 16 kHz, mono, come from standard input.
 *
 *     arecord -q -f S16_LE -r 16000 -c 1 -t raw | node spot.js kwmlp.onnx
 *     ffmpeg -loglevel error -re -i talk.mp3 -f s16le -ar 16000 -ac 1 - | node spot.js kwmlp.onnx
 *
 * Any model file with labels will do, one that was taught in the page too.
 */

import { HearAudioMLPError, loadModel, Spotter } from "hearaudiomlp";

const SECOND = 16_000;

/** Whole 16-bit samples of a stream, as floats, at most a second at a time. */
async function* samplesOf(stream) {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = Buffer.concat([rest, chunk]);
    const count = bytes.length >> 1;
    for (let first = 0; first < count; first += SECOND) {
      const length = Math.min(SECOND, count - first);
      yield Float32Array.from({ length }, (_, i) => bytes.readInt16LE(2 * (first + i)) / 32_768);
    }
    rest = bytes.subarray(2 * count);
  }
}

async function main(file) {
  if (file === undefined) throw new HearAudioMLPError("option", "usage: node spot.js MODEL.onnx < samples");
  const model = await loadModel(file);
  if (model.labels.length === 0) throw new HearAudioMLPError("model", `${file} knows no words`);
  const spotter = new Spotter(model, {}, {
    word: ({ word, end, probability }) => console.log(`${end.toFixed(2)} s  ${word}  ${probability.toFixed(2)}`),
  });
  console.error(`listening for: ${model.labels.join(", ")}`);
  for await (const samples of samplesOf(process.stdin)) {
    spotter.push(samples);
    await spotter.idle(); // a file comes faster than speech
  }
  await model.close();
}

process.stdout.on("error", ({ code }) => process.exit(code === "EPIPE" ? 0 : 1)); // whoever read it has enough
main(process.argv[2]).catch((problem) => {
  console.error(problem instanceof HearAudioMLPError || problem.code ? `spot: ${problem.message}` : problem);
  process.exitCode = 1;
});
