/** Sounds that are too long for memory. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";

import { loadModel, readAudio } from "../index.js";
import { Spool } from "../page/lib/spool.js";
import { computed, models, ready, skip, toneFile, visit } from "../tools/visit.js";

const MOST = 1 << 24; // bytes that are kept in memory

/** A file that holds `room` bytes. */
function fakeFile(room) {
  const bytes = new Uint8Array(4 * MOST);
  return {
    removed: false,
    write(values, at) {
      if (at + values.byteLength > room) return false;
      bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
      return true;
    },
    read: (values, at) => new Uint8Array(values.buffer).set(bytes.subarray(at, at + values.byteLength)),
    blob: async () => new Blob([bytes]),
    remove() {
      this.removed = true;
    },
  };
}

const PIECE = 1 << 20; // numbers

/** A Spool of counting numbers, `pieces` times four MB of them. */
async function counting(pieces, overflow) {
  const spool = new Spool(Float32Array, { overflow });
  for (let i = 0; i < pieces; i++) await spool.append(Float32Array.from({ length: PIECE }, (_, j) => i * 1000 + (j % 1000)));
  return spool;
}

for (const [name, room, opened, removed] of [
  ["no file", null, 1, undefined],
  ["a file", Infinity, 1, false],
  ["a file without room", 0, 1, true],
  ["a disk that is full after six pieces", 6 * 4 * PIECE, 1, true],
]) {
  test(`many numbers, ${name}`, async () => {
    const file = room === null ? null : fakeFile(room);
    let asked = 0;
    const spool = await counting(7, async () => {
      asked += 1;
      return file;
    });
    assert.equal(asked, opened);
    assert.equal(file?.removed, removed);
    assert.equal(spool.length, 7 * PIECE);
    for (const begin of [0, 5, 3 * PIECE - 2, 6 * PIECE + 1]) {
      const expected = Array.from({ length: 4 }, (_, i) => Math.floor((begin + i) / PIECE) * 1000 + (((begin + i) % PIECE) % 1000));
      assert.deepEqual([...spool.subarray(begin, begin + 4)], expected);
    }
    assert.equal(spool.subarray(7 * PIECE - 1, 9 * PIECE).length, 1);
    assert.equal((await spool.blob(3)).size, 12);
    assert.deepEqual([...spool.pieces(5, 12)].map((piece) => piece.length), [5, 5, 2]);
    spool.remove();
    if (file) assert.ok(file.removed);
  });
}

test("a few numbers need no file", async () => {
  const spool = await counting(4, () => assert.fail("a file was asked for"));
  assert.equal(spool.length, 4 * PIECE);
});

/** The float32 numbers of an array in an .npz file whose members aren't compressed. */
function readArray(file, key) {
  for (let at = 0; file.readUInt32LE(at) === 0x04034b50; ) {
    const [sum, size, length] = [file.readUInt32LE(at + 14), file.readUInt32LE(at + 18), file.readUInt16LE(at + 26)];
    const body = file.subarray(at + 30 + length, at + 30 + length + size);
    if (file.subarray(at + 30, at + 30 + length).toString() === `${key}.npy`) {
      if (crc32) assert.equal(crc32(body), sum); // Node from 20.15 on
      const values = body.subarray(10 + body.readUInt16LE(8));
      return new Float32Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
    }
    at += 30 + length + size;
  }
  throw new Error(`no ${key}`);
}

/** Files of the page in the browser's private storage. */
const kept = (page) =>
  page.evaluate(async () => {
    const names = [];
    const root = await navigator.storage.getDirectory();
    for await (const [folder, handle] of root) for await (const name of handle.keys()) names.push(`${folder}/${name}`);
    return names;
  });

test("a long sound is kept in files, which go with it", { skip, timeout: 300_000 }, async () => {
  const { page, browser, url, complaints, leave } = await visit({ query: "?model=audiomae", acceptDownloads: true });
  try {
    await ready(page);
    const file = toneFile("long.wav", 275, 8_000);
    file.buffer.subarray(44).forEach((value, i, body) => (body[i] = i % 2 === 0 && i > 2e6 ? value ^ (i >> 9) : value));
    await page.setInputFiles("#open", file);
    await computed(page, "long.wav");
    assert.equal((await kept(page)).length, 1); // the samples; embeddings and WAV are not as many
    const download = async (button) => {
      const saved = page.waitForEvent("download");
      await page.click(button);
      return readFileSync(await (await saved).path());
    };
    const saved = await download("#save");
    const { samples } = await readAudio(new Uint8Array(file.buffer));
    const model = await loadModel(join(models, "audiomae.onnx"));
    const expected = await model.embed(samples);
    await model.close();
    for (const [key, values] of [["timestamp_embeddings", expected.embeddings], ["scene_embeddings", expected.scene], ["timestamps", expected.timestamps]]) {
      const found = readArray(saved, key);
      assert.equal(found.length, values.length, key);
      const error = found.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i])), 0);
      assert.ok(error < 1e-4, `${key}: ${error}`);
    }
    const wav = await readAudio(new Uint8Array(await download("#save-wav")));
    assert.equal(wav.samples.length, samples.length);
    assert.ok(samples.every((sample, i) => Math.abs(sample - wav.samples[i]) < 2e-5));

    const second = await browser.newPage(); // takes nothing away from the first
    await second.goto(`${url}?model=audiomae`);
    await ready(second);
    assert.equal((await kept(page)).length, 1);
    await page.setInputFiles("#open", toneFile("short.wav", 1));
    await computed(page, "short.wav");
    await page.waitForFunction(async () => {
      for await (const handle of (await navigator.storage.getDirectory()).values()) for await (const _ of handle.keys()) return false;
      return true;
    });

    await page.setInputFiles("#open", file);
    await page.waitForFunction(() => /^Computing/.test(document.getElementById("status").textContent), null, { timeout: 60_000 });
    assert.equal((await kept(second)).length, 1);
    await page.close();
    await second.reload();
    await ready(second);
    await second.waitForFunction(async () => (await (await navigator.storage.getDirectory()).keys().next()).done);
    assert.deepEqual(complaints, []);
  } finally {
    await leave();
  }
});
