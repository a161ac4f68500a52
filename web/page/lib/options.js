/** Checks of what callers give. */

import { HearAudioMLPError } from "./errors.js";

/** Kinds of options: what they have to be, in words, and whether a value is that. */
const KINDS = {
  threshold: ["over 0 and at most 1", (value) => typeof value === "number" && value > 0 && value <= 1],
  hits: ["a whole number from 1 up", (value) => Number.isSafeInteger(value) && value >= 1],
  threads: ["a whole number from 1 to 1024", (value) => Number.isInteger(value) && value >= 1 && value <= 1024],
  hop: [
    "1, 0.5, 0.25, 0.2 ... seconds: whole numbers of samples that divide a second",
    (value) => {
      if (typeof value !== "number" || !(value > 0 && value <= 1)) return false;
      const shifts = Math.round(1 / value);
      return Math.abs(shifts * value - 1) < 1e-9 && 16_000 % shifts === 0;
    },
  ],
  warn: ["a function", (value) => typeof value === "function"],
  progress: ["a function", (value) => typeof value === "function"],
  signal: ["an AbortSignal", (value) => typeof value?.throwIfAborted === "function"],
  ignore: ["a label", (value) => typeof value === "string"],
  word: ["a function", (value) => typeof value === "function"],
  window: ["a function", (value) => typeof value === "function"],
  problem: ["a function", (value) => typeof value === "function"],
};

/**
 * Check options by their names. Those that are undefined are as if they weren't there.
 *
 * @param {object} [options]
 * @param {string[]} known names, of KINDS or others, which are checked elsewhere
 * @throws {HearAudioMLPError} `option`
 */
export function checkOptions(options, known) {
  if (options === undefined) return;
  if (options === null || typeof options !== "object") {
    throw new HearAudioMLPError("option", `options have to be an object, not ${String(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) {
      throw new HearAudioMLPError("option", `there is no option ${name}; there are ${known.join(", ")}`);
    }
    const [what, fits] = KINDS[name] ?? [];
    if (value !== undefined && fits && !fits(value)) {
      throw new HearAudioMLPError("option", `${name} has to be ${what}, not ${String(value)}`);
    }
  }
}

/** @throws {HearAudioMLPError} `option`, unless it is a list of words */
export function checkLabels(labels) {
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string")) {
    throw new HearAudioMLPError("option", "labels has to be a list of words");
  }
}
