/** The microphone's side in the model's thread: what is announced, what is kept, and for how long. */

import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import { Listening, LONGEST } from "../page/live/listening.js";
import { Track } from "../page/view/track.js";

setFlagsFromString("--expose-gc");
const count = (pieces) => [...pieces].reduce((sum, piece) => sum + piece.length, 0);
const collect = runInNewContext("gc");

/** A microphone whose seconds come when they are asked for, on a model that answers at once. */
function start(keep) {
  const port = { close: () => {} };
  const heard = { level: 0, window: 0, full: 0 };
  const model = {
    labels: ["yes"],
    timestampEmbeddingSize: 64,
    encode: async () => ({ frames: new Float32Array(98 * 64), levels: new Uint8Array(98 * 40), logits: Float32Array.of(0) }),
  };
  const listening = new Listening(model, {}, { port, keep, announce: ({ event }) => (heard[event] += 1) });
  const seconds = async (count) => {
    for (let i = 0; i < count; i++) {
      port.onmessage({ data: new Float32Array(16_000).fill(0.1) });
      await listening.spotter.idle();
    }
  };
  return { listening, heard, seconds };
}

test("an hour of listening takes no more memory than ten minutes", async () => {
  const { listening, heard, seconds } = start(true);
  const once = () => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return (heapUsed + arrayBuffers) / 1e6;
  };
  const used = () => Math.min(...Array.from({ length: 5 }, once)); // one collection leaves some behind
  await seconds(LONGEST + 10);
  const before = used();
  await seconds(3_600 - LONGEST);
  const more = used() - before;
  assert.ok(more < 4, `${more} MB more`);
  assert.equal(heard.full, 0);
  const { pieces, skipped, late } = await listening.stop();
  assert.equal(count(pieces), LONGEST * 16_000);
  assert.equal(skipped, 3_010);
  assert.equal(late, 0);
});

test("a recording ends after ten minutes, once", async () => {
  const { listening, heard, seconds } = start(false);
  await seconds(LONGEST + 5);
  assert.equal(heard.full, 1);
  const { pieces, skipped } = await listening.stop();
  assert.equal(count(pieces), LONGEST * 16_000);
  assert.equal(skipped, 0);
});

test("what is drawn of an hour is the last minutes of it", () => {
  const track = new Track(2, 0.01, { kind: Uint8Array });
  for (let row = 0; row < 360_000; row += 25) {
    track.set(row, new Uint8Array(50).fill(row / 25));
    track.keep(6_000);
  }
  assert.equal(track.length, 360_000);
  const { from, values } = track.rows(359_000, 360_000);
  assert.equal(from, 359_000);
  assert.deepEqual([...values], Array.from({ length: 2_000 }, (_, i) => Math.floor((359_000 + (i >> 1)) / 25) & 255));
  assert.ok(track.rows(0, 360_000).values.length <= 24_000);
});
