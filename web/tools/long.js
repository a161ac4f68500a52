/**
 * A long recording opened in the page: how long the main thread is blocked, in processor time, and how
 * much memory the page's process takes.
 *
 *     node tools/long.js [--minutes 60] [--as mp3] [--model kwmlp] [--models FOLDER]
 *
 * The recording is a WAV at 16 kHz, or with --as a file in stereo at 48 kHz with this suffix, of one minute that
 * FFmpeg repeats. The model is kwmlp or audiomae, which takes a fifth of the time. The folder has kwmlp.onnx and
 * audiomae.onnx, whole pipelines; without it, those of page/models/ are used.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { wavOf } from "../page/lib/wav.js";
import { rendererMemory } from "./memory.js";
import { longest, traceTasks } from "./trace.js";
import { ready, served, visit } from "./visit.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    as: { type: "string" },
    model: { type: "string", default: "kwmlp" },
    models: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-long-"));
const file = join(folder, `long.${values.as ?? "wav"}`);
let seed = 1;
const noise = (seconds) =>
  Float32Array.from({ length: 16_000 * seconds }, () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return 0.2 * (seed / 0x7fffffff - 0.5);
  });
const write = (path, seconds) => writeFileSync(path, Buffer.concat(wavOf(noise(seconds))));
if (values.as) {
  const [wav, minute] = [join(folder, "minute.wav"), join(folder, `minute.${values.as}`)];
  write(wav, 60);
  const ffmpeg = (...options) => execFileSync("ffmpeg", ["-loglevel", "error", ...options]);
  ffmpeg("-i", wav, "-ac", "2", "-ar", "48000", minute);
  ffmpeg("-stream_loop", String(minutes - 1), "-i", minute, "-c", "copy", file);
} else write(file, 60 * minutes);

const { page, browser, leave } = await visit({ served: served(values.models), query: `?model=${values.model}` });
try {
  await ready(page);
  const memory = () => Math.round(rendererMemory() / 1e6);
  console.log(`ready: ${memory()} MB`);
  const trace = await traceTasks(await browser.newCDPSession(page));
  const start = performance.now();
  await page.setInputFiles("#open", file);
  const done = page.waitForFunction(() => /^long\.\w+:.*computed in/.test(document.getElementById("status").textContent), null, { timeout: 0 });
  let most = 0;
  let computed = false;
  done.then(() => (computed = true));
  while (!computed) {
    most = Math.max(most, memory());
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const seconds = (performance.now() - start) / 1000;
  const tasks = await trace.stop();
  console.log(
    `${minutes} minutes, computed in ${seconds.toFixed(0)} s: ${tasks.filter((ms) => ms > 50).length} tasks over 50 ms ` +
      `of processor time, the longest ${longest(tasks).toFixed(0)} ms; at most ${most} MB, then ${memory()} MB`,
  );
} finally {
  await leave();
  rmSync(folder, { recursive: true });
}
