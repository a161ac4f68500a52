/**
 * A static file server for trying the page out: `npm start`, then open the address that it prints.
 * Any other static host does as well; this one is here because it comes with Node. It compresses
 * what it sends, and answers with 304 what a browser has already.
 */

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { readFile, realpath } from "node:fs/promises";
import { dirname, extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".flac": "audio/flac",
  ".wasm": "application/wasm",
};

/** What gains nothing from being compressed once more. */
const DENSE = [".png", ".flac"];

const PAGE = join(dirname(dirname(fileURLToPath(import.meta.url))), "page");

/** The file of the page with this name: a link in the page's folder may lead out of it. */
async function fileOf(name) {
  const file = await realpath(join(PAGE, name));
  if (!file.startsWith((await realpath(PAGE)) + sep)) throw new Error("outside");
  return file;
}

const WAYS = {
  // The highest quality takes half a minute for the runtime and saves another tenth.
  br: (bytes) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
  gzip: promisify(gzip),
};

const compressed = new Map(); // by entity tag and way

/** The body in the best way that the browser takes, compressed once for all visitors. */
async function encode(body, tag, accepted, type) {
  const way = Object.keys(WAYS).find((name) => accepted.includes(name));
  if (way === undefined || DENSE.includes(type)) return { body };
  const key = `${tag} ${way}`;
  if (!compressed.has(key)) compressed.set(key, WAYS[way](body));
  return { body: await compressed.get(key), way };
}

/** The path that a request names, or null if what it has in its place is none. */
function pathOf(url) {
  try {
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    return path.includes("\0") ? null : path;
  } catch {
    return null;
  }
}

/**
 * @param {{port?: number, prefix?: string, files?: Record<string, string>, compress?: boolean}} [options]
 *   the port (0: any), the path under which the page is served, files to serve instead of the
 *   page's own, and whether to compress
 * @returns {Promise<{url: string, sent: () => number, close: () => void}>} `sent`: bytes of bodies so far
 */
export async function serve({ port = 0, prefix = "/", files = {}, compress = false } = {}) {
  let sent = 0;
  const server = createServer(async (request, response) => {
    response.setHeader("x-content-type-options", "nosniff");
    if (!["GET", "HEAD"].includes(request.method)) {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    const path = pathOf(request.url);
    if (path === null) {
      response.writeHead(400, { "content-type": "text/plain" }).end("no path\n");
      return;
    }
    const name = normalize(path.slice(prefix.length) || "index.html");
    try {
      if (!path.startsWith(prefix) || name.startsWith("..")) throw new Error("outside");
      const plain = await readFile(files[name.split(sep).join("/")] ?? (await fileOf(name)));
      const tag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
      const type = extname(name);
      const head = {
        "content-type": TYPES[type] ?? "application/octet-stream",
        "cache-control": "no-cache",
        etag: tag,
        vary: "accept-encoding",
      };
      if (request.headers["if-none-match"] === tag) {
        response.writeHead(304, head).end();
        return;
      }
      const accepted = compress ? (request.headers["accept-encoding"] ?? "") : "";
      const { body, way } = await encode(plain, tag, accepted, type);
      if (way) head["content-encoding"] = way;
      sent += body.length;
      response.writeHead(200, { ...head, "content-length": body.length }).end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${server.address().port}${prefix}`;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url, sent: () => sent, close };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve({ port: Number(process.argv[2] ?? 8000), compress: true });
  console.log(`${url} (Ctrl-C ends it)`);
}
