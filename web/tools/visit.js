/** For tests: the page in Debian's Chromium, served under a path of its own, and sounds to give it. */

import { existsSync } from "node:fs";
import { join } from "node:path";

import { wavOf } from "../page/lib/wav.js";
import { EXECUTABLE, hasBrowser, launch } from "./browser.js";
import { serve } from "./serve.js";

/** Folder with kwmlp.onnx and audiomae.onnx, whole pipelines. */
export const models = process.env.HEARAUDIOMLP_WEB_MODELS;

/** A folder for screenshots, if they are wanted. */
export const pictures = process.env.HEARAUDIOMLP_WEB_PICTURES;

/** Why the page can't be tested here, or false. */
export const skip = !models
  ? "HEARAUDIOMLP_WEB_MODELS names no folder with models"
  : !hasBrowser && `there is no ${EXECUTABLE}`;

/** The page's own models replaced by those in a folder, if one is named. */
export const served = (folder) =>
  folder
    ? {
        "models/kwmlp-pipeline-float16.onnx": join(folder, "kwmlp.onnx"),
        "models/audiomae-pipeline-float16.onnx": join(folder, "audiomae.onnx"),
      }
    : {};

/** The page's own models, replaced by those under test. */
export const files = served(models);

/** A tone of 440 Hz, as a WAV file to give to a file input. */
export function toneFile(name, seconds, rate = 16_000) {
  const samples = Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / rate));
  const buffer = Buffer.concat(wavOf(samples));
  buffer.writeUInt32LE(rate, 24);
  buffer.writeUInt32LE(2 * rate, 28);
  return { name, mimeType: "audio/wav", buffer };
}

/**
 * Open the page in a browser of its own, and note all that it asks for and complains of.
 *
 * @param {object} [settings] `served`: files served instead of the page's; `query`; the rest is for launch()
 */
export async function visit({ served = files, query = "", ...settings } = {}) {
  const { url, close: stop } = await serve({ prefix: "/some/where/", files: served });
  const { browser, close } = await launch(settings);
  const page = await browser.newPage();
  const requests = [];
  const complaints = [];
  browser.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (problem) => complaints.push(String(problem)));
  await page.goto(url + query);
  const leave = async () => {
    await close();
    stop();
  };
  return { page, browser, url, requests, complaints, leave, stop };
}

/** Wait until a model is there. */
export const ready = (page) => page.waitForSelector("html[data-model]", { timeout: 60_000 });

/** Wait until a sound is shown, computed. */
export const computed = (page, name) =>
  page.waitForFunction(
    (name) => /computed in/.test(document.getElementById("status").textContent) && document.getElementById("status").textContent.startsWith(`${name}:`),
    name,
    { timeout: 60_000 },
  );

/** Wait until the page says that something went wrong, and return it. */
export async function complaint(page, pattern) {
  await page.waitForFunction((source) => new RegExp(source).test(document.getElementById("problem").textContent), pattern.source, { timeout: 30_000 });
  return page.textContent("#problem");
}

/** The words in the list. */
export const shown = (page) => page.locator("#words li[data-word] b").allTextContents();

/** Number of colours in a canvas. */
export const colours = (page, id) =>
  page.evaluate(async (id) => {
    await new Promise(requestAnimationFrame);
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  }, id);

/** Keep a screenshot of the whole page. */
export async function picture(page, name) {
  if (pictures && existsSync(pictures)) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
