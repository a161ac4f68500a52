/** The page without a network: what it consists of is kept by its service worker (sw.js). */

import { $ } from "./ui.js";

const KEPT = "This page works without a network now, and can be installed.";

/** Keep this version of the page, and say when a newer one is ready. */
export async function keepOffline() {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  let version;
  try {
    ({ version } = await (await fetch("vendor/files.json", { cache: "no-store" })).json());
  } catch {
    // No network, or a host without the list.
    if (serviceWorker.controller) $("offline").textContent = KEPT;
    return;
  }
  const registration = await serviceWorker.register(`sw.js?version=${version}`);
  const announce = () => {
    if (registration.waiting === null) return;
    $("update").hidden = false;
    $("reload").onclick = () => {
      serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
      registration.waiting.postMessage("take over");
    };
  };
  announce();
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing.addEventListener("statechange", () => serviceWorker.controller && announce());
  });
  await serviceWorker.ready;
  $("offline").textContent = KEPT;
}
