/**
 * The page in Debian's Chromium. HEARAUDIOMLP_WEB_MODELS names a folder with kwmlp.onnx and
 * audiomae.onnx.
 */

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { colours, complaint, computed, files, models, picture, pictures, ready, skip, toneFile, visit } from "../tools/visit.js";

describe("the page", { skip }, () => {
  let visited;
  let page;
  before(async () => {
    visited = await visit({ viewport: { width: 1280, height: 900 } });
    page = visited.page;
    await ready(page);
  });
  after(() => visited?.leave());

  const open = (file) => page.setInputFiles("#open", file);
  const download = async (button) => {
    const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
    return { name: file.suggestedFilename(), content: readFileSync(await file.path()) };
  };

  test("a sound file is drawn, and saved in every form", async () => {
    await open(toneFile("tone.wav", 3, 44_100));
    await computed(page, "tone.wav");
    for (const id of ["spectrogram", "embedding"]) assert.ok((await colours(page, id)) > 50, id);
    const label = await page.getAttribute("#embedding", "aria-label");
    assert.equal(label, "Embedding of tone.wav, 3.0 seconds: 300 frames of 64 values");
    const npz = await download("#save");
    assert.equal(npz.name, "tone.kwmlp.npz");
    const wav = await download("#save-wav");
    assert.equal(wav.name, "tone.16k.wav");
    assert.equal(wav.content.length, 44 + 2 * 48_000);
    const csv = await download("#save-csv");
    assert.match(csv.content.toString(), /^start,end,word,probability\r\n/);
    assert.equal((await download("#save-labels")).name, "tone.labels.txt");
  });

  test("a position moves view and playing, for the keyboard and the pointer", async () => {
    await open(toneFile("long.wav", 40, 8_000));
    await computed(page, "long.wav");
    await page.focus("#position");
    await page.keyboard.press("End");
    assert.equal(await page.getAttribute("#position", "aria-valuetext"), "40.0 of 40.0 s");
    await page.keyboard.press("Home");
    for (let i = 0; i < 50; i++) await page.keyboard.press("ArrowRight");
    assert.equal(await page.textContent("#position-value"), "5.0 of 40.0 s");
    const { width } = await page.locator("#pictures").boundingBox();
    await page.click("#pictures", { position: { x: width / 2, y: 60 } });
    const position = async () => parseFloat(await page.textContent("#position-value"));
    const pointed = await position();
    assert.ok(pointed > 5.3 && pointed < 6.7, String(pointed));
    await page.click("#play");
    await page.waitForFunction((at) => parseFloat(document.getElementById("position-value").textContent) > at + 0.2, pointed);
    assert.equal(await page.textContent("#play"), "Pause");
    await page.click("#play");
    await page.waitForFunction(() => document.getElementById("play").textContent === "Play");
    const paused = await position();
    await page.waitForTimeout(300);
    assert.equal(await position(), paused);
    assert.ok(paused > pointed && paused < 30, String(paused));
  });

  test("files that are no sound are named, and what was there stays", async () => {
    await open(toneFile("good.wav", 1));
    await computed(page, "good.wav");
    const cut = toneFile("cut.wav", 1);
    cut.buffer = cut.buffer.subarray(0, 20_000);
    const broken = [
      [{ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("not a sound") }, /^notes\.txt is not a sound file/],
      [{ name: "book.txt", mimeType: "text/plain", buffer: Buffer.alloc(400_000, "no sound ") }, /^book\.txt is not a sound file/],
      [{ name: "empty.wav", mimeType: "audio/wav", buffer: Buffer.alloc(0) }, /^empty\.wav is not a sound file/],
      [cut, /^cut\.wav: cut off: its header promises 32,044 bytes and there are 20,000/],
    ];
    for (const [file, message] of broken) {
      await open(file);
      await complaint(page, message);
      assert.match(await page.textContent("#status"), /^good\.wav: 1\.0 s/);
      assert.ok(await page.isEnabled("#save"));
      const saved = await download("#save");
      assert.equal(saved.name, "good.kwmlp.npz");
      if (!pictures) continue;
      writeFileSync(join(pictures, saved.name), saved.content); // test_web.py reads both
      writeFileSync(join(pictures, "good.wav"), toneFile("good.wav", 1).buffer);
    }
    await open(toneFile("next.wav", 0.5));
    await computed(page, "next.wav");
    assert.ok(await page.isHidden("#problem"));
  });

  test("a sound without samples is a sound", async () => {
    await open(toneFile("nothing.wav", 0));
    await computed(page, "nothing.wav");
    assert.match(await page.textContent("#status"), /^nothing\.wav: 0\.0 s/);
    assert.ok(await page.isEnabled("#save"));
  });

  test("the newest file wins, and Cancel keeps what was there", async () => {
    await open(toneFile("good.wav", 1));
    await computed(page, "good.wav");
    await open(toneFile("longer.wav", 240));
    await page.waitForSelector("#cancel:visible");
    assert.ok(await page.isEnabled("#save")); // of what is shown
    assert.equal((await download("#save")).name, "good.kwmlp.npz");
    await open(toneFile("newer.wav", 2));
    await computed(page, "newer.wav");
    await page.waitForTimeout(500);
    assert.match(await page.textContent("#status"), /^newer\.wav: 2\.0 s/);
    await open(toneFile("longer.wav", 240));
    await page.waitForSelector("#cancel:visible");
    await page.click("#cancel");
    await computed(page, "newer.wav");
    assert.ok(await page.isHidden("#busy"));
    assert.ok(await page.isHidden("#problem"));
  });

  test("another model: words are hidden, one's own file is shown as chosen, and none changes nothing", async () => {
    await open(toneFile("ok.wav", 1));
    await computed(page, "ok.wav");
    await page.click("summary:has-text('Settings')");
    await page.setInputFiles("#model-file", { name: "junk.onnx", mimeType: "", buffer: Buffer.from("junk junk junk") });
    await complaint(page, /not an ONNX file/);
    assert.equal(await page.getAttribute("html", "data-model"), "kwmlp");
    assert.match(await page.textContent("#status"), /^ok\.wav: 1\.0 s/);
    const own = join(tmpdir(), `my own ${process.pid}.onnx`);
    copyFileSync(join(models, "audiomae.onnx"), own);
    await page.setInputFiles("#model-file", own);
    await page.waitForSelector("html[data-model=audiomae]");
    await computed(page, "ok.wav");
    assert.match(await page.evaluate(() => document.getElementById("model").selectedOptions[0].text), /^my own/);
    for (const id of ["#keywords", "#words-section", "#vocabulary-section", "#threshold", "#save-csv", "#save-labels"]) {
      assert.ok(await page.isHidden(id), id);
    }
    await picture(page, "desktop-audiomae");
    await page.selectOption("#model", { index: 0 });
    await page.waitForSelector("html[data-model=kwmlp]");
    await computed(page, "ok.wav");
    assert.ok(await page.isVisible("#keywords"));
    await page.selectOption("#model", { index: 2 }); // one's own is still there
    await page.waitForSelector("html[data-model=audiomae]");
    await page.selectOption("#model", { index: 0 });
    await page.waitForSelector("html[data-model=kwmlp]");
    await computed(page, "ok.wav");
    await page.click("summary:has-text('Settings')");
  });

  test("text sizes of the browser are followed, in the pictures too", async () => {
    const height = () => page.evaluate(() => document.getElementById("keywords").clientHeight);
    const before = await height();
    await page.evaluate(() => (document.documentElement.style.fontSize = "32px"));
    await page.waitForFunction((before) => document.getElementById("keywords").clientHeight > 1.9 * before, before);
    const font = () =>
      page.evaluate(async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return document.getElementById("axis").getContext("2d").font;
      });
    assert.match(await font(), /^24px/);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
    await page.evaluate(() => (document.documentElement.style.fontSize = ""));
  });

  test("Tab reaches every control in the order of the page", async () => {
    await page.focus(".skip"); // the page's first stop
    const reached = [];
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.tagName));
    }
    const order = ["microphone", "open", "sample", "SUMMARY", "words-log", "play", "position", "save", "save-wav", "save-csv", "save-labels"];
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
    const threads = page.workers().map((worker) => worker.url()).filter((url) => !url.includes("sw.js"));
    assert.ok(threads.length > 0 && threads.every((url) => url.startsWith("blob:")), String(threads));
  });
});

test("a FLAC file of 16 bits gives the Python package's numbers", { skip }, async () => {
  const { page, leave } = await visit();
  await ready(page);
  await page.click("#sample");
  await computed(page, "sentence.flac");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  if (pictures) {
    // test_web.py compares them
    copyFileSync(await download.path(), join(pictures, "sentence.kwmlp.npz"));
    copyFileSync(new URL("../page/vendor/sentence.flac", import.meta.url), join(pictures, "sentence.flac"));
  }
  await leave();
});

const large = process.env.HEARAUDIOMLP_WEB_LARGE; // a folder with lossless.flac and lossy.mp3, large ones

test("a large file is decoded packet by packet, to the Python package's numbers", { skip: skip || (!large && "there are no such files") }, async () => {
  const { page, complaints, leave } = await visit();
  await page.evaluate(() => (OfflineAudioContext.prototype.decodeAudioData = () => Promise.reject(new Error("whole"))));
  await ready(page);
  for (const name of ["lossless.flac", "lossy.mp3"]) {
    await page.setInputFiles("#open", join(large, name));
    await computed(page, name);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    await download.saveAs(join(large, download.suggestedFilename())); // test_web.py compares them
  }
  const whole = readFileSync(join(large, "lossless.flac"));
  await page.setInputFiles("#open", { name: "cut.flac", mimeType: "audio/flac", buffer: whole.subarray(0, 300_000) });
  await complaint(page, /^cut\.flac: cut off: its header promises 12\.1 s and there are \d/);
  assert.deepEqual(complaints, []);
  await leave();
});

test("the page's address can name the model, and the sample is a sound", { skip }, async () => {
  const { page, leave } = await visit({ query: "?model=audiomae" });
  await page.waitForSelector("html[data-model=audiomae]");
  assert.equal(await page.evaluate(() => document.getElementById("model").selectedIndex), 1);
  await page.click("#sample");
  await computed(page, "sentence.flac");
  await leave();
});

test("a host without models asks for one", { skip }, async () => {
  const missing = Object.fromEntries(Object.keys(files).map((name) => [name, "/no/such/file"]));
  const { page, leave } = await visit({ served: missing });
  assert.match(await complaint(page, /open an \.onnx file/), /404/);
  assert.match(await page.textContent("#status"), /^There is no model yet/);
  await page.setInputFiles("#model-file", join(models, "kwmlp.onnx"));
  await ready(page);
  assert.ok(await page.isEnabled("#microphone"));
  await leave();
});
