import assert from "node:assert/strict";
import { test } from "node:test";

import { readMetadata } from "../page/lib/onnxfile.js";
import { toCsv, toLabelTrack } from "../page/sound/export.js";
import { isChained, mpegPadding, recordedRate } from "../page/sound/headers.js";
import { npz } from "../page/sound/npz.js";

function bytes(...parts) {
  return Uint8Array.from(
    parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part)),
  );
}

const little = (value) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, 0];

test("sample rates of file headers", () => {
  const wav = bytes("RIFF", little(99), "WAVEJUNK", little(4), "abcdfmt ", little(16), [1, 0, 1, 0], little(22_050));
  assert.equal(recordedRate(wav), 22_050);
  const flac = bytes("fLaC", [0, 0, 0, 34], Array(10).fill(0), [0x0a, 0xc4, 0x42, 0xf0]);
  assert.equal(recordedRate(flac), 44_100);
  const vorbis = bytes("OggS", Array(24).fill(0), "\x01vorbis", [0, 0, 0, 0, 2], little(32_000));
  assert.equal(recordedRate(vorbis), 32_000);
  const opus = bytes("OggS", Array(24).fill(0), "OpusHead", [1, 2, 0, 0], little(8_000));
  assert.equal(recordedRate(opus), 48_000); // whatever the header says, Opus decodes to that
  assert.equal(recordedRate(bytes([0xff, 0xfb, 0x90, 0])), 44_100);
  assert.equal(recordedRate(bytes([0xff, 0xf3, 0x94, 0])), 24_000);
  assert.equal(recordedRate(bytes("ID3", [4, 0, 0, 0, 0, 0, 2, 9, 9], [0xff, 0xfb, 0x98, 0])), 32_000);
});

test("headers that are cut or unknown", () => {
  for (const start of ["RIFF", "fLaC", "OggS", "ID3", "", "abcdefgh"]) {
    assert.equal(recordedRate(bytes(start)), 48_000);
  }
});

test("what an encoder added to an MP3", () => {
  const frame = (flags, encoder) =>
    bytes([0xff, 0xfb, 0x90, 0], Array(32).fill(0), "Info", [0, 0, 0, flags], encoder, Array(17).fill(0), [0x24, 0x04, 0xfe], Array(200).fill(0));
  const fields = Array(112).fill(1);
  assert.deepEqual(mpegPadding(frame(15, [...bytes(fields, "LAME")])), { before: 576 + 529, behind: 0x4fe - 529, counted: true });
  assert.deepEqual(mpegPadding(frame(1, [...bytes([0, 0, 0, 9], "Lavc")])), { before: 576 + 529, behind: 0x4fe - 529, counted: true });
  assert.deepEqual(mpegPadding(frame(15, [...bytes(fields, "none")])), { before: 0, behind: 0, counted: true });
  for (const other of [frame(15, [...bytes(fields, "LAME")]).subarray(0, 100), new Uint8Array(400), new Uint8Array(0)]) {
    assert.deepEqual(mpegPadding(other), { before: 0, behind: 0, counted: false });
  }
});

test("an Ogg file behind another", async () => {
  const page = (flag, length) => [...bytes("OggS", [0, flag], Array(length).fill(1))];
  const [begin, rest, end] = [page(2, 60), page(0, 900_000), page(4, 149_000)];
  const one = [...begin, ...rest, ...end];
  for (const [pages, chained] of [[one, false], [[...begin, ...one], false], [[...one, ...one], true], [[...rest.slice(0, 148_506), ...rest, ...one], true]]) {
    const file = Uint8Array.from(pages);
    assert.equal(await isChained(async (from, to) => file.subarray(from, to), file.length), chained);
  }
});

test("metadata of an ONNX file", () => {
  const entry = (key, value) => {
    const inside = bytes([10, key.length], key, [18, value.length], value);
    return bytes([0x72, inside.length], [...inside]);
  };
  const file = bytes([8, 10], [0x12, 2], "xy", [...entry("model", "kwmlp")], [...entry("n", "")]);
  assert.deepEqual(readMetadata(file), { model: "kwmlp", n: "" });
  assert.deepEqual(readMetadata(bytes([])), {});
});

test("what isn't an ONNX file is refused", () => {
  for (const file of ["RIFF....WAVE", "PK\x03\x04rest", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]) {
    assert.throws(() => readMetadata(bytes(file)), { name: "HearAudioMLPError", code: "model" });
  }
});

test("an .npz has the bytes of zip and npy", async () => {
  const blob = await npz({ a: { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] } });
  const file = new Uint8Array(await blob.arrayBuffer());
  const text = Buffer.from(file).toString("latin1");
  assert.ok(text.startsWith("PK\x03\x04"));
  assert.ok(text.includes("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"));
  assert.equal((text.indexOf("\n") + 1 - text.indexOf("\x93NUMPY")) % 64, 0);
  assert.equal(text.indexOf("PK\x01\x02"), new DataView(file.buffer).getUint32(file.length - 6, true));
});

test("words of a stranger's model are one cell and one line each", async () => {
  for (const [word, safe] of [["=1+1", "'=1+1"], [" @x", "' @x"], ["\uff1d1", "'\uff1d1"], ["a\n0\t9\u202e\x1b", "a\\u000a0\\u00099\\u202e\\u001b"], ["\ud800", "\\ud800"], ["می\u200cخواهم", "می\u200cخواهم"]]) {
    const words = [{ word, start: 0, end: 1, probability: 0.5 }];
    assert.equal(await toCsv(words).text(), `start,end,word,probability\r\n0.000,1.000,${safe},0.5000\r\n`);
    assert.equal(await toLabelTrack(words).text(), `0.000000\t1.000000\t${safe.replace(/^'/, "")}\n`);
  }
});

test("words as a table and as a label track", async () => {
  const words = [{ word: 'a "b", c', start: 0.25, end: 1, probability: 0.91234 }];
  assert.equal(await toCsv(words).text(), 'start,end,word,probability\r\n0.250,1.000,"a ""b"", c",0.9123\r\n');
  assert.equal(await toLabelTrack(words).text(), '0.250000\t1.000000\ta "b", c\n');
});
