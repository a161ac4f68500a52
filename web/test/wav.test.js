/** WAV files that are made to take time, and what is no file. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { readAudio } from "../index.js";

const chunk = (name, body) => {
  const head = Buffer.alloc(8);
  head.write(name, "latin1");
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body]);
};

const FORMAT = chunk("fmt ", Buffer.from("01000100803e0000007d000002001000", "hex")); // 16 kHz, 16 bits
const SAMPLES = chunk("data", Buffer.alloc(3200));
const chunks = (count) => Buffer.alloc(8 * count, chunk("junk", Buffer.alloc(0)));
const wav = (...parts) => Buffer.concat([Buffer.from("RIFF\0\0\0\0WAVE", "latin1"), ...parts]);

test("a hundred thousand chunks of a WAV file are looked at, and no more", async () => {
  assert.equal((await readAudio(wav(chunks(90_000), FORMAT, SAMPLES, chunks(90_000)))).duration, 0.1);
  for (const bytes of [wav(chunks(200_000), FORMAT, SAMPLES), wav(FORMAT, SAMPLES, chunks(200_000))]) {
    await assert.rejects(readAudio(bytes), { name: "HearAudioMLPError", message: /too many chunks/ });
  }
});

test("pipes and devices are refused at once", { skip: process.platform === "win32" }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "wav-"));
  try {
    const pipe = join(folder, "pipe.wav");
    execFileSync("mkfifo", [pipe]);
    for (const path of [pipe, "/dev/zero", folder]) {
      await assert.rejects(readAudio(path), { name: "HearAudioMLPError", message: /ordinary file/ });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
