/**
 * Keeps one version of the page: `sw.js?version=...`, the version that vendor/files.json had. A
 * newer version is fetched whole beside it, and takes over when the person says so, or when no tab
 * shows the old one any more.
 */

const VERSION = new URL(self.location).searchParams.get("version");
const NAME = `hearaudiomlp ${VERSION}`;
const LIST = "vendor/files.json";

async function install() {
  const response = await fetch(LIST, { cache: "no-store" });
  const { version, files, first } = await response.clone().json();
  if (version !== VERSION) throw new Error("the page was changed while it was fetched");
  const cache = await caches.open(NAME);
  await cache.put(LIST, response);
  // Other models are kept when somebody chooses them.
  const wanted = Object.keys(files).filter((name) => !name.startsWith("models/") || name === first);
  await cache.addAll(["./", ...wanted].map((name) => new Request(name, { cache: "no-cache" })));
}

async function activate() {
  const names = (await caches.keys()).filter((name) => name.startsWith("hearaudiomlp ") && name !== NAME);
  await Promise.all(names.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept !== undefined) return kept;
  const response = await fetch(request);
  if (response.ok && new URL(request.url).pathname.endsWith(".onnx")) cache.put(request, response.clone());
  return response;
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", ({ data }) => data === "take over" && self.skipWaiting());
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const here = request.url.startsWith(self.registration.scope);
  // The list is asked for afresh once in a visit, so that a newer version is noticed.
  const afresh = request.url === self.registration.scope + LIST && request.cache === "no-store";
  if (request.method !== "GET" || !here || afresh) return;
  event.respondWith(answer(request));
});
