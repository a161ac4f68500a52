/**
 * The model class on exported graphs: kwmlp.onnx and audiomae.onnx in the folder that
 * HEARAUDIOMLP_WEB_MODELS names. Any weights will do.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { embed, HearAudioMLPError, loadModel } from "../index.js";
import { HearModel } from "../page/lib/model.js";
import { concat, field } from "../page/lib/onnxfile.js";
import { openGraph } from "../tools/runtimes.js";

const models = process.env.HEARAUDIOMLP_WEB_MODELS;
const skip = models ? false : "HEARAUDIOMLP_WEB_MODELS names no folder with models";

function noise(length) {
  let seed = 7;
  return Float32Array.from({ length }, () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return (seed / 0x7fffffff - 0.5) / 5;
  });
}

function distance(a, b) {
  assert.equal(a.length, b.length);
  let largest = 0;
  let size = 1;
  for (let i = 0; i < a.length; i++) {
    largest = Math.max(largest, Math.abs(a[i] - b[i]));
    size = Math.max(size, Math.abs(b[i]));
  }
  return largest / size;
}

test("labels that can't be shown are refused, and errors can be shown", async () => {
  const file = (labels) => {
    const entries = { keyword_labels: JSON.stringify(labels), timestamp_embedding_size: "64", scene_embedding_size: "1024" };
    const metadata = Object.entries(entries).map(([key, value]) => field(14, concat([field(1, key), field(2, value)])));
    return concat([...metadata, field(7, "")]);
  };
  const refused = (labels, reason) => assert.rejects(HearModel.create({}, file(labels)), { code: "model", message: reason });
  await refused(["yes", "no"], /computes no frame_embeddings/);
  for (const label of ["\u001b[31mno", "two\nlines", "\u202egpj", "", "a".repeat(101), "yes", 7]) {
    await refused(["yes", label], /lacks the metadata/);
  }
  assert.equal(new HearAudioMLPError("model", "a\u001b[31m\nb \u202e").message, "a\\u001b[31m\\u000ab \\u202e");
});

for (const runtime of ["onnxruntime-node", "onnxruntime-web"]) {
  for (const [name, size, scene, words] of [["kwmlp", 64, 1024, 35], ["audiomae", 8, 1584, 0]]) {
    describe(`${name} on ${runtime}`, { skip }, () => {
      let model;
      before(async () => {
        model = await loadModel(join(models, `${name}.onnx`), { runtime });
      });
      after(() => model.close());

      test("what it says of itself", () => {
        assert.equal(model.name, name);
        assert.equal(model.timestampEmbeddingSize, size);
        assert.equal(model.sceneEmbeddingSize, scene);
        assert.equal(model.labels.length, words);
      });

      test("shapes for every length", async () => {
        for (const length of [0, 1, 159, 160, 15_680, 15_681, 16_000, 40_001]) {
          const result = await model.embed(noise(length));
          const frames = Math.floor(length / 160);
          assert.equal(result.embeddings.length, frames * size);
          assert.equal(result.timestamps.length, frames);
          assert.equal(result.scene.length, scene);
          assert.equal(result.logits.length, result.logitTimes.length * words);
          if (frames > 1) assert.deepEqual([...result.timestamps.slice(0, 2)], [10, 20]);
          assert.equal(result.levels.length, frames * 40);
          for (const values of [result.embeddings, result.scene, result.logits]) {
            assert.ok(values.every(Number.isFinite));
          }
        }
      });

      test("the encoder and the steps around it give what the file's whole graph gives", async () => {
        const graph = await openGraph(join(models, `${name}.onnx`), runtime);
        // Ends that fall into the padding, blocks that are full or have one window more.
        for (const length of [1_000, 15_680, 15_681, 8 * 16_000 - 320, 255_900, 40 * 16_000 + 777]) {
          const sound = noise(length);
          const whole = await graph.run(sound);
          const parts = await model.embed(sound, { hop: 1 });
          assert.ok(distance(parts.embeddings, whole.embeddings) < 1e-5);
          assert.ok(distance(parts.scene, whole.scene) < 1e-5);
          const inside = parts.logits.length; // not those that begin in the last half second
          assert.ok(whole.logits.length - inside <= words);
          assert.ok(distance(parts.logits, whole.logits.subarray(0, inside)) < 1e-5);
        }
        await graph.close();
      });

      test("every keyword window is the bare second of sound at its time", async () => {
        if (words === 0) return;
        const sound = noise(10 * 16_000 + 123);
        for (const hop of [0.25, 0.2, 0.5]) {
          const { logits, logitTimes } = await model.embed(sound, { hop });
          assert.equal(logitTimes[0], Math.fround(-Math.floor(0.5 / hop) * hop));
          assert.ok(Math.abs(logitTimes.at(-1) - 9.5) < hop);
          for (const i of [0, 1, 2, 7, 11, logitTimes.length - 1]) {
            const begin = Math.round(logitTimes[i] * 16_000);
            const bare = new Float32Array(16_000);
            bare.set(sound.subarray(Math.max(0, begin), begin + 16_000), Math.max(0, -begin));
            const alone = await model.encode(bare);
            const row = logits.subarray(i * words, (i + 1) * words);
            assert.ok(distance(row, alone.logits) < 1e-5, `window ${i} at ${logitTimes[i]} s`);
          }
        }
      });

      test("other kinds of numbers, and the input stays as it was", async () => {
        const sound = noise(5_000);
        const copy = sound.slice();
        const expected = await model.embed(sound);
        assert.deepEqual(sound, copy);
        for (const other of [[...sound], Float64Array.from(sound)]) {
          assert.deepEqual((await model.embed(other)).scene, expected.scene);
        }
      });

      test("progress reaches the end", async () => {
        const shares = [];
        await model.embed(noise(40 * 16_000), { progress: (share) => shares.push(share) });
        assert.ok(shares.length >= 3);
        assert.deepEqual(shares, [...shares].sort((a, b) => a - b));
        assert.equal(shares.at(-1), 1);
      });

      test("a signal stops it within a block", async () => {
        const controller = new AbortController();
        const shares = [];
        const progress = (share) => {
          shares.push(share);
          if (shares.length === 2) controller.abort();
        };
        await assert.rejects(model.embed(noise(60 * 16_000), { signal: controller.signal, progress }), { name: "AbortError" });
        assert.equal(shares.length, 2);
      });

      test("audio that is none is refused", async () => {
        const broken = [
          Int16Array.of(1, 2),
          "sound",
          undefined,
          Float32Array.of(0, NaN),
          Float32Array.of(Infinity),
        ];
        for (const audio of broken) {
          await assert.rejects(model.embed(audio), { name: "HearAudioMLPError", code: "audio" });
        }
        for (const hop of [0, 0.3, 2, -1, NaN]) {
          await assert.rejects(model.embed(noise(10), { hop }), { code: "option" });
        }
        for (const options of [{ threshold: 2 }, { threshold: "0.5" }, { hits: 0 }, { hits: 1.5 }, { hop: "1" }]) {
          await assert.rejects(model.embed(noise(10), options), { name: "HearAudioMLPError", code: "option" });
        }
        await assert.rejects(model.embed(["1", "2"]), { code: "audio" });
      });

      test("audio that wasn't scaled is computed, with a warning", async () => {
        const warnings = [];
        const loud = noise(1_000).map((sample) => 30_000 * sample);
        await model.embed(loud, { warn: (message) => warnings.push(message) });
        assert.equal(warnings.length, 1);
        assert.match(warnings[0], /32768/);
      });
    });
  }
}

test("embed loads a file for one call", { skip }, async () => {
  const file = join(models, "kwmlp.onnx");
  const sound = noise(3_000);
  const first = await embed(sound, { model: file });
  const second = await embed(sound, { model: new Uint8Array(readFileSync(file)) });
  assert.deepEqual(first.scene, second.scene);
  const model = await loadModel(file);
  const third = await embed(sound, { model });
  await model.close();
  assert.deepEqual(third.scene, first.scene);
});

test("models and runtimes that are none", async () => {
  await assert.rejects(embed(noise(10)), { code: "model" });
  await assert.rejects(loadModel("no/such/file.onnx"), { name: "HearAudioMLPError", code: "file" });
  await assert.rejects(loadModel(new Uint8Array([1, 2, 3])), { code: "model" });
  await assert.rejects(loadModel(new Uint8Array(0)), { code: "model" });
  await assert.rejects(loadModel(new Uint8Array(0), { runtime: "none" }), { code: "runtime" });
  assert.ok(new HearAudioMLPError("audio", "x") instanceof Error);
});

test("a file of windows gives what one of the whole pipeline gives", { skip }, async () => {
  for (const name of ["kwmlp", "audiomae"]) {
    const pipeline = await loadModel(join(models, `${name}.onnx`));
    const windows = await loadModel(join(models, `${name}-windows.onnx`));
    const sound = noise(50_000);
    const [a, b] = [await pipeline.embed(sound), await windows.embed(sound)];
    for (const key of ["embeddings", "scene", "logits", "levels"]) assert.deepEqual(a[key], b[key], key);
    await pipeline.close();
    await windows.close();
  }
});
