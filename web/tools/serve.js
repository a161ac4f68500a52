/**
 * A static file server for trying the page out: `npm start`, then open the address that it prints.
 * Any other static host does as well; this one is here because it comes with Node.
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const PAGE = join(dirname(dirname(fileURLToPath(import.meta.url))), "page");

/**
 * @param {{port?: number, prefix?: string, files?: Record<string, string>}} [options] the port (0:
 *   any), the path under which the page lies, and files to serve in the place of the page's own
 * @returns {Promise<{url: string, close: () => void}>}
 */
export async function serve({ port = 0, prefix = "/", files = {} } = {}) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const name = normalize(path.slice(prefix.length) || "index.html");
    try {
      if (!path.startsWith(prefix) || name.startsWith("..")) throw new Error("outside");
      const body = await readFile(files[name.split(sep).join("/")] ?? join(PAGE, name));
      const type = TYPES[extname(name)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-length": body.length });
      response.end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" });
      response.end("not found\n");
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${server.address().port}${prefix}`;
  return { url, close: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve({ port: Number(process.argv[2] ?? 8000) });
  console.log(`${url} (Ctrl-C ends it)`);
}
