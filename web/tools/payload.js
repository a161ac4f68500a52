/**
 * What a visitor of the page downloads: `npm run payload`. Raw, and as a host sends it that
 * compresses with gzip (level 9) or brotli (quality 9, as `npm start` does).
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import { MODELS } from "../page/config.js";

const page = join(dirname(dirname(fileURLToPath(import.meta.url))), "page");
const first = MODELS[0].url.split("/").at(-1);

function kind(path) {
  if (path.startsWith("models")) return `model, ${path.split("/").at(-1)}`;
  if (path.endsWith(".wasm")) return "ONNX Runtime, WebAssembly";
  if (path.includes("mediabunny")) return "sound files taken apart, fetched when idle";
  if (path.endsWith(".mjs")) return "ONNX Runtime, script";
  if (/\.(png|flac)$/.test(path)) return "sample and icons, fetched when idle";
  return "page (HTML, CSS, script)";
}

const sums = new Map();
for (const entry of readdirSync(page, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const bytes = readFileSync(path);
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
  const sizes = [bytes.length, gzipSync(bytes, { level: 9 }).length, brotli.length];
  const name = kind(relative(page, path));
  const sum = sums.get(name) ?? [0, 0, 0];
  sums.set(name, sum.map((value, i) => value + sizes[i]));
}

const total = [0, 0, 0];
const row = (name, sizes) => console.log(`| ${[name, ...sizes.map((v) => v.toLocaleString("en"))].join(" | ")} |`);
console.log("| part | bytes | gzip | brotli |");
console.log("| --- | ---: | ---: | ---: |");
for (const [name, sizes] of [...sums].sort()) {
  row(name, sizes);
  // Only the first model is loaded with the page; the others, when they are chosen.
  if (!/^model|when idle$/.test(name) || name.endsWith(` ${first}`)) {
    sizes.forEach((value, i) => (total[i] += value));
  }
}
row("**a first visit**", total);
