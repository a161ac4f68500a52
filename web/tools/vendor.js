/**
 * Puts what the page needs beside it: ONNX Runtime's two files out of node_modules, and the models
 * of config.js out of the repository's onnx_models/ (or the folder given as argument). Runs after
 * `npm install` in this folder; the page itself has no build step.
 */

import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { MODELS, RUNTIME } from "../page/config.js";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const page = join(here, "page");
const runtime = join(here, "node_modules", "onnxruntime-web");
const models = process.argv[2] ?? join(here, "..", "onnx_models");

/** Copy so that a half-written file never has the final name. */
function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, `${to}.tmp`);
  renameSync(`${to}.tmp`, to);
  console.log(`${to.slice(here.length + 1)}`);
}

if (!existsSync(page) || !existsSync(runtime)) {
  // Installed as somebody's dependency: there is no page to serve then.
  process.exit(0);
}
for (const file of Object.values(RUNTIME)) {
  copy(join(runtime, "dist", file.split("/").at(-1)), join(page, file));
}
for (const { url } of MODELS) {
  const from = join(models, url.split("/").at(-1));
  if (existsSync(from)) copy(from, join(page, url));
  else console.log(`${from} does not exist: the page will ask for an .onnx file in its place`);
}
