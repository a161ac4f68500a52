/**
 * The page while it listens: how much of its main thread that takes, and how much memory.
 *
 *     node tools/listen.js SOUND.wav [--minutes 1] [--phone] [--models FOLDER]
 *
 * Chromium's fake microphone plays the sound over and over, a WAV of 48 kHz for example. `--phone`: a
 * phone's screen, at a quarter of this machine's speed. The folder has kwmlp.onnx and audiomae.onnx,
 * whole pipelines; without it, those of page/models/ are used.
 *
 * Ten seconds are traced first: tasks of the main thread, in processor time. Then a line a minute:
 * JavaScript's heap and its buffers after a collection, and what the page's process takes in all, its
 * threads included.
 */

import { parseArgs } from "node:util";

import { rendererMemory } from "./memory.js";
import { longest, total, traceTasks } from "./trace.js";
import { ready, served, visit } from "./visit.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string", default: "1" }, phone: { type: "boolean" }, models: { type: "string" } },
});
const [sound] = positionals;
if (sound === undefined) throw new Error("which sound? node tools/listen.js SOUND.wav");

const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const TRACED = 10; // seconds

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
const MB = (bytes) => (bytes / 1e6).toFixed(1);

const { page, browser, leave } = await visit({
  microphone: sound,
  loop: true,
  served: served(values.models),
  ...(values.phone ? PHONE : DESKTOP),
});
try {
  await ready(page);
  const client = await browser.newCDPSession(page);
  await client.send("HeapProfiler.enable");
  if (values.phone) await client.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await page.evaluate(() => (document.getElementById("keep").checked = true)); // longer than ten minutes
  await page.click("#microphone");
  await page.waitForFunction(() => document.getElementById("level").value > 0.3, null, { timeout: 60_000 });
  await pause(5);

  const trace = await traceTasks(client);
  await pause(TRACED);
  const tasks = await trace.stop();
  console.log(
    `${values.phone ? "phone, a quarter of the speed" : "1280 x 900"}: ${(total(tasks) / TRACED / 10).toFixed(1)} % of the main thread, ` +
      `longest task ${longest(tasks).toFixed(0)} ms, ${tasks.filter((ms) => ms > 50).length} over 50 ms`,
  );

  console.log("minute  heap MB  buffers MB  process MB  words");
  const rows = [];
  for (let minute = 0; minute <= Number(values.minutes); minute++) {
    if (minute > 0) await pause(60);
    await client.send("HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize = 0 } = await client.send("Runtime.getHeapUsage");
    const row = { heap: usedSize, buffers: backingStorageSize, process: rendererMemory() };
    rows.push(row);
    const words = await page.locator("#words li").count();
    console.log(
      [minute, MB(row.heap), MB(row.buffers), MB(row.process), words]
        .map((value, i) => String(value).padStart([6, 8, 11, 11, 6][i]))
        .join(" "),
    );
    if ((await page.getAttribute("#microphone", "aria-pressed")) !== "true") throw new Error("it doesn't listen any more");
  }
} finally {
  await leave();
}
