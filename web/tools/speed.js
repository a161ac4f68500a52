/**
 * How long the graph takes: `node speed.js MODEL.onnx RUNTIME SECONDS RUNS`, one number of
 * milliseconds a run on a line, or, with the runtime `cold`, from the start of a first visit
 * to the page on this machine until a one-second sound's embeddings and words are shown.
 */

import { launch } from "./browser.js";
import { open } from "./runtimes.js";
import { serve } from "./serve.js";

const [file, runtime, seconds, runs] = process.argv.slice(2);

function sound(length) {
  let seed = 7;
  return Float32Array.from({ length }, () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return (seed / 0x7fffffff - 0.5) / 5;
  });
}

/** One visit with a fresh profile; the sound is given as soon as the page takes one. */
async function cold() {
  const { MODELS } = await import("../page/config.js");
  const { url, close: stop } = await serve({ files: { [MODELS[0].url]: file } });
  const { browser, close } = await launch();
  const page = await browser.newPage();
  const samples = sound(16_000);
  const body = Buffer.from(Int16Array.from(samples, (s) => 32_767 * s).buffer);
  const header = Buffer.alloc(44);
  header.write("RIFF\0\0\0\0WAVEfmt ", "latin1");
  [16, 0x10001, 16_000, 32_000, 0x100002].forEach((v, i) => header.writeUInt32LE(v, 16 + 4 * i));
  header.write("data", 36, "latin1");
  header.writeUInt32LE(body.length, 40);
  header.writeUInt32LE(36 + body.length, 4);
  await page.goto(url);
  const buffer = Buffer.concat([header, body]);
  await page.setInputFiles("#open:enabled", { name: "a.wav", mimeType: "audio/wav", buffer });
  await page.waitForSelector("html[data-first-result]");
  const took = await page.getAttribute("html", "data-first-result");
  await close();
  stop();
  return Number(took);
}

if (runtime === "cold") {
  for (let i = 0; i < Number(runs); i++) console.log(await cold());
} else {
  const model = await open(file, runtime);
  const samples = sound(Number(seconds) * 16_000);
  await model.times(samples, 3); // the first runs compile
  for (const ms of await model.times(samples, Number(runs))) console.log(ms);
  await model.close();
}
