/**
 * The page in Firefox: a WAV and a FLAC file are opened, words are found, a file that is no sound is
 * refused, and a long sound's files go with it. The microphone isn't tried: without a sound device,
 * Firefox doesn't start an AudioContext.
 *
 *     npm install --no-save puppeteer-core && node tools/firefox.js [FIREFOX, /usr/bin/firefox-esr]
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { serve } from "./serve.js";
import { toneFile } from "./visit.js";

const { launch } = await import("puppeteer-core");
const samples = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "samples");
const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-firefox-"));
const file = (name, content) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const { url, close } = await serve();
const browser = await launch({ browser: "firefox", executablePath: process.argv[2] ?? "/usr/bin/firefox-esr", headless: true });
try {
  console.log(await browser.version());
  const page = await browser.newPage();
  const complaints = [];
  page.on("pageerror", (problem) => complaints.push(String(problem)));
  const patient = { timeout: 300_000 };
  const text = (id) => page.$eval(id, (element) => element.textContent);
  const open = async (path, waited, what) => {
    await (await page.$("#open")).uploadFile(path);
    await page.waitForFunction((id, pattern) => new RegExp(pattern).test(document.querySelector(id).textContent), patient, waited, what);
  };
  await page.goto(url);
  await page.waitForSelector("html[data-model]", patient);

  await open(join(samples, "sentence.flac"), "#status", "^sentence.flac: 6.0 s, computed in");
  const words = await page.$$eval("#words li[data-word] b", (all) => all.map((one) => one.textContent));
  assert.ok(words.length > 0, "no words were found");
  console.log(`sentence.flac: ${words.join(", ")}`);

  await open(file("tone.wav", toneFile("tone.wav", 2, 44_100).buffer), "#status", "^tone.wav: 2.0 s, computed in");
  await open(file("text.wav", "this is no sound"), "#problem", "text.wav is not a sound file");
  assert.match(await text("#status"), /^tone.wav/);

  const kept = () =>
    page.evaluate(async () => {
      let count = 0;
      const root = await navigator.storage.getDirectory();
      for await (const [, place] of root) for await (const _ of place.keys()) count += 1;
      return count;
    });
  await open(file("long.wav", toneFile("long.wav", 275, 8_000).buffer), "#status", "^Computing long.wav");
  assert.equal(await kept(), 1);
  await page.click("#cancel");
  await page.waitForFunction(() => /^tone.wav/.test(document.getElementById("status").textContent), patient);
  for (let i = 0; i < 100 && (await kept()) > 0; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(await kept(), 0);
  assert.deepEqual(complaints, []);
  console.log("WAV, FLAC, a file that is no sound, and a long sound: as they should be");
} finally {
  await browser.close();
  close();
  rmSync(folder, { recursive: true });
}
