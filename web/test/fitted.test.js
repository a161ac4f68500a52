/**
 * A file of `hearaudiomlp fit` in the page, as docs/tutorial-page.md has it. HEARAUDIOMLP_WEB_FITTED names a
 * folder with wake.onnx and day.wav, in which a whistle is heard twice.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { loadModel, readAudio } from "../index.js";
import { computed, ready, shown, skip, visit } from "../tools/visit.js";

const folder = process.env.HEARAUDIOMLP_WEB_FITTED;

test("a fitted file finds the user's own words", { skip: skip || (!folder && "HEARAUDIOMLP_WEB_FITTED names no folder") }, async () => {
  const { page, complaints, leave } = await visit();
  await ready(page);
  await page.click("summary:has-text('Settings')");
  await page.setInputFiles("#model-file", join(folder, "wake.onnx"));
  await page.waitForFunction(() => document.getElementById("vocabulary").textContent === "whistle");
  await page.setInputFiles("#open", join(folder, "day.wav"));
  await computed(page, "day.wav");
  assert.deepEqual(await shown(page), ["whistle", "whistle"]);
  const model = await loadModel(join(folder, "wake.onnx"));
  assert.ok(model.keywordThreshold > 0);
  assert.equal(Number(await page.inputValue("#threshold")), model.keywordThreshold);
  await page.selectOption("#model", { index: 0 });
  await page.waitForFunction(() => document.getElementById("threshold").value === "0.75");

  const { samples } = await readAudio(join(folder, "day.wav"));
  const words = async (options) => (await model.embed(samples, options)).keywords;
  assert.deepEqual(await words(), await words({ threshold: model.keywordThreshold }));
  await model.close();
  assert.deepEqual(complaints, []);
  await leave();
});
