/** The page without a network, and a new version of it. */

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { listFiles } from "../tools/vendor.js";
import { computed, files, ready, skip, visit } from "../tools/visit.js";

const kept = (page) => page.waitForFunction(() => /works without a network/.test(document.getElementById("offline").textContent), null, { timeout: 60_000 });

test("the second visit needs no network, a new version is announced, and the old one is dropped", { skip, timeout: 240_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-offline-"));
  const list = join(folder, "files.json");
  const style = join(folder, "style.css");
  const real = listFiles();
  const publish = (version, css) => {
    writeFileSync(list, JSON.stringify({ ...real, version }));
    writeFileSync(style, css);
  };
  publish("one", readFileSync(new URL("../page/style.css", import.meta.url)));
  const served = { ...files, "vendor/files.json": list, "style.css": style };
  const { page, browser, leave } = await visit({ served });
  await ready(page);
  await kept(page);

  await browser.setOffline(true);
  await page.reload();
  await ready(page);
  await page.click("#sample");
  await computed(page, "sentence.flac");
  assert.ok(await page.isHidden("#problem"));
  await browser.setOffline(false);

  publish("two", "h1 { color: rgb(1, 2, 3) }");
  await page.reload();
  await page.waitForSelector("#reload:visible", { timeout: 60_000 });
  const colour = () => page.evaluate(() => getComputedStyle(document.querySelector("h1")).color);
  assert.notEqual(await colour(), "rgb(1, 2, 3)"); // the version that was loaded stays whole
  await Promise.all([page.waitForEvent("load"), page.click("#reload")]);
  await ready(page);
  assert.equal(await colour(), "rgb(1, 2, 3)");
  assert.deepEqual(await page.evaluate(() => caches.keys()), ["hearaudiomlp two"]);
  await leave();
  rmSync(folder, { recursive: true });
});
