/**
 * The page's microphone, played by Chromium's fake one. HEARAUDIOMLP_WEB_SENTENCE names a WAV file
 * with a sentence, and HEARAUDIOMLP_WEB_WORDS the words that the model has to find in it.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { colours, complaint, computed, picture, ready, shown, skip, toneFile, visit } from "../tools/visit.js";

const sentence = process.env.HEARAUDIOMLP_WEB_SENTENCE;
const words = process.env.HEARAUDIOMLP_WEB_WORDS?.split(" ");

test("a refused microphone says so, and what was there stays", { skip }, async () => {
  const { page, leave } = await visit();
  await ready(page);
  await page.setInputFiles("#open", toneFile("kept.wav", 1));
  await computed(page, "kept.wav");
  await page.click("#microphone");
  await complaint(page, /microphone/);
  assert.equal(await page.getAttribute("#microphone", "aria-pressed"), "false");
  assert.match(await page.textContent("#status"), /^kept\.wav/);
  assert.ok(await page.isEnabled("#save"));
  await leave();
});

const screens = {
  desktop: { viewport: { width: 1280, height: 900 } },
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
      assert.ok(await page.isDisabled("#open"));
      assert.ok(await page.isDisabled("#save"));
      await page.waitForFunction(() => document.getElementById("level").value > 0.3, null, { timeout: 20_000 });
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

/** A folder with a WAV file of a tone, for the fake microphone. */
function toneMicrophone(seconds) {
  const folder = mkdtempSync(join(tmpdir(), "hearaudiomlp-tone-"));
  const microphone = join(folder, "tone.wav");
  writeFileSync(microphone, toneFile("tone.wav", seconds, 48_000).buffer);
  return { microphone, remove: () => rmSync(folder, { recursive: true }) };
}

test("a microphone that is lost says so, and what it heard is kept", { skip }, async () => {
  const { microphone, remove } = toneMicrophone(8);
  const { page, leave } = await visit({ microphone });
  await ready(page);
  await page.evaluate(() => {
    const { getUserMedia } = navigator.mediaDevices;
    navigator.mediaDevices.getUserMedia = async function (...constraints) {
      const stream = await getUserMedia.apply(this, constraints);
      globalThis.unplug = () => stream.getAudioTracks()[0].dispatchEvent(new Event("ended"));
      return stream;
    };
  });
  await page.click("#microphone");
  await page.waitForFunction(() => document.getElementById("level").value > 0.3, null, { timeout: 20_000 });
  await page.waitForTimeout(700);
  await page.evaluate(() => globalThis.unplug());
  await complaint(page, /disconnected; what it heard until then is kept/);
  await computed(page, "the recording");
  assert.ok(await page.isEnabled("#save"));
  await leave();
  remove();
});

/** A microphone that runs a hundred times as fast as time. */
async function fastMicrophone(page) {
  await page.evaluate(() => {
    const { constructor } = new MessageChannel().port1;
    AudioWorkletNode.prototype.constructor = constructor;
    const real = globalThis.AudioWorkletNode;
    globalThis.AudioWorkletNode = class extends real {
      constructor(...rest) {
        super(...rest);
        const { port } = this;
        const post = port.postMessage.bind(port);
        port.postMessage = (message, transfer) => {
          if (!(message instanceof MessagePort)) return post(message, transfer);
          globalThis.feed = (seconds) => {
            const piece = new Float32Array(16_000).fill(0.01);
            for (let i = 0; i < seconds; i++) message.postMessage(piece);
          };
          return undefined;
        };
      }
    };
  });
}

test("ten minutes end a recording with a sentence; or it continues, and the last ten are kept", { skip, timeout: 180_000 }, async () => {
  const { microphone, remove } = toneMicrophone(2);
  const { page, leave } = await visit({ microphone });
  await ready(page);
  await fastMicrophone(page);
  await page.click("#microphone");
  await page.waitForSelector("#microphone[aria-pressed=true]");
  await page.evaluate(() => globalThis.feed(599));
  await page.waitForTimeout(300);
  assert.equal(await page.getAttribute("#microphone", "aria-pressed"), "true");
  await page.evaluate(() => globalThis.feed(5));
  await page.waitForSelector("#microphone[aria-pressed=false]");
  await page.waitForFunction(() => /ten minutes/i.test(document.getElementById("status").textContent) || document.getElementById("busy").hidden === false);
  await page.click("#cancel");
  await page.waitForSelector("#compute:visible");
  const status = await page.textContent("#status");
  assert.match(status, /^the recording: 600\.0 s, not computed\. Ten minutes are the longest recording/);
  assert.ok(await page.isDisabled("#save"));
  assert.ok(await page.isEnabled("#save-wav"));

  await page.click("summary:has-text('Settings')");
  await page.check("#keep");
  await page.click("#microphone");
  await page.waitForSelector("#microphone[aria-pressed=true]");
  await page.evaluate(() => globalThis.feed(700));
  await page.waitForTimeout(500);
  assert.equal(await page.getAttribute("#microphone", "aria-pressed"), "true");
  await page.click("#microphone");
  await page.waitForSelector("#cancel:visible");
  await page.click("#cancel");
  await page.waitForFunction(() => /^the recording: 600\.0 s/.test(document.getElementById("status").textContent));
  await leave();
  remove();
});

test("the microphone's sound arrives at 16 kHz", { skip }, async () => {
  const { microphone, remove } = toneMicrophone(8);
  const { page, leave } = await visit({ microphone });
  try {
    const samples = await page.evaluate(async () => {
      const { Microphone } = await import("./live/microphone.js");
      const got = [];
      const { port1, port2 } = new MessageChannel();
      port2.onmessage = ({ data }) => got.push(...data);
      const opened = await Microphone.open(port1, { lost: () => {} });
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
    remove();
  }
});
