/**
 * How long the graph takes: `node speed.js MODEL.onnx RUNTIME SECONDS RUNS`, one number of
 * milliseconds a run on a line, or, with the runtime `visits`, from the start of a first visit
 * to the page on this machine, and of a second one without its host, until a one-second sound's embeddings
 * and words are shown.
 */

import { launch } from "./browser.js";
import { open } from "./runtimes.js";
import { wavOf } from "../page/lib/wav.js";
import { serve } from "./serve.js";

const [file, runtime, seconds, runs] = process.argv.slice(2);

function sound(length) {
  let seed = 7;
  return Float32Array.from({ length }, () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return (seed / 0x7fffffff - 0.5) / 5;
  });
}

/** When the page shows the first result for a sound, in ms from the start of its visit. */
async function firstResult(page, file) {
  await page.setInputFiles("#open:enabled", file);
  await page.waitForSelector("html[data-first-result]");
  return Number(await page.getAttribute("html", "data-first-result"));
}

/** Two visits with a fresh profile, the second one without the host; the sound is given as soon as the page takes one. */
async function visits() {
  const { MODELS } = await import("../page/config.js");
  const { url, close: stop } = await serve({ files: { [MODELS[0].url]: file } });
  const { browser, close } = await launch();
  const page = await browser.newPage();
  const oneSecond = { name: "a.wav", mimeType: "audio/wav", buffer: Buffer.concat(wavOf(sound(16_000))) };
  await page.goto(url);
  const first = await firstResult(page, oneSecond);
  await page.waitForFunction(() => document.getElementById("offline").textContent !== "");
  stop();
  await page.reload();
  const second = await firstResult(page, oneSecond);
  await close();
  return [first, second];
}

if (runtime === "visits") {
  for (let i = 0; i < Number(runs); i++) console.log((await visits()).join("\n"));
} else {
  const model = await open(file, runtime);
  const samples = sound(Number(seconds) * 16_000);
  await model.times(samples, 3); // the first runs compile
  for (const ms of await model.times(samples, Number(runs))) console.log(ms);
  await model.close();
}
