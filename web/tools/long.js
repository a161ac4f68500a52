/**
 * A long recording opened in the page: how long the main thread is blocked, and how much memory the
 * browser takes.
 *
 *     node tools/long.js [minutes, 60] [model folder]
 *
 * The folder has kwmlp.onnx and audiomae.onnx, whole pipelines; without it, those of page/models/.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { wavOf } from "../page/lib/wav.js";
import { ready, visit } from "./visit.js";

const minutes = Number(process.argv[2] ?? 60);
const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-long-"));
const file = join(folder, "long.wav");
let seed = 1;
const samples = Float32Array.from({ length: 16_000 * 60 * minutes }, () => {
  seed = (seed * 48_271) % 0x7fffffff;
  return 0.2 * (seed / 0x7fffffff - 0.5);
});
writeFileSync(file, Buffer.concat(wavOf(samples)));

const served = process.argv[3] && {
  "models/kwmlp-pipeline-float16.onnx": join(process.argv[3], "kwmlp.onnx"),
  "models/audiomae-pipeline-float16.onnx": join(process.argv[3], "audiomae.onnx"),
};
const { page, leave } = await visit(served ? { served } : { served: {} });
try {
  await ready(page);
  await page.evaluate(() => {
    globalThis.blocked = [];
    new PerformanceObserver((list) => globalThis.blocked.push(...list.getEntries().map((task) => task.duration))).observe({ type: "longtask" });
  });
  /** Memory of all of Chromium's renderers, in MB. */
  const memory = () => {
    const rows = execFileSync("ps", ["-eo", "rss,args"], { encoding: "utf8" }).split("\n");
    const ours = rows.filter((row) => row.includes("--type=renderer"));
    return Math.round(Math.max(0, ...ours.map((row) => parseInt(row, 10))) / 1000);
  };
  console.log(`ready: ${memory()} MB`);
  const start = performance.now();
  await page.setInputFiles("#open", file);
  const done = page.waitForFunction(() => /^long\.wav:.*computed in/.test(document.getElementById("status").textContent), null, { timeout: 0 });
  let most = 0;
  let computed = false;
  done.then(() => (computed = true));
  while (!computed) {
    most = Math.max(most, memory());
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const tasks = await page.evaluate(() => globalThis.blocked);
  console.log(
    `${minutes} minutes, computed in ${((performance.now() - start) / 1000).toFixed(0)} s: ` +
      `${tasks.length} tasks over 50 ms, the longest ${Math.max(0, ...tasks).toFixed(0)} ms; at most ${most} MB, then ${memory()} MB`,
  );
} finally {
  await leave();
  rmSync(folder, { recursive: true });
}
