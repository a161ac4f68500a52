/** What axe-core finds in every state of the page: nothing. */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

import { complaint, computed, models, picture, ready, skip, toneFile, visit } from "../tools/visit.js";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const sentence = process.env.HEARAUDIOMLP_WEB_SENTENCE;

const screens = {
  desktop: { viewport: { width: 1280, height: 900 } },
  "desktop, dark": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

for (const [name, screen] of Object.entries(screens)) {
  test(`axe finds nothing, ${name}`, { skip, timeout: 180_000 }, async () => {
    // The policy forbids what is injected; the page is tried without it here.
    const { page, leave } = await visit({ ...screen, bypassCSP: true, microphone: sentence });
    await page.addScriptTag({ path: axe });
    const check = async (state) => {
      const violations = await page.evaluate(async () => (await globalThis.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120))}`));
      assert.deepEqual(violations, [], state);
    };
    await check("loading");
    await ready(page);
    await check("ready");
    for (const summary of await page.locator("summary").all()) await summary.click();
    await page.click("#add-class");
    await check("all open");
    await picture(page, `${name}, all open`);
    await page.setInputFiles("#open", toneFile("long.wav", 30));
    await computed(page, "long.wav");
    await check("a sound");
    await page.setInputFiles("#open", { name: "a.txt", mimeType: "", buffer: Buffer.from("text") });
    await complaint(page, /not a sound file/);
    await check("a problem");
    await page.setInputFiles("#open", toneFile("longer.wav", 120));
    await page.waitForSelector("#cancel:visible");
    await check("busy");
    await page.click("#cancel");
    if (sentence) {
      await page.click("#microphone");
      await page.waitForSelector("#microphone[aria-pressed=true]");
      await check("listening");
      await page.click("#microphone");
      await computed(page, "the recording");
    }
    await page.setInputFiles("#model-file", join(models, "audiomae.onnx"));
    await page.waitForSelector("html[data-model=audiomae]");
    await check("audiomae");
    await leave();
  });
}

test("what screen readers are given", { skip }, async () => {
  const { page, leave } = await visit();
  await ready(page);
  await page.click("#sample");
  await computed(page, "sentence.flac");
  const tree = await page.locator("main").ariaSnapshot();
  assert.match(tree, /- log "Words"/);
  assert.match(tree, /- list:\s+- listitem:/); // the words are a list inside the log
  assert.match(tree, /- status: /);
  assert.match(tree, /- img "Spectrogram of sentence\.flac, 6\.0 seconds"/);
  assert.match(tree, /- slider "Position/);
  await leave();
});
