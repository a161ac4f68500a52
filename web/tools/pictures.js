/**
 * The pictures of the page in docs/: the sample sentence, opened.
 *
 *     node tools/pictures.js FOLDER [--all] [--models FOLDER]
 *
 * A desktop in light colours and a phone in dark ones; with --all, each in both, and with all sections
 * open. The folder of models has kwmlp.onnx and audiomae.onnx, whole pipelines; without it, those of
 * page/models/ are used.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { computed, ready, served, visit } from "./visit.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: "boolean" }, models: { type: "string" } },
});
const [folder] = positionals;
if (folder === undefined) throw new Error("where to? node tools/pictures.js FOLDER");
mkdirSync(folder, { recursive: true });

const SCREENS = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1, isMobile: true, hasTouch: true },
};

for (const [name, screen] of Object.entries(SCREENS)) {
  for (const colorScheme of ["light", "dark"]) {
    const shown = (name === "desktop") === (colorScheme === "light");
    if (!shown && !values.all) continue;
    const { page, leave } = await visit({ served: served(values.models), colorScheme, ...screen });
    try {
      await ready(page);
      await page.waitForFunction(() => document.getElementById("offline").textContent !== "");
      await page.click("#sample");
      await computed(page, "sentence.flac");
      const keep = async (path) => {
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        await page.screenshot({ path: join(folder, path), fullPage: true });
      };
      await keep(`page-${name}${shown ? "" : `-${colorScheme}`}.png`);
      if (!values.all) continue;
      await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
      await keep(`page-${name}-${colorScheme}-open.png`);
    } finally {
      await leave();
    }
  }
}
