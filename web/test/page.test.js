/**
 * The page in Debian's Chromium, served under a path of its own. HEARAUDIOMLP_WEB_MODELS names a
 * folder with kwmlp.onnx and audiomae.onnx; HEARAUDIOMLP_WEB_SENTENCE a WAV file for the fake
 * microphone, and HEARAUDIOMLP_WEB_WORDS the words that the model has to find in it.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { EXECUTABLE, hasBrowser, launch } from "../tools/browser.js";
import { serve } from "../tools/serve.js";

const models = process.env.HEARAUDIOMLP_WEB_MODELS;
const sentence = process.env.HEARAUDIOMLP_WEB_SENTENCE;
const words = process.env.HEARAUDIOMLP_WEB_WORDS?.split(" ");
const pictures = process.env.HEARAUDIOMLP_WEB_PICTURES; // a folder for screenshots

let skip = false;
if (!models) skip = "HEARAUDIOMLP_WEB_MODELS names no folder with models";
else if (!hasBrowser) skip = `there is no ${EXECUTABLE}`;

/** A WAV file of 16-bit samples. */
function wav(rate, samples) {
  const header = Buffer.alloc(44);
  header.write("RIFF", 0, "latin1");
  header.writeUInt32LE(36 + 2 * samples.length, 4);
  header.write("WAVEfmt ", 8, "latin1");
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(2 * rate, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36, "latin1");
  header.writeUInt32LE(2 * samples.length, 40);
  const body = Int16Array.from(samples, (sample) => Math.round(32_767 * sample));
  return Buffer.concat([header, Buffer.from(body.buffer)]);
}

function tone(rate, seconds) {
  const length = Math.round(rate * seconds);
  return Array.from({ length }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / rate));
}

const files = {
  "models/kwmlp-pipeline-float16.onnx": models && join(models, "kwmlp.onnx"),
  "models/audiomae-pipeline-float16.onnx": models && join(models, "audiomae.onnx"),
};

/** A page in a browser of its own, and all that it asked for and complained of. */
async function visit({ served = files, ...settings } = {}) {
  const { url, close: stop } = await serve({ prefix: "/some/where/", files: served });
  const { browser, close } = await launch(settings);
  const page = await browser.newPage();
  const requests = [];
  const complaints = [];
  browser.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (problem) => complaints.push(String(problem)));
  await page.goto(url);
  const leave = async () => {
    await close();
    stop();
  };
  return { page, url, requests, complaints, leave };
}

const ready = (page) => page.waitForSelector("html[data-model]", { timeout: 60_000 });
const computed = (page, name) =>
  page.waitForFunction(
    (name) => document.getElementById("status").textContent.startsWith(`${name}:`),
    name,
    { timeout: 60_000 },
  );
const shown = (page) => page.locator("#words li[data-word] b").allTextContents();

/** Number of colours in a canvas. */
const colours = (page, id) =>
  page.evaluate((id) => {
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  }, id);

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

describe("the page", { skip }, () => {
  let visited;
  let page;
  before(async () => {
    visited = await visit({ viewport: { width: 1180, height: 900 } });
    page = visited.page;
    await ready(page);
  });
  after(() => visited.leave());

  test("a sound file is drawn, and every array of it can be saved", async () => {
    const file = { name: "tone.wav", mimeType: "audio/wav", buffer: wav(44_100, tone(44_100, 3)) };
    await page.setInputFiles("#open", file);
    await computed(page, "tone.wav");
    await page.evaluate(() => new Promise(requestAnimationFrame));
    for (const id of ["spectrogram", "embedding"]) assert.ok((await colours(page, id)) > 50, id);
    const label = await page.getAttribute("#embedding", "aria-label");
    assert.equal(label, "Embedding of tone.wav, 3.0 seconds: 300 frames of 64 values");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    assert.equal(download.suggestedFilename(), "tone.kwmlp.npz");
    const saved = readFileSync(await download.path());
    for (const key of ["timestamp_embeddings", "timestamps", "scene_embeddings", "offsets"]) {
      assert.ok(saved.includes(`${key}.npy`), key);
    }
    assert.ok(saved.includes("'shape': (300, 64)"));
    if (pictures) writeFileSync(join(pictures, "tone.kwmlp.npz"), saved);
  });

  test("a long sound has a position, for the keyboard too", async () => {
    const file = { name: "long.wav", mimeType: "audio/wav", buffer: wav(8_000, tone(8_000, 40)) };
    await page.setInputFiles("#open", file);
    await computed(page, "long.wav");
    await page.focus("#position");
    await page.keyboard.press("End");
    const text = await page.getAttribute("#position", "aria-valuetext");
    assert.match(text, /^from (2[5-9]|3\d)\.\d seconds on$/);
  });

  test("files that are no sound are named, and the page goes on", async () => {
    const file = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("not a sound") };
    await page.setInputFiles("#open", file);
    await page.waitForSelector("#problem:visible");
    assert.match(await page.textContent("#problem"), /^notes\.txt is no sound file/);
    await page.setInputFiles("#open", { name: "e.wav", mimeType: "", buffer: Buffer.alloc(0) });
    await page.waitForFunction(() => document.getElementById("problem").textContent.startsWith("e.wav"));
    await page.setInputFiles("#open", { name: "ok.wav", mimeType: "", buffer: wav(16_000, tone(16_000, 0.5)) });
    await computed(page, "ok.wav");
    assert.ok(await page.isHidden("#problem"));
  });

  test("another model, and one that is none", async () => {
    const junk = { name: "junk.onnx", mimeType: "", buffer: Buffer.from("junk junk junk") };
    await page.setInputFiles("#model-file", junk);
    await page.waitForSelector("#problem:visible");
    assert.match(await page.textContent("#problem"), /not an ONNX file/);
    assert.equal(await page.getAttribute("html", "data-model"), "kwmlp");
    await page.setInputFiles("#model-file", join(models, "audiomae.onnx"));
    await page.waitForSelector("html[data-model=audiomae]");
    await computed(page, "ok.wav");
    assert.ok(await page.isHidden("#keywords"));
    await page.click("summary:has-text('Settings')");
    await page.selectOption("#model", { index: 0 });
    await page.waitForSelector("html[data-model=kwmlp]");
    await computed(page, "ok.wav");
    assert.ok(await page.isVisible("#keywords"));
  });

  test("every control has a name, and Tab reaches it in the order of the page", async () => {
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll("button, input, select, canvas:not([aria-hidden])")]
        .filter((e) => !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent.trim() || e.textContent.trim()))
        .map((e) => e.id),
    );
    assert.deepEqual(unnamed, []);
    await page.focus(".skip"); // the page's first stop
    const reached = [];
    for (let i = 0; i < 16; i++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.tagName));
    }
    const order = ["microphone", "open", "play", "save", "SUMMARY", "model", "model-file", "threshold"];
    assert.deepEqual(reached.filter((id) => order.includes(id)).slice(0, order.length), order);
  });

  test("nothing was asked of another host, and nothing can be, not by the model's thread either", async () => {
    const origin = new URL(visited.url).origin;
    const own = (url) => url.startsWith(origin) || url.startsWith(`blob:${origin}`);
    assert.deepEqual(visited.requests.filter((url) => !own(url)), []);
    const other = visited.url.replace("127.0.0.1", "localhost"); // the same server, another origin
    const tries = await page.evaluate(async (other) => {
      const attempt = `fetch(${JSON.stringify(other)}, {mode: "no-cors"}).then(() => "sent", () => "refused")`;
      const inPage = await fetch(other, { mode: "no-cors" }).then(() => "sent", () => "refused");
      // A thread that begins as the model's does: a module out of a blob.
      const source = new Blob([`${attempt}.then((result) => postMessage(result))`], { type: "text/javascript" });
      const worker = new Worker(URL.createObjectURL(source), { type: "module" });
      const inWorker = await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
      worker.terminate();
      return [inPage, inWorker];
    }, other);
    assert.deepEqual(tries, ["refused", "refused"]);
    const threads = page.workers().map((worker) => worker.url());
    assert.ok(threads.length > 0 && threads.every((url) => url.startsWith("blob:")), String(threads));
  });
});

test("a host without models asks for one", { skip }, async () => {
  const missing = Object.fromEntries(Object.keys(files).map((name) => [name, "/no/such/file"]));
  const { page, leave } = await visit({ served: missing });
  await page.waitForSelector("#problem:visible");
  assert.match(await page.textContent("#problem"), /open an \.onnx file/);
  await page.setInputFiles("#model-file", join(models, "kwmlp.onnx"));
  await ready(page);
  assert.ok(await page.isEnabled("#microphone"));
  await leave();
});

test("without a microphone the page says so", { skip }, async () => {
  const { page, leave } = await visit();
  await ready(page);
  await page.click("#microphone");
  await page.waitForSelector("#problem:visible");
  assert.match(await page.textContent("#problem"), /microphone/);
  assert.equal(await page.getAttribute("#microphone", "aria-pressed"), "false");
  await leave();
});

const screens = {
  desktop: { viewport: { width: 1180, height: 900 } },
  phone: {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    colorScheme: "dark",
    reducedMotion: "reduce",
  },
};

for (const [name, screen] of Object.entries(screens)) {
  const silent = sentence ? skip : skip || "HEARAUDIOMLP_WEB_SENTENCE names no WAV file";
  test(`words from the microphone, ${name}`, { skip: silent, timeout: 120_000 }, async () => {
    const { page, complaints, leave } = await visit({ microphone: sentence, ...screen });
    try {
      await ready(page);
      await page.click("#microphone");
      await page.waitForSelector("#microphone[aria-pressed=true]");
      if (words) {
        await page.waitForFunction((count) => document.querySelectorAll("#words li").length >= count, words.length, {
          timeout: 30_000,
        });
      }
      await page.waitForTimeout(2_000);
      await picture(page, `${name}-live`);
      for (const id of ["spectrogram", "embedding"]) assert.ok((await colours(page, id)) > 50, id);
      const live = await shown(page);
      await page.click("#microphone");
      await computed(page, "the recording");
      await picture(page, `${name}-after`);
      if (words) {
        assert.deepEqual(live, words);
        assert.deepEqual(await shown(page), words);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
      assert.deepEqual(complaints, []);
    } finally {
      await leave();
    }
  });
}

test("the microphone's sound arrives at 16 kHz", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-tone-"));
  const microphone = join(folder, "tone.wav");
  writeFileSync(microphone, wav(48_000, tone(48_000, 8)));
  const { page, leave } = await visit({ microphone });
  try {
    const samples = await page.evaluate(async () => {
      const { Microphone } = await import("./microphone.js");
      const got = [];
      const opened = await Microphone.open((piece) => got.push(...piece), () => {});
      while (got.length < 48_000) await new Promise((resolve) => setTimeout(resolve, 50));
      await opened.close();
      return got;
    });
    // The share of the power that a 440 Hz tone explains, in pieces of a tenth of a second: on a
    // busy machine the fake microphone skips, which spoils the pieces with a skip in them only.
    const shares = [];
    for (let begin = 16_000; begin < 48_000; begin += 1_600) {
      let [re, im, power] = [0, 0, 0];
      samples.slice(begin, begin + 1_600).forEach((sample, i) => {
        re += sample * Math.cos((2 * Math.PI * 440 * i) / 16_000);
        im += sample * Math.sin((2 * Math.PI * 440 * i) / 16_000);
        power += sample * sample;
      });
      shares.push((2 * (re * re + im * im)) / (1_600 * power));
    }
    const median = shares.sort((a, b) => a - b)[shares.length >> 1];
    assert.ok(median > 0.999, `440 Hz explains ${median} of the power`);
  } finally {
    await leave();
    rmSync(folder, { recursive: true });
  }
});
