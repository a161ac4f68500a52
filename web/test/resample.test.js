import assert from "node:assert/strict";
import { test } from "node:test";

import { resample, Resampler } from "../page/lib/resample.js";

function tone(hz, rate, length) {
  return Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
}

/** The largest difference from a tone of that many Hz, away from the ends. */
function errorOf(output, hz, rate) {
  let largest = 0;
  for (let i = output.length >> 2; i < (3 * output.length) >> 2; i++) {
    largest = Math.max(largest, Math.abs(output[i] - Math.sin((2 * Math.PI * hz * i) / rate)));
  }
  return largest;
}

/** At 44.1 kHz and its relatives, soxr's response falls by 0.01 dB before its edge. */
const SLOPE = 1.2e-3;

for (const rate of [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]) {
  test(`tones pass from ${rate} Hz to 16 kHz`, () => {
    const top = 0.9 * Math.min(rate, 16_000) * 0.5;
    for (const hz of [0.02 * top, 0.3 * top, 0.77 * top, top]) {
      const output = resample(tone(hz, rate, rate), rate);
      const allowed = 44_100 % rate === 0 && hz > 0.5 * top ? SLOPE : 3e-5;
      assert.ok(errorOf(output, hz, 16_000) < allowed, `${hz} Hz: ${errorOf(output, hz, 16_000)}`);
    }
  });
}

for (const rate of [22_050, 44_100, 48_000, 96_000]) {
  test(`nothing of ${rate} Hz folds back`, () => {
    for (const share of [0, 0.07, 0.31, 0.64, 0.98]) {
      const hz = 8_000 + share * (rate / 2 - 8_000);
      const output = resample(tone(hz, rate, rate), rate);
      const middle = output.subarray(4_000, 12_000);
      const largest = middle.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      assert.ok(20 * Math.log10(largest) < -94, `${hz} Hz: ${20 * Math.log10(largest)} dB`);
    }
  });
}

test("8 kHz leaves no image above 4 kHz", () => {
  const output = resample(tone(1_000, 8_000, 8_000), 8_000);
  let [re, im] = [0, 0]; // of 7 kHz, the image of 1 kHz
  for (let i = 4_000; i < 12_000; i++) {
    re += output[i] * Math.cos((2 * Math.PI * 7_000 * i) / 16_000);
    im += output[i] * Math.sin((2 * Math.PI * 7_000 * i) / 16_000);
  }
  assert.ok(20 * Math.log10(Math.hypot(re, im) / 4_000) < -94);
});

test("a constant stays constant", () => {
  const output = resample(new Float32Array(44_100).fill(0.5), 44_100);
  for (const sample of output.subarray(1_000, -1_000)) assert.ok(Math.abs(sample - 0.5) < 1e-6);
});

test("however the input is cut, the output is the same to the bit", () => {
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 0x7fffffff) / 0x7fffffff;
  for (const rate of [8_000, 44_100, 48_000, 16_000]) {
    const input = Float32Array.from({ length: 9_001 }, () => random() - 0.5);
    const whole = resample(input, rate);
    for (let round = 0; round < 10; round++) {
      const resampler = new Resampler(rate);
      const pieces = [];
      for (let at = 0; at < input.length; ) {
        const length = Math.floor(random() * (round < 3 ? 3 : 1_500));
        pieces.push(resampler.process(input.subarray(at, at + length)));
        at += length;
      }
      pieces.push(resampler.flush());
      const joined = Float32Array.from(pieces.flatMap((piece) => [...piece]));
      assert.deepEqual(joined, whole);
      // A resampler that was flushed starts over.
      assert.deepEqual(resampler.process(input), new Resampler(rate).process(input));
    }
  }
});

test("lengths", () => {
  for (const rate of [8_000, 11_025, 16_000, 44_100, 48_000]) {
    for (const length of [0, 1, 2, 440, 441, 442, 5_000]) {
      const output = resample(new Float32Array(length), rate);
      assert.equal(output.length, Math.floor((length * 16_000) / rate + 0.5));
    }
  }
});

test("16 kHz is not touched, but copied", () => {
  const input = tone(440, 16_000, 100);
  const output = resample(input, 16_000);
  assert.deepEqual(output, input);
  assert.notEqual(output.buffer, input.buffer);
});

test("what is no audio is refused", () => {
  for (const audio of [[1, 2], Int16Array.of(1), undefined, "sound"]) {
    assert.throws(() => resample(audio, 8_000), { name: "HearAudioMLPError", code: "audio" });
  }
});

test("a rate that is none is refused", () => {
  for (const rate of [0, -1, 44_100.5, NaN, "48000", undefined]) {
    assert.throws(() => new Resampler(rate), { name: "HearAudioMLPError", code: "audio" });
  }
});
