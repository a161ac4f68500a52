import assert from "node:assert/strict";
import { rmSync, symlinkSync } from "node:fs";
import { request } from "node:http";
import { basename, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { serve } from "../tools/serve.js";

/** Status, headers and body of the answer to a path as it stands: `fetch` would mend it. */
function ask(url, path, { method = "GET", headers = {} } = {}) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sending = request({ hostname, port, path, method, headers, agent: false }, async (response) => {
      const chunks = await response.toArray();
      resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
    });
    sending.on("error", reject).end();
  });
}

test("the server survives malformed requests", async () => {
  const { url, close } = await serve();
  try {
    for (const path of ["/%", "/%ff", "/%00", "/style.css%00.html", "//", "http://[/"]) {
      assert.equal((await ask(url, path)).status, 400, path);
    }
    for (const path of ["/none", "/vendor", "/..%2fpackage.json", "/%2e%2e/package.json", "/constructor", "/__proto__", "*"]) {
      assert.equal((await ask(url, path)).status, 404, path);
    }
    assert.match((await ask(url, "/")).body, /<!doctype html>/i);
  } finally {
    close();
  }
});

test("every response has nosniff, and only GET and HEAD are allowed", async () => {
  const { url, close } = await serve();
  try {
    const page = await ask(url, "/index.html");
    const known = await ask(url, "/index.html", { headers: { "if-none-match": page.headers.etag } });
    const head = await ask(url, "/index.html", { method: "HEAD" });
    const answers = [page, known, head, await ask(url, "/none"), await ask(url, "/%"), await ask(url, "/", { method: "POST" })];
    assert.deepEqual(answers.map(({ status }) => status), [200, 304, 200, 404, 400, 405]);
    for (const { headers } of answers) assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(head.body, "");
  } finally {
    close();
  }
});

test("a link in the page's folder doesn't lead out of it", { skip: process.platform === "win32" }, async () => {
  const page = fileURLToPath(new URL("../page/", import.meta.url));
  const names = { "to-file": "../package.json", "to-folder": "..", "inside": "style.css" };
  const links = Object.entries(names).map(([name, target]) => [join(page, `link-${process.pid}-${name}`), target]);
  const { url, close } = await serve();
  try {
    for (const [link, target] of links) symlinkSync(target, link);
    const paths = links.map(([link]) => `/${basename(link)}`);
    assert.equal((await ask(url, paths[0])).status, 404);
    assert.equal((await ask(url, `${paths[1]}/package.json`)).status, 404);
    assert.equal((await ask(url, paths[2])).status, 200);
  } finally {
    close();
    for (const [link] of links) rmSync(link, { force: true });
  }
});
