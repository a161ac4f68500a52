/**
 * Puts what the page needs beside it: ONNX Runtime's two files and the demuxer out of node_modules, the models of
 * config.js out of the repository's onnx_models/ (or the folder given as argument), and a sample. It
 * lists all files of the page with their sizes in vendor/files.json, under a version made of their
 * contents. Runs after `npm install` in this folder, and before `npm start`; the page itself has no
 * build step.
 */

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { DEMUXER, MODELS, RUNTIME, SAMPLE } from "../page/config.js";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const page = join(here, "page");
const runtime = join(here, "node_modules", "onnxruntime-web");
const models = process.argv[2] ?? join(here, "..", "onnx_models");

/** Written to a file of its own first, so that a half-written one never has the final name. */
function put(to, write) {
  mkdirSync(dirname(to), { recursive: true });
  write(`${to}.tmp`);
  renameSync(`${to}.tmp`, to);
}

/** The page's files: their sizes, and a version that changes whenever one of them does. */
export function listFiles() {
  const files = {};
  const hash = createHash("sha256");
  const entries = readdirSync(page, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = entries.map((entry) => relative(page, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join("/"));
  for (const name of names.sort()) {
    if (["sw.js", "vendor/files.json"].includes(name) || name.endsWith(".tmp")) continue;
    const bytes = readFileSync(join(page, name));
    files[name] = bytes.length;
    hash.update(`${name}\n${bytes.length}\n`).update(bytes);
  }
  hash.update(readFileSync(join(page, "sw.js")));
  return { version: hash.digest("hex").slice(0, 16), first: MODELS[0].url, files };
}

function main() {
  if (!existsSync(page) || !existsSync(runtime)) return; // installed as somebody's dependency
  const copies = [
    ...Object.values(RUNTIME).map((file) => [join(runtime, "dist", file.split("/").at(-1)), file]),
    [join(here, "node_modules", "mediabunny", "dist", "bundles", DEMUXER.split("/").at(-1)), DEMUXER],
    [join(here, "..", "samples", SAMPLE.split("/").at(-1)), SAMPLE],
    ...MODELS.map(({ url }) => [join(models, url.split("/").at(-1)), url]),
  ];
  for (const [from, to] of copies) {
    if (existsSync(from)) put(join(page, to), (path) => copyFileSync(from, path));
    else console.log(`${from} does not exist: the page has to do without it`);
  }
  const list = listFiles();
  put(join(page, "vendor", "files.json"), (path) => writeFileSync(path, `${JSON.stringify(list, null, 1)}\n`));
  console.log(`page/: ${Object.keys(list.files).length} files, version ${list.version}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
